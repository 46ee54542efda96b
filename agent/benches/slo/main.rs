//! Time until an outage pages, and size of the ledger, as one JSON object for `cargo xtask bench slo`.
#![expect(clippy::print_stdout, reason = "the figures go to whoever started it")]

mod detect;
mod ledger;

use detect::{CLOSED_FORM_S, Source, seconds_to_page};

const OUTAGES: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seed").skip(1);
    let seed = arguments.next().map_or(Ok(7), |text| text.parse())?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut excess = |source| -> Result<Vec<f64>, String> {
        let mut one = |n| {
            let took = seconds_to_page(source, &format!("api-{n}"), random.i64(0..10_000));
            took.map(|seconds| seconds - CLOSED_FORM_S)
        };
        (0..OUTAGES).map(&mut one).collect()
    };
    let (scrape, probe) = (excess(Source::Scrape)?, excess(Source::Probe)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut random = fastrand::Rng::with_seed(seed);
    let bytes = runtime.block_on(ledger::bytes_by_day(|end| random.u64(..end)))?;
    let slos = ledger::SLOS;
    let said = serde_json::json!({
        "scrape_excess_s": scrape, "probe_excess_s": probe, "ledger_slos": slos, "ledger_bytes": bytes,
    });
    println!("{said}");
    Ok(())
}
