//! One name, said in many places: what `k8s/`, `terraform/`, `.github/`, the container files and `compose.yaml` must say
//! alike, because no tool that knows one of them sees the others. The table for people is `docs/deploying.md`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::tree::Tree;

/// A place of a value: between two texts of a file, as often as they stand there.
struct Place(&'static str, &'static str, &'static str);

/// Something that all places say alike.
struct Name {
    what: &'static str,
    places: &'static [Place],
}

const ECS: &str = "terraform/modules/ecs/main.tf";
const TASK: &str = "terraform/modules/ecs/service.tf";
const AGENT: &str = "terraform/modules/ecs/agent.tf";
const BASE: &str = "k8s/base/kustomization.yaml";
const DEPLOYMENT: &str = "k8s/base/deployment.yaml";
const STATEFUL_SET: &str = "k8s/components/standalone-agent/agent.yaml";
const SIDECAR: &str = "k8s/components/sidecar/agent/kustomization.yaml";
const COLLECTOR_POLICIES: &str = "k8s/cluster/collector/network-policies.yaml";
const PROMETHEUS: &str = "deploy/compose/prometheus.yml";

const NAMES: &[Name] = &[
    Name {
        what: "the port of the API",
        places: &[
            Place("service/Dockerfile", "EXPOSE ", " "),
            Place(BASE, "- PORT=", "\n"),
            Place(DEPLOYMENT, "name: http\n              containerPort: ", "\n"),
            Place(ECS, "  port           = ", "\n"),
            Place("k8s/components/gateway-tls/network-policy.yaml", "port: ", "\n"),
        ],
    },
    Name {
        what: "the admin port",
        places: &[
            Place("service/Dockerfile", "EXPOSE 8080 ", "\n"),
            Place(BASE, "- ADMIN_PORT=", "\n"),
            Place(DEPLOYMENT, "name: admin\n              containerPort: ", "\n"),
            Place(ECS, "  admin_port     = ", "\n"),
            Place("k8s/components/monitoring/network-policy.yaml", "port: ", "\n"),
            Place(PROMETHEUS, "\"titanic:", "\""),
        ],
    },
    Name {
        what: "the port of the agent",
        places: &[
            Place("agent/Dockerfile", "EXPOSE ", "\n"),
            Place(STATEFUL_SET, "containerPort: ", "\n"),
            Place(SIDECAR, "containerPort: ", "\n"),
            Place(ECS, "  agent_port     = ", "\n"),
            Place("deploy/ecs/lookout.yaml", "LOOKOUT_LISTEN:-0.0.0.0:", "}"),
            Place("k8s/components/monitoring-sidecar/network-policy.yaml", "port: ", "\n"),
            Place(PROMETHEUS, "\"lookout:", "\""),
        ],
    },
    Name {
        what: "the user that both programs run as",
        places: &[
            Place("service/Dockerfile", "USER ", ":"),
            Place("agent/Dockerfile", "USER ", ":"),
            Place("deploy/ecs/Dockerfile", "USER ", ":"),
            Place(DEPLOYMENT, "runAsUser: ", "\n"),
            Place(STATEFUL_SET, "runAsUser: ", "\n"),
            Place(ECS, "user                   = \"", ":"),
            Place("terraform/modules/ecs/ledger.tf", "uid = ", "\n"),
            Place(".github/scripts/image-starts.sh", "!= ", ":"),
        ],
    },
    Name {
        what: "the folder of the ledger",
        places: &[
            Place("agent/Dockerfile", "VOLUME [\"", "\""),
            Place(STATEFUL_SET, "name: lookout-ledger\n          mountPath: ", "\n"),
            Place(TASK, "sourceVolume = \"ledger\", containerPath = \"", "\""),
            Place(AGENT, "sourceVolume = \"ledger\", containerPath = \"", "\""),
            Place("deploy/ecs/lookout.yaml", "LOOKOUT_LEDGER:-", "/lookout.db"),
        ],
    },
    Name {
        what: "the images that the registry of an environment has",
        places: &[
            Place("terraform/modules/registry/variables.tf", "[\"titanic\", \"", "\"]"),
            Place("terraform/modules/identity/variables.tf", "[\"titanic\", \"", "\"]"),
            Place("terraform/modules/ecs/roles.tf", "agent = \"", "\""),
            Place(
                "terraform/environment/tfvars.example",
                "agent           = \"123456789012.dkr.ecr.eu-central-1.amazonaws.com/titanic-prod/",
                "@",
            ),
            Place(".github/scripts/verify.sh", "(titanic|lookout|", ")@"),
        ],
    },
    Name {
        what: "whose signature counts",
        places: &[
            Place(".github/scripts/verify.sh", "publish\\\\.yml@refs/", "\\$\""),
            Place("k8s/policies/signed-images.yaml", "publish\\.yml@refs/", "$\n"),
        ],
    },
    Name {
        what: "the release of Kubernetes",
        places: &[
            Place("terraform/modules/eks/variables.tf", "default     = \"1.", "\""),
            Place("conformance/src/kubernetes/mod.rs", "RELEASE: &str = \"1.", "\""),
            Place("k8s/base/namespace.yaml", "enforce-version: v1.", "\n"),
        ],
    },
    Name {
        what: "the job by which Prometheus scrapes the agent",
        places: &[
            Place("agent/config/src/config.rs", "AGENT_JOB: &str = \"", "\""),
            Place("alerts/lookout.rules.yaml", "up{job=\"", "\""),
            Place(STATEFUL_SET, "serviceName: ", "\n"),
            Place("k8s/components/monitoring-sidecar/service-monitor.yaml", "replacement: ", "\n"),
        ],
    },
    Name {
        what: "the health check of the service",
        places: &[
            Place("service/Dockerfile", "CMD [\"/titanic\", \"", "\"]"),
            Place(TASK, "[\"CMD\", \"/titanic\", \"", "\"]"),
            Place("compose.yaml", "[CMD, /titanic, ", "]"),
        ],
    },
    Name {
        what: "the health check of the agent",
        places: &[
            Place("agent/Dockerfile", "CMD [\"/lookout\", \"", "\"]"),
            Place(TASK, "[\"CMD\", \"/lookout\", \"", "\"]"),
            Place(AGENT, "[\"CMD\", \"/lookout\", \"", "\"]"),
            Place("compose.yaml", "[CMD, /lookout, ", "]"),
        ],
    },
];

/// Texts that must stand in a file, and why.
const MUST_STAND: &[(&str, &str, &str)] = &[
    (BASE, "- DATABASE_URL=\n", "the image names a database of its own, which must be taken back"),
    (TASK, "DATABASE_URL  = \"\"", "the image names a database of its own, which must be taken back"),
    ("compose.yaml", "DATABASE_URL: \"\"", "the image names a database of its own, which must be taken back"),
    (
        "terraform/modules/database/application.tf",
        "\"${var.name}/database/${var.application}\"",
        "the overlays read the login there",
    ),
    ("terraform/environment/secret.tf", "\"${local.name}/lookout\"", "the overlays read the secret there"),
    (
        "terraform/environment/main.tf",
        "\"${var.environment}.titanic.internal\"",
        "the overlays seek the database below this name",
    ),
    (AGENT, ":slack_webhook_url::", "k8s/components/standalone-agent reads this property"),
    (AGENT, ":deploy_token_sha256::", "k8s/components/standalone-agent reads this property"),
    (PROMETHEUS, "- job_name: lookout\n", "the rules about the agent ask for this job"),
    (STATEFUL_SET, "property: slack_webhook_url", "ECS reads it too"),
    (STATEFUL_SET, "property: deploy_token_sha256", "ECS reads it too"),
];

const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "prod"];

