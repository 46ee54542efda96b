//! SLO specs of all formats, read as one set of documents.

use std::collections::BTreeMap;

use super::foreign::{Adopted, adopt};
use super::known::Known;
use super::model::{Config, Prometheus, Service, Slo};
use super::openslo::read_documents;
use super::sheet::Sheet;

/// What all files together say.
pub(super) struct Specs {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) slos: Vec<Slo>,
    /// Servers that data sources declare.
    pub(super) servers: Vec<Prometheus>,
}

impl Specs {
    /// Adds them to what `lookout.yaml` says.
    pub(super) fn put_into(self, config: &mut Config) {
        (config.services, config.slos) = (self.services, self.slos);
        config.prometheus.extend(self.servers);
    }
}

/// Reads all documents of all files.
pub(super) fn read_specs(sheets: &mut [Sheet<'_>], known: &Known) -> Specs {
    let Adopted { documents, servers, known } = adopt(sheets, known);
    let (services, slos) = read_documents(sheets, &documents, &known);
    Specs { services, slos, servers }
}
