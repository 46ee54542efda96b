//! The checks, one test each. A check whose tool is missing is recorded as skipped, with the reason.

use anyhow::Result;
use conformance::tree::Tree;
use conformance::{
    agreement, alerts, circles, compose, containers, dashboards, dependencies, kubernetes, links, routes,
    signatures, terraform, terraform_pages, text, workflows,
};
use programs::{MissingTool, skipped};

pub(crate) type Check = fn(&Tree) -> Result<String>;

macro_rules! checks {
    ($($name:ident: $check:path),+ $(,)?) => {
        /// Every check with its name, in the order of `docs/checks.md`.
        pub(crate) const ALL: &[(&str, Check)] = &[$((stringify!($name), $check)),+];
        $(
            #[test]
            fn $name() {
                let tree = Tree::copy_of(&programs::workspace::root()).unwrap();
                if let Some(checked) = unless_missing(concat!("checks::", stringify!($name)), $check(&tree)) {
                    println!("{}", checked.unwrap_or_else(|error| panic!("{error:#}")));
                }
            }
        )+
    };
}

checks! {
    yaml: text::yaml,
    shell: text::shell,
    secrets: text::secrets,
    links: links::check,
    module_circles: circles::modules,
    alerts: alerts::check,
    alert_routes: routes::check,
    dashboard_types: dashboards::types,
    dashboard_layout: dashboards::layout,
    dependency_terms: dependencies::terms,
    dependency_advisories: dependencies::seeded_advisory,
    dependency_programs: dependencies::carried_crates,
    signatures: signatures::rules,
    workflow_rules: workflows::rules,
    workflow_syntax: workflows::syntax,
    workflow_schemas: workflows::schemas,
    workflow_security: workflows::security,
    container_images: containers::images,
    container_services: containers::services,
    container_configurations: containers::configurations,
    compose_references: compose::references,
    compose_secrets: compose::secrets,
    compose_started: compose::started,
    kubernetes_rules: kubernetes::rules,
    kubernetes_schemas: kubernetes::schemas,
    kubernetes_policies: kubernetes::policies,
    kubernetes_links: kubernetes::links,
    kubernetes_addons: kubernetes::addons,
    kubernetes_class: kubernetes::deploy_class,
    helm: kubernetes::helm,
    helm_values: kubernetes::chart_values,
    terraform_rules: terraform::rules,
    terraform_format: terraform::format,
    terraform_modules: terraform::modules,
    terraform_policies: terraform::policies,
    terraform_pages: terraform_pages::check,
    agreement_of_names: agreement::names,
    agreement_of_texts: agreement::texts,
    agreement_of_environments: agreement::environments,
    agreement_of_times: agreement::times,
}

/// Returns what a check found, or records that it was skipped for want of a tool. Under `--strict` a skip fails.
pub(crate) fn unless_missing<T>(test: &str, found: Result<T>) -> Option<Result<T>> {
    let folder = skipped::folder().unwrap();
    if let Some(missing) = found.as_ref().err().and_then(MissingTool::behind) {
        assert!(!skipped::is_strict(), "{missing}");
        println!("skipped: {missing}");
        skipped::record(&folder, test, &missing.to_string()).unwrap();
        return None;
    }
    skipped::forget(&folder, test).unwrap();
    Some(found)
}
