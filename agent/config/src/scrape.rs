//! `scrapes` of `lookout.yaml`: neighbours whose Prometheus metrics are read.

use core::time::Duration;

use lookout_engine::{Grid, Severity};

use super::model::Scrape;
use super::reader::{At, Reader};
use super::target::read_timeout;
use crate::keys::server::scrape;

/// Reads one of `scrapes`. They are read once per slot of the grid.
pub(super) fn read_scrape(reader: &mut Reader<'_>, at: &At<'_>, grid: Option<Grid>) -> Option<Scrape> {
    let fields = reader.fields(at, scrape::OBJECT)?;
    let name = reader.required(&fields, scrape::NAME, "give the source a name that SLOs refer to");
    let name = name.and_then(|at| reader.name(&at));
    let url = reader.required(
        &fields,
        scrape::URL,
        "say where the metrics are, like `http://127.0.0.1:8081/metrics`",
    );
    let url = url.and_then(|at| reader.url(&at));
    let interval = grid.map(|grid| Duration::from_secs(u64::from(grid.width_seconds())));
    let timeout = read_timeout(reader, &fields, interval);
    let job =
        fields.get(scrape::JOB).map_or(Some(None), |at| reader.text(&at).map(|job| Some(job.to_owned())));
    let up = fields.get(scrape::UP).map_or(Some(Some(Severity::Page)), |at| reader.severity_or_off(&at));
    Some(Scrape { name: name?.to_owned(), url: url?, timeout: timeout?, job: job?, up: up? })
}
