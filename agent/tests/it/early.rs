//! Time until a total outage pages, with the harness of `cargo xtask bench slo` and its promise.

#[path = "../../benches/slo/detect.rs"]
mod detect;

use detect::{CLOSED_FORM_S, Source, seconds_to_page};

#[test]
fn an_outage_pages_within_half_a_slot_of_the_closed_form_by_scrapes_and_with_the_next_probe() {
    for phase_ms in [0, 1, 2_500, 4_900, 8_000, 9_999] {
        let name = format!("api-{phase_ms}");
        let scraped = seconds_to_page(Source::Scrape, &name, phase_ms).unwrap() - CLOSED_FORM_S;
        assert!((0.0..=5.1).contains(&scraped), "{scraped} s beyond it at {phase_ms} ms into a slot");
        // one probe in ten seconds: the sixth bad one is the first that can tell
        let probed = seconds_to_page(Source::Probe, &name, phase_ms).unwrap() - 50.0;
        assert!(
            (0.0..=10.1).contains(&probed),
            "{probed} s after the fifth probe at {phase_ms} ms into a slot"
        );
    }
}
