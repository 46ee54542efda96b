//! The components of a composite that burn or are silent, in one line.

use lookout_model::format::percent;
use lookout_model::{ComponentEvidence, Evidence};

/// Largest number of components named in a message.
const MAX_NAMED: usize = 4;

/// Returns the silent components; `None` when all are silent.
pub(super) fn silent(evidence: &Evidence) -> Option<String> {
    let silent: Vec<&str> =
        evidence.components.iter().filter(|one| one.is_silent()).map(|one| one.title.as_str()).collect();
    let some = !silent.is_empty() && silent.len() < evidence.components.len();
    some.then(|| shortened(&silent, " and "))
}

/// Returns name and text of the field about components: those that burn most, or those that are silent.
pub(super) fn field(evidence: &Evidence, misses_data: bool) -> Option<(&'static str, String)> {
    if misses_data {
        return silent(evidence).map(|silent| ("Silent", silent));
    }
    let burning = |one: &ComponentEvidence| {
        Some((one.lately_burn_share.filter(|share| *share > 0.0)?, one.title.clone()))
    };
    let mut burning: Vec<(f64, String)> = evidence.components.iter().filter_map(burning).collect();
    burning.sort_by(|a, b| b.0.total_cmp(&a.0));
    let words: Vec<String> =
        burning.iter().map(|(share, title)| format!("{title} {}", percent(*share))).collect();
    (!words.is_empty()).then(|| ("Burnt by", shortened(&words, ", ")))
}

fn shortened(words: &[impl AsRef<str>], between: &str) -> String {
    let shown: Vec<&str> = words.iter().take(MAX_NAMED).map(AsRef::as_ref).collect();
    let more = words.len().saturating_sub(MAX_NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(between) + &rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookout_engine::DataState;
    use lookout_model::sample::{self, component};

    #[test]
    fn who_burns_most_comes_first_and_who_is_silent_is_named() {
        let mut evidence = sample::evidence(None);
        assert_eq!((field(&evidence, false), silent(&evidence)), (None, None), "not a composite");
        evidence.components = vec![
            component("search", DataState::Ok, Some(0.25)),
            component("booking", DataState::Ok, Some(0.75)),
            component("payment", DataState::Stale, Some(0.0)),
        ];
        assert_eq!(field(&evidence, false), Some(("Burnt by", "booking 75 %, search 25 %".to_owned())));
        assert_eq!(field(&evidence, true), Some(("Silent", "payment".to_owned())));
        evidence.components.retain(|one| one.is_silent());
        assert_eq!(silent(&evidence), None, "of all there is nothing more to say than that nothing is known");
        let many = ["a", "b", "c", "d", "e", "f"].map(|name| component(name, DataState::Ok, Some(1.0 / 6.0)));
        evidence.components = many.to_vec();
        assert!(field(&evidence, false).unwrap().1.ends_with(" and 2 more"));
    }
}