/// Compares every name at all of its places.
pub fn names(tree: &Tree) -> Result<String> {
    let mut faults = Vec::new();
    for name in NAMES {
        let mut told = Vec::new();
        for place in name.places {
            told.push((place.0, said(tree, place)?));
        }
        faults.extend(disagreement(name.what, &told));
    }
    none(&faults)?;
    Ok(format!("{} names", NAMES.len()))
}

/// Finds texts that must stand in a file.
pub fn texts(tree: &Tree) -> Result<String> {
    let mut faults = Vec::new();
    for (file, text, why) in MUST_STAND {
        if !tree.read(Path::new(file))?.contains(text) {
            faults.push(format!("{file} does not say `{}`: {why}", text.trim()));
        }
    }
    none(&faults)?;
    Ok(format!("{} texts", MUST_STAND.len()))
}

/// Compares networks, secrets and names of each environment.
pub fn environments(tree: &Tree) -> Result<String> {
    let mut faults = Vec::new();
    for environment in ["staging", "prod"] {
        faults.extend(environment_faults(tree, environment)?);
    }
    for environment in ENVIRONMENTS {
        faults.extend(endpoint_fault(tree, environment)?);
    }
    none(&faults)?;
    Ok(format!("{} environments", ENVIRONMENTS.len()))
}

