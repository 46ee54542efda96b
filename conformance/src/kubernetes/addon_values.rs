//! Values of the charts of add-ons: each file belongs to an add-on, names its account, and fits what the environments have.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::addons::{MATRIX, is_below};
use super::object::{Object, at, items, namespace_labels, selects, text};
use super::render::Build;
use crate::tree::Tree;

const FOLDER: &str = "k8s/cluster/values";

/// The namespace of the chart of Prometheus, whose own monitors and rules are there.
const MONITORING: &str = "monitoring";

/// Faults of the files of values.
pub(super) fn faults(tree: &Tree, matrix: &Value, builds: &[Build]) -> Result<Vec<String>> {
    let (mut faults, mut named) = (Vec::new(), BTreeSet::new());
    let mut gateways_have_certificates = false;
    for addon in items(matrix, "/addons").filter(|addon| addon.get("values").is_some()) {
        let file = format!("{FOLDER}/{}.yaml", text(addon, "/values"));
        named.insert(file.clone());
        let values: Value =
            serde_saphyr::from_str(&tree.read(Path::new(&file))?).with_context(|| file.clone())?;
        let mut found: Vec<String> = of_account(&values, text(addon, "/account")).into_iter().collect();
        found.extend(of_selectors(&values, builds));
        found.extend(of_domains(&values, builds));
        if text(addon, "/name") == "fluent-bit" {
            found.extend(of_logs(&values, builds)?);
        }
        gateways_have_certificates |= at(&values, "/config/enableGatewayAPI") == true;
        faults.extend(found.into_iter().map(|fault| format!("{file}: {fault}")));
    }
    if !gateways_have_certificates {
        let annotated = |gateway: &&Object| {
            let annotations = gateway.at("/metadata/annotations").as_object().into_iter().flatten();
            annotations.into_iter().any(|(name, _)| name.starts_with("cert-manager.io/"))
        };
        let ignored =
            builds.iter().flat_map(|build| build.of_kind("Gateway").filter(annotated).map(move |_| build));
        faults.extend(ignored.map(|build| {
            format!(
                "{}: cert-manager ignores the annotation of the Gateway unless its values in {FOLDER} set config.enableGatewayAPI",
                build.folder
            )
        }));
    }
    let files = tree.files_in(FOLDER, &[".yaml"]).map(|file| file.display().to_string());
    faults.extend(
        files.filter(|file| !named.contains(file)).map(|file| format!("{MATRIX}: no add-on has {file}")),
    );
    Ok(faults)
}

/// The account of the values, which must be the one that has the role.
fn of_account(values: &Value, account: &str) -> Option<String> {
    let (_, name) = account.split_once('/')?;
    let names = ["/serviceAccount/name", "/rbac/serviceAccount/name"].map(|place| text(values, place));
    (!names.contains(&name)).then(|| format!("its service account is not {account}, which has the role"))
}

/// Namespaces that the operator of Prometheus looks into.
fn of_selectors(values: &Value, builds: &[Build]) -> Vec<String> {
    let mut faults = Vec::new();
    for (kind, selector) in [
        ("ServiceMonitor", "/prometheus/prometheusSpec/serviceMonitorNamespaceSelector"),
        ("PrometheusRule", "/prometheus/prometheusSpec/ruleNamespaceSelector"),
        ("AlertmanagerConfig", "/alertmanager/alertmanagerSpec/alertmanagerConfigNamespaceSelector"),
    ] {
        let selector = at(values, selector);
        if selector.is_null() {
            continue;
        }
        // the chart gives its namespace no label, and makes no configuration of Alertmanager that is an object
        if kind != "AlertmanagerConfig" && !selects(selector, &namespace_labels(MONITORING, &Value::Null)) {
            faults.push(format!("each {kind} of the chart itself is ignored: {MONITORING} is not selected"));
        }
        for build in builds.iter().filter(|build| build.of_kind(kind).next().is_some()) {
            let mut namespaces = build.of_kind("Namespace");
            if !namespaces.any(|namespace| {
                selects(selector, &namespace_labels(namespace.name(), namespace.at("/metadata/labels")))
            }) {
                faults.push(format!("no {kind} of {} is in a namespace that it selects", build.folder));
            }
        }
    }
    faults
}

/// Domains whose names are written.
fn of_domains(values: &Value, builds: &[Build]) -> Vec<String> {
    let domains: Vec<&str> = items(values, "/domainFilters").filter_map(Value::as_str).collect();
    let routes = builds.iter().flat_map(|build| build.of_kind("HTTPRoute"));
    let hosts = routes.flat_map(|route| items(route.value(), "/spec/hostnames")).filter_map(Value::as_str);
    let outside =
        hosts.filter(|host| !domains.is_empty() && !domains.iter().any(|domain| is_below(host, domain)));
    outside.map(|host| format!("{host} is in none of the domains that it writes")).collect()
}

/// The configuration of Fluent Bit: the chart mounts it, its program reads it, and every output leads to a Service.
fn of_logs(values: &Value, builds: &[Build]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let read = items(values, "/args").filter_map(Value::as_str);
    let file = read.filter_map(|argument| argument.strip_prefix("--config=/fluent-bit/etc/conf/")).next();
    let own = file.and_then(|file| at(values, "/config/extraFiles").get(file)).and_then(Value::as_str);
    let Some(own) = own else {
        return Ok(vec!["its program reads no file of `config.extraFiles`".to_owned()]);
    };
    let own: Value = serde_saphyr::from_str(own).context("the configuration of Fluent Bit")?;
    if items(&own, "/pipeline/outputs").next().is_none() {
        faults.push("the configuration of Fluent Bit has no output".to_owned());
    }
    for output in items(&own, "/pipeline/outputs") {
        let (host, port) = (text(output, "/host"), at(output, "/port"));
        let leads = |service: &Object| {
            host == format!("{}.{}.svc", service.name(), service.text("/metadata/namespace"))
                && items(service.value(), "/spec/ports").any(|known| at(known, "/port") == port)
        };
        if !builds.iter().flat_map(|build| build.of_kind("Service")).any(leads) {
            faults.push(format!("no Service is {host}:{port}, where logs are sent"));
        }
    }
    Ok(faults)
}
