//! Mistakes that people make, made on purpose in a copy of the tree: the check that should notice must fail, and must
//! name the thing.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::checks::Check;
use super::tree::Tree;

/// One mistake.
struct Mutation {
    /// What someone did.
    mistake: &'static str,
    /// Where.
    file: &'static str,
    /// What changes: text to be replaced once, and what replaces it.
    change: Change,
    /// Who must notice.
    caught_by: Check,
    /// A word of what it must say.
    naming: &'static str,
}

enum Change {
    Replace(&'static str, &'static str),
    Append(&'static str),
    Remove,
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        mistake: "a page that others link to is gone",
        file: "docs/importing.md",
        change: Change::Remove,
        caught_by: Check::Links,
        naming: "importing.md` does not exist",
    },
    Mutation {
        mistake: "an action by its tag",
        file: ".github/workflows/commits.yml",
        change: Change::Replace(
            "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
            "actions/checkout@v7",
        ),
        caught_by: Check::Workflows,
        naming: "`actions/checkout@v7` in the job `conventional` is not pinned",
    },
    Mutation {
        mistake: "an action inside an action by its tag",
        file: ".github/actions/rust/action.yml",
        change: Change::Replace("@6323deb102c322ba6fcbdcafc7e3dddab59af2b6 # v2.9.2", "@v2"),
        caught_by: Check::Workflows,
        naming: "unpinned-uses",
    },
    Mutation {
        mistake: "a workflow that may do everything",
        file: ".github/workflows/deliver.yml",
        change: Change::Replace("permissions: {}\n", ""),
        caught_by: Check::Workflows,
        naming: "`permissions: {}` is missing",
    },
    Mutation {
        mistake: "a job without permissions of its own",
        file: ".github/workflows/build.yml",
        change: Change::Replace("    permissions:\n      contents: read\n", ""),
        caught_by: Check::Workflows,
        naming: "the job `image` does not say its `permissions`",
    },
    Mutation {
        mistake: "a pull request's title inside a script",
        file: ".github/workflows/commits.yml",
        change: Change::Replace("\"$TITLE\"", "\"${{ github.event.pull_request.title }}\""),
        caught_by: Check::Workflows,
        naming: "github.event.pull_request.title",
    },
    Mutation {
        mistake: "a checkout that leaves its credentials",
        file: ".github/workflows/terraform.yml",
        change: Change::Replace(
            "          persist-credentials: false\n",
            "          persist-credentials: true\n",
        ),
        caught_by: Check::Workflows,
        naming: "does not say `persist-credentials: false`",
    },
    Mutation {
        mistake: "an output nobody writes",
        file: ".github/workflows/deploy.yml",
        change: Change::Replace("steps.canary.outputs.url", "steps.first-share.outputs.url"),
        caught_by: Check::Workflows,
        naming: "first-share",
    },
    Mutation {
        mistake: "a word that the shell splits",
        file: ".github/scripts/smoke.sh",
        change: Change::Replace("readonly url=${1:?usage: smoke.sh URL}", "url=$1; ls $url"),
        caught_by: Check::Shell,
        naming: "SC2086",
    },
    Mutation {
        mistake: "an image without a user",
        file: "agent/Dockerfile",
        change: Change::Replace("ENV LOOKOUT_LOG=json\nUSER 65532:65532\n", "ENV LOOKOUT_LOG=json\n"),
        caught_by: Check::Containers,
        naming: "agent/Dockerfile: the final stage has no `USER`",
    },
    Mutation {
        mistake: "a port for the whole network",
        file: "compose.yaml",
        change: Change::Replace("[\"127.0.0.1:${PROMETHEUS_PORT", "[\"${PROMETHEUS_PORT"),
        caught_by: Check::Containers,
        naming: "the service `prometheus` publishes",
    },
    Mutation {
        mistake: "a password in the environment",
        file: "compose.yaml",
        change: Change::Replace(
            "DB_PASSWORD_FILE: /run/secrets/db-password",
            "DB_PASSWORD: ${DB_PASSWORD:-titanic}",
        ),
        caught_by: Check::Containers,
        naming: "has the secret DB_PASSWORD in its environment",
    },
    Mutation {
        mistake: "a field that Prometheus does not know",
        file: "deploy/compose/prometheus.yml",
        change: Change::Replace("scrape_timeout", "scrape_time_out"),
        caught_by: Check::Containers,
        naming: "field scrape_time_out not found",
    },
    Mutation {
        mistake: "alerts for a receiver that is not there",
        file: "deploy/compose/alertmanager.yaml",
        change: Change::Replace("- name: nobody", "- name: somebody"),
        caught_by: Check::Containers,
        naming: "undefined receiver \"nobody\"",
    },
    Mutation {
        mistake: "a key twice",
        file: "deploy/compose/prometheus.yml",
        change: Change::Append("global: {}\n"),
        caught_by: Check::Yaml,
        naming: "duplication of key \"global\"",
    },
    Mutation {
        mistake: "a leaked key",
        file: "deploy/compose/prometheus.yml",
        // in two pieces, or it would be found right here
        change: Change::Append(concat!("# access_key: AK", "IAQ4OVTB6LXRN2WKJD\n")),
        caught_by: Check::Secrets,
        naming: "aws-access-token",
    },
    Mutation {
        mistake: "a missing runbook",
        file: "runbooks/TitanicRequestsLatency.md",
        change: Change::Remove,
        caught_by: Check::Alerts,
        naming: "sends people to runbooks/TitanicRequestsLatency.md",
    },
    Mutation {
        mistake: "a wrong metric in a dashboard",
        file: "dashboards/titanic.json",
        change: Change::Replace("lookout_probe_total{", "lookout_probes_total{"),
        caught_by: Check::Alerts,
        naming: "the metric `lookout_probes_total` is neither recorded",
    },
    Mutation {
        mistake: "a width in quotes",
        file: "dashboards/overview.json",
        change: Change::Replace("\"w\": 6", "\"w\": \"6\""),
        caught_by: Check::Dashboards,
        naming: "gridPos.w: '6' is not of type 'integer'",
    },
    Mutation {
        mistake: "a misspelt option of a panel",
        file: "dashboards/titanic.json",
        change: Change::Replace("\"justifyMode\"", "\"justifymode\""),
        caught_by: Check::Dashboards,
        naming: "options: Additional properties are not allowed ('justifymode' was unexpected)",
    },
    Mutation {
        mistake: "an override of another kind of panel",
        file: "dashboards/overview.json",
        change: Change::Replace("\"custom.cellOptions\"", "\"custom.lineWidth\""),
        caught_by: Check::Dashboards,
        naming: "'custom.lineWidth' is not one of",
    },
    Mutation {
        mistake: "a panel on top of its neighbour",
        file: "dashboards/overview.json",
        change: Change::Replace("\"x\": 6", "\"x\": 5"),
        caught_by: Check::Dashboards,
        naming: "the panels `Pages firing` and `Tickets firing` cover each other",
    },
    Mutation {
        mistake: "a panel beyond the grid",
        file: "dashboards/overview.json",
        change: Change::Replace("\"x\": 18", "\"x\": 24"),
        caught_by: Check::Dashboards,
        naming: "gridPos.x: 24 is greater than the maximum of 23",
    },
    Mutation {
        mistake: "a Grafana that nobody checked against",
        file: "compose.yaml",
        change: Change::Replace("grafana/grafana:12.1.1", "grafana/grafana:12.2.0"),
        caught_by: Check::Dashboards,
        naming: "is made of the types of Grafana 12.1.1",
    },
    Mutation {
        mistake: "a flag that Prometheus does not know",
        file: "compose.yaml",
        change: Change::Replace("--storage.tsdb.retention.size", "--storage.tsdb.retention-size"),
        caught_by: Check::Compose,
        naming: "unknown long flag '--storage.tsdb.retention-size'",
    },
    Mutation {
        mistake: "rules mounted where nobody looks",
        file: "compose.yaml",
        change: Change::Replace("./alerts:/etc/prometheus/alerts:ro", "./runbooks:/etc/prometheus/alerts:ro"),
        caught_by: Check::Compose,
        naming: "Prometheus read 0 groups of rules, of ",
    },
    Mutation {
        mistake: "a scrape of a port that is not there",
        file: "deploy/compose/prometheus.yml",
        change: Change::Replace("titanic:8081", "titanic:8082"),
        caught_by: Check::Compose,
        naming: "deploy/compose/prometheus.yml: `titanic` does not listen at 8082",
    },
    Mutation {
        mistake: "a misspelt field of a provisioned source",
        file: "deploy/compose/grafana/datasources/prometheus.yaml",
        change: Change::Replace("isDefault", "isdefault"),
        caught_by: Check::Compose,
        naming: "'isdefault' was unexpected",
    },
    Mutation {
        mistake: "a folder of dashboards that is not mounted",
        file: "deploy/compose/grafana/dashboards/lookout.yaml",
        change: Change::Replace("/etc/dashboards", "/etc/grafana/dashboards"),
        caught_by: Check::Compose,
        naming: "Grafana's container has no folder /etc/grafana/dashboards",
    },
    Mutation {
        mistake: "a secret that nobody makes",
        file: "deploy/compose/secrets.sh",
        change: Change::Replace("db-password admin-token grafana-password", "db-password admin-token"),
        caught_by: Check::Compose,
        naming: "does not make deploy/compose/secrets/grafana-password.txt",
    },
    Mutation {
        mistake: "a container as root",
        file: "k8s/base/deployment.yaml",
        change: Change::Replace(
            "runAsNonRoot: true\n        runAsUser: 65532",
            "runAsNonRoot: false\n        runAsUser: 0",
        ),
        caught_by: Check::Kubernetes,
        naming: "Deployment titanic: securityContext.runAsNonRoot is false",
    },
    Mutation {
        mistake: "a missing memory limit",
        file: "k8s/base/deployment.yaml",
        change: Change::Replace("              memory: 128Mi\n", ""),
        caught_by: Check::Kubernetes,
        naming: "container titanic: resources.limits.memory is missing",
    },
    Mutation {
        mistake: "a broken patch in an overlay",
        file: "k8s/overlays/prod/kustomization.yaml",
        change: Change::Replace("topologySpreadConstraints/0", "topologySpreadConstraint/0"),
        caught_by: Check::Kubernetes,
        naming: "k8s/overlays/prod",
    },
    Mutation {
        mistake: "an image that is whatever is latest",
        file: "k8s/components/sidecar/agent/kustomization.yaml",
        change: Change::Replace("lookout:0.1.0", "lookout:latest"),
        caught_by: Check::Kubernetes,
        naming: "lookout:latest is whatever is latest",
    },
    Mutation {
        mistake: "an image in production by version",
        file: "k8s/overlays/prod/kustomization.yaml",
        change: Change::Replace(
            "digest: sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "newTag: 0.1.0",
        ),
        caught_by: Check::Kubernetes,
        naming: "titanic:0.1.0 is not named by digest",
    },
    Mutation {
        mistake: "a network policy that is open",
        file: "k8s/components/monitoring/network-policy.yaml",
        change: Change::Replace(
            "matchLabels:\n              kubernetes.io/metadata.name: monitoring\n",
            "{}\n",
        ),
        caught_by: Check::Kubernetes,
        naming: "titanic-from-prometheus: ingress is open to every namespace",
    },
    Mutation {
        mistake: "no time to drain",
        file: "k8s/base/kustomization.yaml",
        change: Change::Replace("DRAIN_SECONDS=10", "DRAIN_SECONDS=30"),
        caught_by: Check::Kubernetes,
        naming: "terminationGracePeriodSeconds is 40, but the service drains 30 s",
    },
    Mutation {
        mistake: "a service for a port that is not there",
        file: "k8s/base/service.yaml",
        change: Change::Replace("targetPort: admin", "targetPort: metrics"),
        caught_by: Check::Kubernetes,
        naming: "Service titanic: its pods have no port \"metrics\"",
    },
    Mutation {
        mistake: "an agent that is not what the chart gives",
        file: "k8s/components/standalone-agent/agent.yaml",
        change: Change::Replace("replicas: 1", "replicas: 2"),
        caught_by: Check::Helm,
        naming: "is not what k8s/lookout and",
    },
    Mutation {
        mistake: "an agent that the rules about it do not know",
        file: "k8s/components/monitoring-sidecar/service-monitor.yaml",
        change: Change::Replace("replacement: lookout", "replacement: agent"),
        caught_by: Check::Agreement,
        naming: "the job by which Prometheus scrapes the agent is not the same everywhere",
    },
    Mutation {
        mistake: "a chart whose pods run as root",
        file: "k8s/lookout/templates/agent.yaml",
        change: Change::Replace("runAsUser: 65532", "runAsUser: 0"),
        caught_by: Check::Helm,
        naming: "is not what k8s/lookout and",
    },
    Mutation {
        mistake: "a value that the chart does not know",
        file: "k8s/lookout/ci/podinfo-values.yaml",
        change: Change::Replace("externalUrl", "externalURL"),
        caught_by: Check::Helm,
        naming: "externalURL",
    },
    Mutation {
        mistake: "a misspelt field of an operator",
        file: "k8s/components/monitoring/service-monitor.yaml",
        change: Change::Replace("scrapeTimeout", "scrapeTimeOut"),
        caught_by: Check::Kubernetes,
        naming: "scrapeTimeOut",
    },
    Mutation {
        mistake: "an open security group",
        file: "terraform/modules/database/access.tf",
        change: Change::Replace(
            "referenced_security_group_id = aws_security_group.client.id",
            "cidr_ipv4                    = \"0.0.0.0/0\"",
        ),
        caught_by: Check::Terraform,
        naming: "is open to the internet",
    },
    Mutation {
        mistake: "an admin port on the load balancer",
        file: "terraform/modules/edge/main.tf",
        change: Change::Replace("{ http = 80, https = 443 }", "{ http = 80, https = 443, admin = 8081 }"),
        caught_by: Check::Terraform,
        naming: "80 and 443 are open to everybody, and nothing else",
    },
    Mutation {
        mistake: "a public database",
        file: "terraform/modules/database/main.tf",
        change: Change::Replace("publicly_accessible    = false", "publicly_accessible    = true"),
        caught_by: Check::Terraform,
        naming: "the database must be private",
    },
    Mutation {
        mistake: "a database that is not encrypted",
        file: "terraform/modules/database/main.tf",
        change: Change::Replace("  storage_encrypted     = true\n", ""),
        caught_by: Check::Terraform,
        naming: "private_encrypted_and_backed_up",
    },
    Mutation {
        mistake: "a wrong attribute name",
        file: "terraform/modules/network/main.tf",
        change: Change::Replace("enable_dns_support  ", "enable_dns_supports "),
        caught_by: Check::Terraform,
        naming: "An argument named \"enable_dns_supports\" is not expected here",
    },
    Mutation {
        mistake: "a deployment that is never taken back",
        file: "terraform/modules/ecs-service/main.tf",
        change: Change::Replace(
            "    enable   = true\n    rollback = true",
            "    enable   = true\n    rollback = false",
        ),
        caught_by: Check::Terraform,
        naming: "the circuit breaker must roll back",
    },
    Mutation {
        mistake: "a cloud role for any repository",
        file: "terraform/modules/identity/main.tf",
        change: Change::Replace("\"repo:${repository}:environment:${each.value}\"", "\"repo:*\""),
        caught_by: Check::Terraform,
        naming: "trust must name the exact repository",
    },
    Mutation {
        mistake: "a database in the network of another environment",
        file: "k8s/overlays/prod/site.yaml",
        change: Change::Replace("10.40.128.0/18", "10.30.128.0/18"),
        caught_by: Check::Agreement,
        naming: "does not say `DATABASE_NETWORK: 10.40.128.0/18`",
    },
    Mutation {
        mistake: "a port that only one side moved",
        file: "terraform/modules/ecs-service/task.tf",
        change: Change::Replace("admin_port = 8081", "admin_port = 9090"),
        caught_by: Check::Agreement,
        naming: "the admin port is not the same everywhere",
    },
    Mutation {
        mistake: "a way back that is gone before the gate speaks",
        file: "terraform/environment/dev.tfvars",
        change: Change::Replace("bake_minutes         = 10", "bake_minutes         = 5"),
        caught_by: Check::Agreement,
        naming: "old tasks go after 300 s",
    },
];