/// Compares every promise about time.
pub fn times(tree: &Tree) -> Result<String> {
    let [compose, config] = ["compose.yaml", "service/src/config.rs"].map(|file| tree.read(Path::new(file)));
    let mut faults: Vec<String> = compose_time(&compose?, &config?)?.into_iter().collect();
    faults.extend(ecs_times(tree)?);
    none(&faults)?;
    Ok("2 platforms".to_owned())
}

fn none(faults: &[String]) -> Result<()> {
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

/// Returns the values at a place. A place without a value is a mistake too.
fn said(tree: &Tree, place: &Place) -> Result<BTreeSet<String>> {
    let Place(file, before, after) = place;
    // a shell's double quotes want every backslash twice
    let found: BTreeSet<String> = between(&tree.read(Path::new(file))?, before, after)
        .into_iter()
        .map(|text| text.replace("\\\\", "\\"))
        .collect();
    if found.is_empty() {
        bail!(
            "{file} no longer says anything after `{}`: tell conformance/src/agreement.rs where",
            before.trim()
        );
    }
    Ok(found)
}

fn between(text: &str, before: &str, after: &str) -> BTreeSet<String> {
    let parts = text.split(before).skip(1);
    parts.filter_map(|rest| rest.split_once(after)).map(|(found, _)| found.trim().to_owned()).collect()
}

/// Describes a name that has several values.
fn disagreement(what: &str, told: &[(&str, BTreeSet<String>)]) -> Option<String> {
    let all: BTreeSet<&String> = told.iter().flat_map(|(_, values)| values).collect();
    if all.len() <= 1 {
        return None;
    }
    let each = told.iter().map(|(file, values)| {
        format!("  {:<20} {file}", values.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    });
    Some(format!("{what} is not the same everywhere:\n{}", each.collect::<Vec<_>>().join("\n")))
}

/// Network, secrets and names of one environment: terraform's, against both ways onto Kubernetes.
fn environment_faults(tree: &Tree, environment: &str) -> Result<Vec<String>> {
    let made = format!("terraform/environment/{environment}.tfvars");
    let overlay = format!("k8s/overlays/{environment}/kustomization.yaml");
    let site = format!("k8s/overlays/{environment}/site.yaml");
    let [terraform, kustomize, names] = [&made, &overlay, &site].map(|file| tree.read(Path::new(file)));
    let (terraform, kustomize, names) = (terraform?, kustomize?, names?);
    let one = |text: &str, before: &str| {
        let found = between(text, before, "\"");
        found.into_iter().next().with_context(|| format!("{made} does not say `{before}…`"))
    };
    let name = format!("titanic-{}", one(&terraform, "environment = \"")?);
    let network = quarter(&one(&terraform, "cidr        = \"")?, 128)
        .with_context(|| format!("{made}: the network is no 10.x.0.0/16"))?;
    let host = format!("database.{environment}.titanic.internal");
    let wanted = [
        (&site, &names, format!("DATABASE_NETWORK: {network}\n")),
        (&site, &names, format!("NAMESPACE: {name}\n")),
        (&site, &names, format!("ENVIRONMENT: {environment}\n")),
        (&overlay, &kustomize, format!("namespace: {name}\n")),
        (&overlay, &kustomize, format!("DB_HOST={host}\n")),
    ];
    let missing = wanted.iter().filter(|(_, text, wanted)| !text.contains(wanted.as_str()));
    Ok(missing
        .map(|(file, _, wanted)| format!("{file} does not say `{}`, as {made} makes it", wanted.trim()))
        .collect())
}

/// Interface endpoints are in the private subnets, which the collector must reach: their names lead there and not outside.
fn endpoint_fault(tree: &Tree, environment: &str) -> Result<Option<String>> {
    let made = format!("terraform/environment/{environment}.tfvars");
    let text = tree.read(Path::new(&made))?;
    let vpc = between(&text, "cidr        = \"", "\"").into_iter().next();
    let private = vpc.as_deref().and_then(|vpc| quarter(vpc, 64));
    let private = private.with_context(|| format!("{made}: the network is no 10.x.0.0/16"))?;
    let policies = tree.read(Path::new(COLLECTOR_POLICIES))?;
    let reaches = policies.contains(&format!("cidr: {private}\n"));
    Ok((!reaches).then(|| {
        format!("{COLLECTOR_POLICIES} does not let the collector reach {private}, where {made} puts interface endpoints")
    }))
}

/// A quarter of a VPC, by the third number of its first address. `terraform/modules/network` puts the private subnets into
/// the second one (64) and those of the database into the third one (128).
fn quarter(vpc: &str, third: u8) -> Option<String> {
    Some(format!("{}.{third}.0/18", vpc.strip_suffix(".0.0/16")?))
}

/// Seconds that requests in flight may take after the drain, as in the service.
const IN_FLIGHT: u32 = 15;

/// Compose kills after its grace, which the drain and what is in flight must fit into.
fn compose_time(compose: &str, config: &str) -> Result<Option<String>> {
    let grace = number(compose, "stop_grace_period: ", "s\n")?;
    let drain = number(config, "\"DRAIN_SECONDS\", default_value = \"", "\"")?;
    Ok((drain + IN_FLIGHT > grace).then(|| {
        format!("compose.yaml kills after {grace} s, but the service drains {drain} s and ends {IN_FLIGHT} s later")
    }))
}

/// On ECS: SIGKILL after the drain, traffic away before it, and a gate that speaks while there is a way back.
fn ecs_times(tree: &Tree) -> Result<Vec<String>> {
    let read = |file: &str| tree.read(Path::new(file));
    let variables = read("terraform/modules/ecs/variables.tf")?;
    let drain = default_of(&variables, "drain_seconds")?;
    let spare = number(&read(TASK)?, "stopTimeout = var.drain_seconds + ", "\n")?;
    let leaves = default_of(&read("terraform/modules/edge/variables.tf")?, "drain_seconds")?;
    let watched = number(&read(".github/scripts/gate.sh")?, "bake_s=${GATE_BAKE:-", "}")?;
    let share = number(&variables, "percent = 10, minutes = ", " }")? * 60;
    let mut faults = Vec::new();
    if spare < IN_FLIGHT || drain + spare > 120 {
        faults.push(format!(
            "stopTimeout is {drain} + {spare} s: expected {IN_FLIGHT} s after the drain, 120 at most"
        ));
    }
    if leaves < drain {
        faults
            .push(format!("the load balancer lets go after {leaves} s, the service serves on for {drain} s"));
    }
    if share <= watched {
        faults.push(format!(
            "ECS shifts the rest after {share} s, and the gate has watched for {watched} s by then"
        ));
    }
    for environment in ENVIRONMENTS {
        let file = format!("terraform/environment/{environment}.tfvars");
        let bake = number(&read(&file)?, "bake_minutes         = ", "\n")? * 60;
        if bake <= watched {
            faults.push(format!(
                "{file}: old tasks go after {bake} s, before the gate has watched for {watched} s"
            ));
        }
    }
    Ok(faults)
}

/// The default of a variable of Terraform that is a number.
fn default_of(text: &str, variable: &str) -> Result<u32> {
    let head = format!("variable \"{variable}\" {{");
    let (_, body) = text.split_once(&head).with_context(|| format!("there is no variable `{variable}`"))?;
    number(body, "default     = ", "\n")
}

fn number(text: &str, before: &str, after: &str) -> Result<u32> {
    let found = text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(found, _)| found);
    let found = found.with_context(|| format!("nothing stands after `{}`", before.trim()))?;
    found.trim().parse().with_context(|| format!("`{found}` after `{}` is no number", before.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_with_its_places() {
        let say = |text: &str| between(text, "port: ", "\n");
        assert_eq!(
            disagreement("the port", &[("a", say("port: 1\nport: 1\n")), ("b", say("port: 1\n"))]),
            None
        );
        let fault =
            disagreement("the port", &[("a", say("port: 1\n")), ("b", say("port: 2\nport: 1\n"))]).unwrap();
        assert!(fault.starts_with("the port is not the same everywhere:"), "{fault}");
        assert!(
            fault.contains("1                    a") && fault.contains("1, 2                 b"),
            "{fault}"
        );
    }

    #[test]
    fn subnets_are_quarters_of_a_network() {
        assert_eq!(quarter("10.40.0.0/16", 64).as_deref(), Some("10.40.64.0/18"));
        assert_eq!(quarter("10.40.0.0/16", 128).as_deref(), Some("10.40.128.0/18"));
        assert_eq!(quarter("10.40.0.0/20", 128), None);
    }

    #[test]
    fn a_container_is_not_killed_while_it_drains() {
        let config = "#[arg(long = \"DRAIN_SECONDS\", default_value = \"2\")]";
        assert_eq!(compose_time("stop_grace_period: 20s\n", config).unwrap(), None);
        let fault = compose_time("stop_grace_period: 10s\n", config).unwrap().unwrap();
        assert!(fault.contains("kills after 10 s"), "{fault}");
        assert!(compose_time("", config).is_err());
    }
}
