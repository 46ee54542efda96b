//! EndpointSlices (`discovery.k8s.io/v1`), as far as they matter here.

use std::collections::BTreeMap;

use lookout_config::{FoundAddress, HostPort};
use serde::Deserialize;

use super::DiscoveryError;
use crate::wording::bounded;

/// Longest value of a label.
const LONGEST_LABEL: usize = 253;

/// The label of a slice that names its service.
const SERVICE: &str = "kubernetes.io/service-name";

/// A page of slices.
#[derive(Debug, Deserialize)]
pub(super) struct SliceList {
    #[serde(default)]
    pub(super) metadata: ListMeta,
    #[serde(default)]
    pub(super) items: Vec<Slice>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ListMeta {
    /// Token of the next page; empty or absent after the last one.
    #[serde(rename = "continue")]
    pub(super) next: Option<String>,
}

/// A slice.
#[derive(Debug, Deserialize)]
pub(super) struct Slice {
    metadata: Meta,
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<Port>>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    name: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    #[serde(default)]
    addresses: Vec<String>,
    conditions: Option<Conditions>,
    target_ref: Option<TargetRef>,
    node_name: Option<String>,
    zone: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct TargetRef {
    kind: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Port {
    name: Option<String>,
    port: Option<u16>,
}

impl Slice {
    /// Returns the endpoints that are ready. Not known is ready, as the API defines it.
    pub(super) fn addresses(&self, wanted: Option<&str>) -> Result<Vec<FoundAddress>, DiscoveryError> {
        let is_ready = |endpoint: &&Endpoint| {
            endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
        };
        let ready: Vec<&Endpoint> = self.endpoints.iter().flatten().filter(is_ready).collect();
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let port = self.port(wanted)?;
        let found = ready.into_iter().flat_map(|endpoint| {
            let labels = self.labels_of(endpoint);
            endpoint.addresses.iter().map(move |host| FoundAddress {
                address: HostPort { host: host.clone(), port }.to_string(),
                labels: labels.clone(),
            })
        });
        Ok(found.collect())
    }

    fn port(&self, wanted: Option<&str>) -> Result<u16, DiscoveryError> {
        let ports: Vec<&Port> = self.ports.iter().flatten().filter(|port| port.port.is_some()).collect();
        let fits = |port: &&&Port| {
            let number = port.port.map(|number| number.to_string());
            wanted.is_some() && (port.name.as_deref() == wanted || number.as_deref() == wanted)
        };
        let found = match (wanted, ports.as_slice()) {
            (None, [only]) => only.port,
            // a slice without ports stands for all of them
            (Some(wanted), []) => wanted.parse().ok(),
            _ => ports.iter().find(fits).and_then(|port| port.port),
        };
        found.ok_or_else(|| {
            let name = |port: &&Port| match (port.name.as_deref(), port.port) {
                (Some(name), Some(number)) if !name.is_empty() => format!("{name} ({number})"),
                (_, number) => number.map(|number| number.to_string()).unwrap_or_default(),
            };
            let has = ports.iter().map(name).collect::<Vec<_>>().join(", ");
            let (slice, has) = (&self.metadata.name, bounded(&has, 200));
            DiscoveryError::Unusable(match wanted {
                Some(wanted) => format!("the slice {slice} has no port `{wanted}`; it has {has}"),
                None => {
                    format!("the slice {slice} does not have one port, it has {has}: name one with `port`")
                }
            })
        })
    }

    fn labels_of(&self, endpoint: &Endpoint) -> Vec<(String, String)> {
        let pod = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
        let pairs = [
            ("service", self.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE))),
            ("pod", pod.and_then(|pod| pod.name.as_ref())),
            ("node", endpoint.node_name.as_ref()),
            ("zone", endpoint.zone.as_ref()),
        ];
        let short = |value: &&String| value.len() <= LONGEST_LABEL;
        let known = pairs.into_iter().filter_map(|(name, value)| Some((name, value.filter(short)?)));
        known.map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }
}
