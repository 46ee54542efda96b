//! Mistakes that people make, made on purpose in a copy of the tree: the check that should notice must fail, and must name
//! the thing.

use std::path::Path;

use conformance::tree::Tree;

use crate::checks::{self, unless_missing};

/// A change of one file.
enum Change {
    /// Replaces a text once.
    Replace(&'static str, &'static str),
    Append(&'static str),
    Remove,
}

use Change::{Append, Remove, Replace};

macro_rules! mistakes {
    ($($mistake:ident: $check:ident in $file:literal, $change:expr => $naming:expr;)+) => {
        /// Every mistake with the check that must notice it.
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($mistake), stringify!($check))),+];
        $(
            #[test]
            fn $mistake() {
                noticed(stringify!($mistake), stringify!($check), $file, &$change, $naming);
            }
        )+
    };
}

/// Makes the mistake and runs the check, which must fail with a line that holds `naming`.
fn noticed(mistake: &str, check: &str, file: &str, change: &Change, naming: &str) {
    let (_, check) = checks::ALL.iter().find(|(name, _)| *name == check).unwrap();
    let mut tree = Tree::copy_of(&programs::workspace::root()).unwrap();
    make(&mut tree, file, change);
    let Some(found) = unless_missing(&format!("mistakes::{mistake}"), check(&tree)) else { return };
    let complaint = format!("{:#}", found.expect_err("the mistake went unnoticed"));
    assert!(complaint.contains(naming), "it is noticed, but not named:\n{complaint}");
}

fn make(tree: &mut Tree, file: &str, change: &Change) {
    let before = || tree.read(Path::new(file)).unwrap();
    let after = match change {
        Remove => return tree.remove(file).unwrap(),
        Append(text) => before() + text,
        Replace(from, to) => {
            let before = before();
            assert!(before.contains(from), "the mistake no longer fits {file}: it does not hold `{from}`");
            before.replacen(from, to, 1)
        }
    };
    tree.write(file, &after).unwrap();
}

#[test]
fn each_check_is_shown_to_fail() {
    let unshown = checks::ALL.iter().filter(|(name, _)| !ALL.iter().any(|(_, check)| check == name));
    assert_eq!(unshown.map(|(name, _)| *name).collect::<Vec<_>>(), Vec::<&str>::new());
}

