//! What a query API says: vectors and matrices of samples, or why not.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ask::AskError;
use crate::wording::{DETAIL_LIMIT, bounded};

/// The series of an answer, and how long it was.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// In the order they came.
    pub series: Vec<Series>,
    /// Bytes of the answer.
    pub bytes: usize,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Its labels, the metric name as `__name__` included.
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since the epoch, and values, which may be infinite or not a number.
    pub samples: Vec<(i64, f64)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    status: String,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    /// VictoriaMetrics says so of a cluster that lacks a node.
    #[serde(default)]
    is_partial: bool,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    result: Vec<Row<'a>>,
}

/// A series of a vector has one value, one of a matrix has values; native histograms have neither.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(borrow)]
    value: Option<(f64, &'a str)>,
    #[serde(borrow, default)]
    values: Vec<(f64, &'a str)>,
}

/// What a failure says of itself; nothing when it is no JSON.
pub(super) fn complaint(body: &[u8]) -> Option<(String, String)> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
    Some((envelope.error_type.unwrap_or_default(), bounded(&envelope.error?, DETAIL_LIMIT)))
}

impl Answer {
    /// Reads the body of a successful answer.
    pub(super) fn read(body: &[u8]) -> Result<Self, AskError> {
        let envelope: Envelope<'_> = serde_json::from_slice(body)
            .map_err(|error| AskError::Malformed(bounded(&error.to_string(), DETAIL_LIMIT)))?;
        if envelope.status != "success" {
            let message = bounded(&envelope.error.unwrap_or_default(), DETAIL_LIMIT);
            return Err(AskError::Refused { kind: envelope.error_type.unwrap_or_default(), message });
        }
        // half an answer must not pass for a whole one; remarks on the PromQL itself are none of our business
        let serious = envelope.warnings.iter().find(|warning| !warning.starts_with("PromQL "));
        if envelope.is_partial || serious.is_some() {
            let said = serious.map_or("the server says that its answer is partial", String::as_str);
            return Err(AskError::Partial(bounded(said, DETAIL_LIMIT)));
        }
        let rows = envelope.data.map(|data| data.result).unwrap_or_default();
        let series = rows.into_iter().map(Series::of).collect::<Result<_, _>>()?;
        Ok(Self { series, bytes: body.len() })
    }
}

impl Series {
    fn of(row: Row<'_>) -> Result<Self, AskError> {
        let read = |(at_s, value): (f64, &str)| {
            let parsed: f64 = value.parse().map_err(|_| {
                AskError::Malformed(format!("{:?} is no value of a sample", bounded(value, 40)))
            })?;
            Ok(((at_s * 1000.0).round() as i64, parsed))
        };
        let samples = row.value.into_iter().chain(row.values).map(read).collect::<Result<_, AskError>>()?;
        Ok(Self { labels: row.metric, samples })
    }

    /// The value of a label; an absent label is the empty string.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_and_vectors_are_read() {
        let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"a","code":"\"5\u00e4"},"values":[[1700000000.123,"1"],[1700000015,"NaN"]]},
            {"metric":{},"values":[[1700000000,"+Inf"]]}, {"metric":{"h":"native"},"histograms":[]}]},"infos":["x"]}"#;
        let answer = Answer::read(matrix).unwrap();
        assert_eq!(answer.bytes, matrix.len());
        let [first, second, native] = answer.series.as_slice() else { panic!() };
        assert_eq!((first.label("code"), first.label("none")), ("\"5ä", ""));
        assert_eq!(first.samples[0], (1_700_000_000_123, 1.0));
        assert!(first.samples[1].1.is_nan() && native.samples.is_empty());
        assert_eq!(second.samples, [(1_700_000_000_000, f64::INFINITY)]);
        let vector = br#"{"status":"success","warnings":["PromQL warning: metric might not be a counter"],
            "data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"7"]}]}}"#;
        assert_eq!(Answer::read(vector).unwrap().series[0].samples, [(1_700_000_000_000, 7.0)]);
    }

    #[test]
    fn what_is_no_whole_answer_is_an_error() {
        let reason = |body: &str| Answer::read(body.as_bytes()).unwrap_err().reason();
        assert_eq!(reason("<html>"), "malformed");
        assert_eq!(reason(r#"{"status":"success","data":{"result":[{"value":[1,"x"]}]}}"#), "malformed");
        assert_eq!(reason(r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#), "refused");
        assert_eq!(reason(r#"{"status":"success","isPartial":true,"data":{"result":[]}}"#), "partial");
        assert_eq!(
            reason(r#"{"status":"success","warnings":["store is away"],"data":{"result":[]}}"#),
            "partial"
        );
    }

    #[test]
    fn long_complaints_are_cut() {
        let body =
            format!(r#"{{"status":"error","errorType":"execution","error":"{}"}}"#, "é".repeat(10_000));
        let (kind, message) = complaint(body.as_bytes()).unwrap();
        assert_eq!((kind.as_str(), message.chars().count()), ("execution", DETAIL_LIMIT));
        assert_eq!(complaint(b"no"), None);
    }
}
