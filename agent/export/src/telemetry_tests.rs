//! Settings that are refused.

use super::*;

#[test]
fn a_level_that_is_none_is_refused_with_the_known_ones() {
    let config = TelemetryConfig { level: "lookout=loud".to_owned(), ..TelemetryConfig::default() };
    let said = init(&config).unwrap_err().to_string();
    assert!(said.contains("\"lookout=loud\"") && said.contains("debug"), "{said}");
}