mistakes! {
    a_page_that_others_link_to_is_gone: links in "docs/importing.md",
        Remove
        => "importing.md` does not exist";
    a_module_that_calls_back: module_circles in "agent/config/src/yaml.rs",
        Replace("use super::diagnostic::{Diagnostic, Level};", "use super::diagnostic::{Diagnostic, Level};\nuse super::reader::At;")
        => "agent/config/src: reader → yaml → reader";
    an_action_by_its_tag: workflow_rules in ".github/workflows/commits.yml",
        Replace("actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "actions/checkout@v7")
        => "`actions/checkout@v7` in the job `conventional` is not pinned";
    a_platform_that_a_delivery_leaves_out: workflow_rules in ".github/workflows/deliver.yml",
        Replace("needs: [publish, dev-on-kubernetes]\n    if: vars.PLATFORM == 'kubernetes'\n", "needs: [publish, dev-on-kubernetes]\n")
        => "deliver.yml: by `PLATFORM` it deploys {\"dev\", \"staging\"} on ECS and {\"dev\"} on Kubernetes";
    an_action_inside_an_action_by_its_tag: workflow_security in ".github/actions/rust/action.yml",
        Replace("@6323deb102c322ba6fcbdcafc7e3dddab59af2b6 # v2.9.2", "@v2")
        => "unpinned-uses";
    a_workflow_that_may_do_everything: workflow_rules in ".github/workflows/deliver.yml",
        Replace("permissions: {}\n", "")
        => "`permissions: {}` is missing";
    a_job_without_permissions_of_its_own: workflow_rules in ".github/workflows/build.yml",
        Replace("    permissions:\n      contents: read\n", "")
        => "the job `image` does not say its `permissions`";
    a_pull_request_title_inside_a_script: workflow_syntax in ".github/workflows/commits.yml",
        Replace("\"$TITLE\"", "\"${{ github.event.pull_request.title }}\"")
        => "github.event.pull_request.title";
    a_checkout_that_leaves_its_credentials: workflow_rules in ".github/workflows/terraform.yml",
        Replace("          persist-credentials: false\n", "          persist-credentials: true\n")
        => "does not say `persist-credentials: false`";
    an_output_nobody_writes: workflow_syntax in ".github/workflows/deploy.yml",
        Replace("steps.canary.outputs.url", "steps.first-share.outputs.url")
        => "first-share";
    a_word_that_the_shell_splits: shell in ".github/scripts/smoke.sh",
        Replace("readonly url=${1:?usage: smoke.sh URL}", "url=$1; ls $url")
        => "SC2086";
    an_image_without_a_user: container_images in "agent/Dockerfile",
        Replace("ENV LOOKOUT_LOG=json\nUSER 65532:65532\n", "ENV LOOKOUT_LOG=json\n")
        => "agent/Dockerfile: the final stage has no `USER`";
    a_package_that_no_image_can_be_built_with: container_images in ".dockerignore",
        Replace("!programs/Cargo.toml\n", "")
        => ".dockerignore: a build does not see programs/Cargo.toml";
    a_port_for_the_whole_network: container_services in "compose.yaml",
        Replace("[\"127.0.0.1:${PROMETHEUS_PORT", "[\"${PROMETHEUS_PORT")
        => "the service `prometheus` publishes";
    a_password_in_the_environment: container_services in "compose.yaml",
        Replace("DB_PASSWORD_FILE: /run/secrets/db-password", "DB_PASSWORD: ${DB_PASSWORD:-titanic}")
        => "has the secret DB_PASSWORD in its environment";
    a_field_that_prometheus_does_not_know: container_configurations in "deploy/compose/prometheus.yml",
        Replace("scrape_timeout", "scrape_time_out")
        => "field scrape_time_out not found";
    alerts_for_a_receiver_that_is_not_there: container_configurations in "deploy/compose/alertmanager.yaml",
        Replace("- name: nobody", "- name: somebody")
        => "undefined receiver \"nobody\"";
    a_key_twice: yaml in "deploy/compose/prometheus.yml",
        Append("global: {}\n")
        => "duplication of key \"global\"";
    // in two pieces, or it would be found right here
    a_leaked_key: secrets in "deploy/compose/prometheus.yml",
        Append(concat!("# access_key: AK", "IAQ4OVTB6LXRN2WKJD\n"))
        => "aws-access-token";
    a_missing_runbook: alerts in "runbooks/TitanicRequestsLatency.md",
        Remove
        => "sends people to runbooks/TitanicRequestsLatency.md";
    a_wrong_metric_in_a_dashboard: alerts in "dashboards/titanic.json",
        Replace("lookout_probe_total{", "lookout_probes_total{")
        => "the metric `lookout_probes_total` is neither recorded";
    an_agent_whose_end_nobody_hears_of: alert_routes in "k8s/components/standalone-agent/agent.yaml",
        Replace("      - matchType: '='\n        name: service\n        value: lookout", "      - matchType: '='\n        name: service\n        value: lookut")
        => "k8s/overlays/prod: {service=lookout, severity=critical} goes to \"titanic-prod/lookout/nobody\"";
    an_alertmanager_that_repeats_what_the_agent_tells: alert_routes in "k8s/lookout/files/lookout.alertmanagerconfig.yaml",
        Replace("receiver: nobody", "receiver: slack")
        => "k8s/lookout/ci/podinfo-values.yaml: {service=titanic, severity=critical, slo=probes-availability} goes to \"lookout/lookout/slack\", Agent is told";
    routes_that_the_manifests_do_not_have: helm in "k8s/lookout/files/lookout.alertmanagerconfig.yaml",
        Replace("groupWait: 1s", "groupWait: 1m")
        => "k8s/components/standalone-agent/agent.yaml is not what k8s/lookout and";
    an_address_of_slack_where_nobody_reads_it: alert_routes in "deploy/compose/paging.yaml",
        Replace("target: /etc/alertmanager/secrets/slack-webhook-url", "target: /run/secrets/slack-webhook-url")
        => "does not put the address of Slack where alerts/alertmanager.yaml reads it";
    routes_that_are_generated_for_nobody: alert_routes in "deploy/compose/paging.yaml",
        Replace("./alerts/alertmanager.yaml", "./deploy/compose/alertmanager.yaml")
        => "does not mount ./alerts/alertmanager.yaml:/etc/alertmanager/alertmanager.yaml:ro";
    an_alertmanager_that_groups_by_itself: alert_routes in "deploy/compose/alertmanager.yaml",
        Replace("group_by: [service, slo, env]", "group_by: [alertname]")
        => "deploy/compose/alertmanager.yaml: groups by [\"alertname\"]";
    a_width_in_quotes: dashboard_types in "dashboards/overview.json",
        Replace("\"w\": 6", "\"w\": \"6\"")
        => "gridPos.w: '6' is not of type 'integer'";
    a_misspelt_option_of_a_panel: dashboard_types in "dashboards/titanic.json",
        Replace("\"justifyMode\"", "\"justifymode\"")
        => "options: Additional properties are not allowed ('justifymode' was unexpected)";
    an_override_of_another_kind_of_panel: dashboard_types in "dashboards/overview.json",
        Replace("\"custom.cellOptions\"", "\"custom.lineWidth\"")
        => "'custom.lineWidth' is not one of";
    a_panel_on_top_of_its_neighbour: dashboard_layout in "dashboards/overview.json",
        Replace("\"x\": 6", "\"x\": 5")
        => "the panels `Pages firing` and `Tickets firing` cover each other";
    a_panel_beyond_the_grid: dashboard_types in "dashboards/overview.json",
        Replace("\"x\": 18", "\"x\": 24")
        => "gridPos.x: 24 is greater than the maximum of 23";
    a_grafana_that_nobody_checked_against: dashboard_types in "compose.yaml",
        Replace("grafana/grafana:12.1.1", "grafana/grafana:12.2.0")
        => "is made of the types of Grafana 12.1.1";
    a_flag_that_prometheus_does_not_know: compose_started in "compose.yaml",
        Replace("--storage.tsdb.retention.size", "--storage.tsdb.retention-size")
        => "unknown long flag '--storage.tsdb.retention-size'";
    rules_mounted_where_nobody_looks: compose_started in "compose.yaml",
        Replace("./alerts:/etc/prometheus/alerts:ro", "./runbooks:/etc/prometheus/alerts:ro")
        => "Prometheus read 0 groups of rules, of ";
    a_scrape_of_a_port_that_is_not_there: compose_references in "deploy/compose/prometheus.yml",
        Replace("titanic:8081", "titanic:8082")
        => "deploy/compose/prometheus.yml: `titanic` does not listen at 8082";
    a_misspelt_field_of_a_provisioned_source: compose_references in "deploy/compose/grafana/datasources/prometheus.yaml",
        Replace("isDefault", "isdefault")
        => "'isdefault' was unexpected";
    a_folder_of_dashboards_that_is_not_mounted: compose_references in "deploy/compose/grafana/dashboards/lookout.yaml",
        Replace("/etc/dashboards", "/etc/grafana/dashboards")
        => "Grafana's container has no folder /etc/grafana/dashboards";
    a_secret_that_nobody_makes: compose_secrets in "deploy/compose/secrets.sh",
        Replace("db-password admin-token grafana-password", "db-password admin-token")
        => "does not make deploy/compose/secrets/grafana-password.txt";
    a_container_as_root: kubernetes_rules in "k8s/base/deployment.yaml",
        Replace("runAsNonRoot: true\n        runAsUser: 65532", "runAsNonRoot: false\n        runAsUser: 0")
        => "Deployment titanic: securityContext.runAsNonRoot is false";
    a_missing_memory_limit: kubernetes_rules in "k8s/base/deployment.yaml",
        Replace("              memory: 128Mi\n", "")
        => "container titanic: resources.limits.memory is missing";
    a_broken_patch_in_an_overlay: kubernetes_rules in "k8s/overlays/prod/kustomization.yaml",
        Replace("topologySpreadConstraints/0", "topologySpreadConstraint/0")
        => "k8s/overlays/prod";
    an_image_that_is_whatever_is_latest: kubernetes_rules in "k8s/components/sidecar/agent/kustomization.yaml",
        Replace("lookout:0.1.0", "lookout:latest")
        => "lookout:latest is whatever is latest";
    an_image_in_production_by_version: kubernetes_rules in "k8s/images/prod/kustomization.yaml",
        Replace("digest: sha256:0000000000000000000000000000000000000000000000000000000000000000", "newTag: 0.1.0")
        => "titanic:0.1.0 is not named by digest";
    a_network_policy_that_is_open: kubernetes_rules in "k8s/components/monitoring/network-policy.yaml",
        Replace("matchLabels:\n              kubernetes.io/metadata.name: monitoring\n", "{}\n")
        => "titanic-from-prometheus: ingress is open to every namespace";
    no_time_to_drain: kubernetes_rules in "k8s/base/kustomization.yaml",
        Replace("DRAIN_SECONDS=10", "DRAIN_SECONDS=30")
        => "terminationGracePeriodSeconds is 40, but the service drains 30 s";
    a_service_for_a_port_that_is_not_there: kubernetes_rules in "k8s/base/service.yaml",
        Replace("targetPort: admin", "targetPort: metrics")
        => "Service titanic: its pods have no port \"metrics\"";
    an_agent_that_is_not_what_the_chart_gives: helm in "k8s/components/standalone-agent/agent.yaml",
        Replace("replicas: 1", "replicas: 2")
        => "is not what k8s/lookout and";
    an_agent_that_the_rules_about_it_do_not_know: agreement_of_names in "k8s/components/monitoring-sidecar/service-monitor.yaml",
        Replace("replacement: lookout", "replacement: agent")
        => "the job by which Prometheus scrapes the agent is not the same everywhere";
    a_chart_whose_claim_is_not_the_mounted_one: helm in "k8s/lookout/templates/agent.yaml",
        Replace("        name: lookout-ledger\n", "        name: ledger\n")
        => "is not what k8s/lookout and";
    a_value_that_nobody_describes: helm_values in "k8s/lookout/values.yaml",
        Replace("imagePullSecrets: []\n", "imagePullSecrets: []\nreplicas: 1\n")
        => "values.schema.json does not describe `replicas`";
    a_value_that_does_nothing: helm_values in "k8s/lookout/templates/agent.yaml",
        Replace("\"tolerations\" ", "")
        => "no template reads `tolerations`";
    a_value_without_an_example: helm_values in "k8s/lookout/ci/podinfo-values.yaml",
        Replace("  tlsSecret: lookout-tls\n", "")
        => "no example sets `ingress.tlsSecret`";
    a_value_that_the_chart_does_not_know: helm in "k8s/lookout/ci/podinfo-values.yaml",
        Replace("externalUrl", "externalURL")
        => "externalURL";
    a_webhook_that_no_secret_holds: kubernetes_rules in "k8s/components/standalone-agent/agent.yaml",
        Replace("key: slack-webhook-url\n        name: lookout", "key: slack-webhook\n        name: lookout")
        => "AlertmanagerConfig lookout: the Secret lookout has no key \"slack-webhook\"";
    a_licence_that_nobody_agreed_to: dependency_terms in "deny.toml",
        Replace("  \"MIT\",\n", "")
        => "rejected";
    an_advisory_that_is_overlooked: dependency_advisories in "deny.toml",
        Replace("ignore = []", "ignore = [\"RUSTSEC-2026-9999\"]")
        => "lets a vulnerable itoa pass";
    a_release_without_its_list_of_crates: dependency_programs in ".github/scripts/release-binaries.sh",
        Replace("cargo auditable build --release", "cargo build --release")
        => "release-binaries.sh:18: the program carries no list of its crates";
    a_release_that_nobody_looks_into: dependency_programs in ".github/scripts/audit-release.sh",
        Replace("cargo audit bin", "cargo audit --version")
        => "lets a program with a vulnerable itoa pass";
    a_signature_of_any_workflow: signatures in ".github/scripts/verify.sh",
        Replace("publish\\\\.yml", "[a-z]+\\\\.yml")
        => "accepts what https://github.com/lookout-dev/lookout/.github/workflows/ci.yml@refs/heads/main";
    a_chart_that_anybody_signed: signatures in ".github/scripts/publish-chart.sh",
        Replace("--certificate-identity \"https://github.com/$GITHUB_REPOSITORY/.github/workflows/publish.yml@$GITHUB_REF\"", "--certificate-identity-regexp github")
        => "publish-chart.sh accepts what https://github.com/someone/lookout";
    a_signature_that_anybody_may_vouch_for: signatures in "k8s/policies/signed-images.yaml",
        Replace("issuer: https://token.actions.githubusercontent.com", "issuer: https://gitlab.com")
        => "signed-images.yaml refuses";
    a_link_that_leads_to_another_host: kubernetes_links in "k8s/components/monitoring/links.yaml",
        Replace("https:", "http:")
        => "runbook_url leads to http://";
    a_runbook_that_asks_the_wrong_machine: kubernetes_links in "runbooks/TitanicRequestsLatency.md",
        Replace("\"${SERVICE_URL:-http://127.0.0.1:8080}/api", "\"http://127.0.0.1:8080/api")
        => "TitanicRequestsLatency.md sends people to this machine";
    a_host_of_the_agent_that_nobody_listens_to: kubernetes_links in "k8s/components/environment/lookout-host.yaml",
        Replace("[name=lookout].hostname", "[name=http].hostname")
        => "no Gateway listens to lookout";
    a_page_that_no_proxy_may_ask_for: kubernetes_links in "k8s/overlays/dev/lookout-route.yaml",
        Replace("          port: 9797\n      timeouts", "          port: 9798\n      timeouts")
        => "HTTPRoute lookout: no Service is titanic:9798";
    a_sidecar_that_only_a_pipeline_reaches: kubernetes_links in "k8s/overlays/dev/lookout-route.yaml",
        Replace("kubernetes.io/metadata.name: envoy-gateway-system", "kubernetes.io/metadata.name: envoy-system")
        => "k8s/overlays/dev: HTTPRoute lookout: no NetworkPolicy lets the proxies of the Gateway reach titanic:9797";
    an_agent_that_no_proxy_reaches: kubernetes_links in "k8s/components/standalone-agent/agent.yaml",
        Replace("kubernetes.io/metadata.name: envoy-gateway-system", "kubernetes.io/metadata.name: envoy-system")
        => "k8s/overlays/prod: HTTPRoute lookout: no NetworkPolicy lets the proxies of the Gateway reach lookout:9797";
    a_runbook_that_no_agent_carries: kubernetes_links in "runbooks/kustomization.yaml",
        Replace("      - LookoutDown.md\n", "")
        => "the agent has no runbook LookoutDown.md";
    a_collector_that_nobody_installs: kubernetes_rules in "k8s/argocd/application-set.yaml",
        Replace("                - { part: collector, wave: \"-1\", folder: k8s/cluster/collector }\n", "")
        => "k8s/argocd: no part of the ApplicationSet is k8s/cluster/collector";
    a_namespace_that_argo_cd_may_not_write: kubernetes_rules in "k8s/argocd/project.yaml",
        Replace("    - name: prod\n      namespace: telemetry\n", "")
        => "k8s/argocd: the AppProject has no destination telemetry in prod";
    an_undo_that_lasts: kubernetes_class in "k8s/overlays/prod/site.yaml",
        Replace("DEPLOY_CLASS: feature", "DEPLOY_CLASS: rollback")
        => "k8s/overlays/prod/site.yaml: DEPLOY_CLASS rollback was written for other manifests";
    an_operator_that_no_cluster_has: kubernetes_addons in "k8s/cluster/addons.json",
        Replace("\"external-secrets.io\"", "\"external-secret.io\"")
        => "brings external-secrets.io";
    an_autoscaler_of_another_release: kubernetes_addons in "k8s/cluster/addons.json",
        Replace("\"1.35.0\"", "\"1.34.5\"")
        => "cluster-autoscaler 1.34.5 belongs to another release than 1.35";
    values_of_an_add_on_without_a_version: kubernetes_addons in "k8s/cluster/addons.json",
        Replace(", \"values\": \"fluent-bit\"", "")
        => "no add-on has k8s/cluster/values/fluent-bit.yaml";
    a_chart_that_brings_another_version: kubernetes_addons in "k8s/cluster/addons.json",
        Replace("\"version\": \"5.0.5\"", "\"version\": \"5.1.1\"")
        => "the chart fluent-bit 0.57.5 brings fluent-bit 5.0.5, not 5.1.1";
    a_chart_that_nobody_pins: kubernetes_addons in "k8s/cluster/addons.json",
        Replace(", \"chart\": \"kyverno 3.8.2\"", "")
        => "kyverno pins no chart";
    a_chart_whose_keys_nobody_knows: kubernetes_addons in "k8s/cluster/addons.json",
        Replace("kube-prometheus-stack 77.14.0", "kube-prometheus-stack 88.5.3")
        => "knows nothing of the chart kube-prometheus-stack 88.5.3";
    a_value_that_its_chart_does_not_have: kubernetes_addons in "k8s/cluster/values/kube-prometheus-stack.yaml",
        Replace("ruleNamespaceSelector", "rulesNamespaceSelector")
        => "the chart kube-prometheus-stack 77.14.0 has no value `prometheus.prometheusSpec.rulesNamespaceSelector`";
    an_installation_of_another_chart: kubernetes_addons in "k8s/README.md",
        Replace("--version 9.59.0", "--version 9.58.0")
        => "k8s/README.md installs cluster-autoscaler 9.58.0";
    an_account_without_a_role: kubernetes_addons in "k8s/cluster/values/external-dns.yaml",
        Replace("serviceAccount: { name: external-dns }", "serviceAccount: { name: dns }")
        => "its service account is not external-dns/external-dns";
    a_prometheus_that_looks_into_other_namespaces: kubernetes_addons in "k8s/cluster/values/kube-prometheus-stack.yaml",
        Replace("titanic-staging, titanic-prod]", "titanic-staging]")
        => "no ServiceMonitor of k8s/overlays/prod is in a namespace that it selects";
    a_prometheus_that_ignores_its_own_rules: kubernetes_addons in "k8s/cluster/values/kube-prometheus-stack.yaml",
        Replace("values: [monitoring, ", "values: [")
        => "each PrometheusRule of the chart itself is ignored";
    a_gateway_whose_annotation_nobody_reads: kubernetes_addons in "k8s/cluster/values/cert-manager.yaml",
        Replace("  enableGatewayAPI: true\n", "")
        => "k8s/overlays/prod: cert-manager ignores the annotation of the Gateway";
    a_configuration_that_no_chart_takes: kubernetes_addons in "k8s/cluster/values/fluent-bit.yaml",
        Replace("  extraFiles:\n", "  files:\n")
        => "its program reads no file of `config.extraFiles`";
    logs_that_are_sent_nowhere: kubernetes_addons in "k8s/cluster/values/fluent-bit.yaml",
        Replace("port: 4318", "port: 4319")
        => "no Service is otel-collector.telemetry.svc:4319";
    names_in_a_domain_that_nobody_writes: kubernetes_addons in "k8s/cluster/values/external-dns.yaml",
        Replace("domainFilters: [example.org]", "domainFilters: [example.com]")
        => "titanic.example.org is in none of the domains that it writes";
    a_certificate_that_nobody_can_prove: kubernetes_addons in "k8s/cluster/certificate-issuer.yaml",
        Replace("dnsZones: [example.org]", "dnsZones: [example.com]")
        => "proves no name in titanic.example.org";
    a_gateway_of_no_class: kubernetes_addons in "k8s/components/gateway-tls/gateway.yaml",
        Replace("gatewayClassName: envoy", "gatewayClassName: nginx")
        => "there is no GatewayClass nginx";
    a_ledger_that_goes_with_its_claim: kubernetes_addons in "k8s/cluster/storage-class.yaml",
        Replace("reclaimPolicy: Retain", "reclaimPolicy: Delete")
        => "a claim that is deleted takes its volume with it";
    a_ledger_that_nobody_copies: kubernetes_addons in "k8s/cluster/storage-class.yaml",
        Replace("lookout.dev/backup=daily", "lookout.dev/backup=weekly")
        => "AWS Backup selects another tag";
    an_autoscaler_without_figures: kubernetes_addons in "terraform/modules/eks/main.tf",
        Replace(", \"metrics-server\"]", "]")
        => "a HorizontalPodAutoscaler does nothing without \"metrics-server\"";
    a_node_whose_disk_is_readable: terraform_modules in "terraform/modules/eks/main.tf",
        Replace("        encrypted             = true\n", "        encrypted             = false\n")
        => "disks must be encrypted";
    a_misspelt_field_of_an_operator: kubernetes_schemas in "k8s/components/monitoring/service-monitor.yaml",
        Replace("scrapeTimeout", "scrapeTimeOut")
        => "scrapeTimeOut";
    an_open_security_group: terraform_rules in "terraform/modules/database/access.tf",
        Replace("referenced_security_group_id = aws_security_group.client.id", "cidr_ipv4                    = \"0.0.0.0/0\"")
        => "is open to the internet";
    an_admin_port_on_the_load_balancer: terraform_modules in "terraform/modules/edge/main.tf",
        Replace("{ http = 80, https = 443 }", "{ http = 80, https = 443, admin = 8081 }")
        => "80 and 443 are open to everybody, and nothing else";
    a_public_database: terraform_modules in "terraform/modules/database/main.tf",
        Replace("publicly_accessible    = false", "publicly_accessible    = true")
        => "the database must be private";
    a_database_that_is_not_encrypted: terraform_modules in "terraform/modules/database/main.tf",
        Replace("  storage_encrypted     = true\n", "")
        => "private_encrypted_and_backed_up";
    a_wrong_attribute_name: terraform_modules in "terraform/modules/network/main.tf",
        Replace("enable_dns_support  ", "enable_dns_supports ")
        => "An argument named \"enable_dns_supports\" is not expected here";
    a_deployment_that_is_never_taken_back: terraform_modules in "terraform/modules/ecs/service.tf",
        Replace("    enable   = true\n    rollback = true", "    enable   = true\n    rollback = false")
        => "the circuit breaker must roll back";
    a_cloud_role_for_any_repository: terraform_modules in "terraform/modules/identity/main.tf",
        Replace("\"repo:${repository}:environment:${each.value}\"", "\"repo:*\"")
        => "trust must name the exact repository";
    a_node_that_hands_out_no_roles: terraform_modules in "terraform/modules/identity/main.tf",
        Replace("\"eks-auth:AssumeRoleForPodIdentity\", ", "")
        => "nodes must get the roles of pods";
    a_plan_that_reads_former_states: terraform_modules in "terraform/modules/identity/policies.tf",
        Replace("\"s3:GetObjectVersion\", ", "")
        => "no former state";
    a_database_in_the_network_of_another_environment: agreement_of_environments in "k8s/overlays/prod/site.yaml",
        Replace("10.40.128.0/18", "10.30.128.0/18")
        => "does not say `DATABASE_NETWORK: 10.40.128.0/18`";
    a_collector_that_reaches_no_endpoint: agreement_of_environments in "k8s/cluster/collector/network-policies.yaml",
        Replace("cidr: 10.40.64.0/18", "cidr: 10.40.0.0/18")
        => "does not let the collector reach 10.40.64.0/18";
    a_port_that_only_one_side_moved: agreement_of_names in "terraform/modules/ecs/main.tf",
        Replace("admin_port     = 8081", "admin_port     = 9090")
        => "the admin port is not the same everywhere";
    a_way_back_that_is_gone_before_the_gate_speaks: agreement_of_times in "terraform/environment/dev.tfvars",
        Replace("bake_minutes         = 10", "bake_minutes         = 5")
        => "old tasks go after 300 s";
    an_interval_that_dependabot_does_not_know: workflow_schemas in ".github/dependabot.yml",
        Replace("interval: weekly", "interval: fortnightly")
        => "'fortnightly' is not one of";
    a_root_file_system_that_a_container_may_write: kubernetes_policies in "k8s/base/deployment.yaml",
        Replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
        => "CKV_K8S_22";
    a_module_that_nobody_formatted: terraform_format in "terraform/modules/registry/main.tf",
        Replace("  for_each = var.repositories", "  for_each   = var.repositories")
        => "terraform/modules/registry/main.tf";
    a_registry_whose_tags_can_be_moved: terraform_policies in "terraform/modules/registry/main.tf",
        Replace("\"IMMUTABLE\"", "\"MUTABLE\"")
        => "CKV_AWS_51";
    a_rollout_that_asks_the_gate_without_a_token: kubernetes_rules in "k8s/components/canary-argo-rollouts/analysis.yaml",
        Replace("value: Bearer {{args.token}}\n", "value: nothing\n")
        => "asks the gate without its token";
    an_input_that_its_page_does_not_have: terraform_pages in "terraform/modules/registry/variables.tf",
        Append("\nvariable \"new\" {\n  type = string\n}\n")
        => "terraform/modules/registry/README.md";
    a_trail_of_one_region: terraform_modules in "terraform/modules/account/trail.tf",
        Replace("is_multi_region_trail         = true", "is_multi_region_trail         = false")
        => "the trail must cover every region";
    an_image_that_keeps_its_own_database: agreement_of_texts in "k8s/base/kustomization.yaml",
        Replace("      - DATABASE_URL=\n", "")
        => "does not say `- DATABASE_URL=`";
}
