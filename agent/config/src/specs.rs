//! Reads SLO specs of all formats as one set of documents.

use std::collections::BTreeMap;

use super::foreign::{Converted, convert_in_memory};
use super::known::Known;
use super::model::{Config, Prometheus, Service, Slo};
use super::openslo::read_documents;
use super::parsed_file::ParsedFile;

/// The content of all files.
pub(super) struct Specs {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) slos: Vec<Slo>,
    /// Servers that data sources declare.
    pub(super) servers: Vec<Prometheus>,
}

impl Specs {
    /// Adds them to the configuration.
    pub(super) fn put_into(self, config: &mut Config) {
        (config.services, config.slos) = (self.services, self.slos);
        config.prometheus.extend(self.servers);
    }
}

/// Reads all documents of all files.
pub(super) fn read_specs(files: &mut [ParsedFile<'_>], known: &Known) -> Specs {
    let Converted { documents, servers, known } = convert_in_memory(files, known);
    let (services, slos) = read_documents(files, &documents, &known);
    Specs { services, slos, servers }
}