/// Makes every mistake, one at a time, and prints who caught it.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut survivors = 0;
    println!("{:<44} {:<12} {:<9} said", "mistake", "check", "result");
    for mutation in MUTATIONS {
        let mut tree = Tree::copy_of(root)?;
        mutation.make(&mut tree)?;
        let said = mutation.caught_by.run(&tree).err().map(|error| format!("{error:#}"));
        let caught =
            said.as_deref().and_then(|said| said.lines().find(|line| line.contains(mutation.naming)));
        let result = match (&said, caught) {
            (_, Some(_)) => "caught",
            (Some(_), None) => "UNCLEAR",
            (None, None) => "SURVIVED",
        };
        survivors += u32::from(caught.is_none());
        let line: String = caught.or(said.as_deref()).unwrap_or_default().trim().chars().take(96).collect();
        println!("{:<44} {:<12} {result:<9} {line}", mutation.mistake, mutation.caught_by.to_string());
    }
    if survivors > 0 {
        bail!("{survivors} of {} mistakes went unnoticed", MUTATIONS.len());
    }
    println!("all {} mistakes were caught", MUTATIONS.len());
    Ok(())
}

/// The mistakes that a check must notice.
#[cfg(test)]
pub(super) fn mistakes(check: Check) -> Vec<&'static str> {
    let caught = MUTATIONS.iter().filter(|mutation| mutation.caught_by == check);
    caught.map(|mutation| mutation.mistake).collect()
}

impl Mutation {
    fn make(&self, tree: &mut Tree) -> Result<()> {
        let stale = || format!("the mutation `{}` no longer fits {}", self.mistake, self.file);
        match self.change {
            Change::Remove => tree.remove(self.file).with_context(stale),
            Change::Append(text) => {
                let before = tree.read(Path::new(self.file)).unwrap_or_default();
                tree.write(self.file, &format!("{before}{text}"))
            }
            Change::Replace(from, to) => {
                let before = tree.read(Path::new(self.file)).with_context(stale)?;
                if !before.contains(from) {
                    bail!("{}: it does not hold `{from}`", stale());
                }
                tree.write(self.file, &before.replacen(from, to, 1))
            }
        }
    }
}
