//! Answers of a query API: vectors and matrices of samples, or a refusal.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::{Error, ErrorType, bounded, detail};

/// The series of an answer, and its length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// In the order they came.
    pub series: Vec<Series>,
    /// Remarks of the server on the query; none says that data is missing.
    pub infos: Vec<String>,
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
    #[serde(default)]
    infos: Vec<String>,
    /// VictoriaMetrics marks an answer of a cluster that lacks a node.
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

/// Reads an answer of another status than 200.
pub(super) fn refusal(status: u16, body: &[u8]) -> Error {
    let envelope: Option<Envelope<'_>> = serde_json::from_slice(body).ok();
    let Some(envelope) = envelope else { return Error::Status { status, message: String::new() } };
    let message = detail(&envelope.error.unwrap_or_default());
    match envelope.error_type.filter(|kind| !kind.is_empty()) {
        Some(kind) => Error::Refused { kind: ErrorType::of(&kind), message },
        None => Error::Status { status, message },
    }
}

impl Answer {
    /// Reads the body of a successful answer.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        let envelope: Envelope<'_> =
            serde_json::from_slice(body).map_err(|error| Error::Malformed(detail(&error.to_string())))?;
        if envelope.status != "success" {
            let kind = ErrorType::of(&envelope.error_type.unwrap_or_default());
            return Err(Error::Refused { kind, message: detail(&envelope.error.unwrap_or_default()) });
        }
        // Prometheus marks its remarks on a query; every other warning says that data is missing
        let (remarks, warnings): (Vec<_>, Vec<_>) =
            envelope.warnings.into_iter().partition(|warning| warning.starts_with("PromQL "));
        if envelope.is_partial || !warnings.is_empty() {
            let message = warnings.first().map_or("the server marks its answer as partial", String::as_str);
            return Err(Error::Partial(detail(message)));
        }
        let rows = envelope.data.map(|data| data.result).unwrap_or_default();
        let series = rows.into_iter().map(Series::of).collect::<Result<_, _>>()?;
        let infos = envelope.infos.iter().chain(&remarks).map(|info| detail(info)).collect();
        Ok(Self { series, infos, bytes: body.len() })
    }
}

impl Series {
    fn of(row: Row<'_>) -> Result<Self, Error> {
        let read = |(at_s, value): (f64, &str)| {
            let parsed: f64 = value
                .parse()
                .map_err(|_| Error::Malformed(format!("{:?} is no value of a sample", bounded(value, 40))))?;
            Ok(((at_s * 1000.0).round() as i64, parsed))
        };
        let samples = row.value.into_iter().chain(row.values).map(read).collect::<Result<_, Error>>()?;
        Ok(Self { labels: row.metric, samples })
    }

    /// The value of a label; an absent label is the empty string.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
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
        assert_eq!((answer.bytes, answer.infos), (matrix.len(), vec!["x".to_owned()]));
        let [first, second, native] = answer.series.as_slice() else { panic!() };
        assert_eq!((first.label("code"), first.label("none")), ("\"5ä", ""));
        assert_eq!(first.samples[0], (1_700_000_000_123, 1.0));
        assert!(first.samples[1].1.is_nan() && native.samples.is_empty());
        assert_eq!(second.samples, [(1_700_000_000_000, f64::INFINITY)]);
        let vector = br#"{"status":"success","warnings":["PromQL warning: metric might not be a counter"],
            "data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"7"]}]}}"#;
        let answer = Answer::read(vector).unwrap();
        assert_eq!(answer.series[0].samples, [(1_700_000_000_000, 7.0)]);
        assert_eq!(answer.infos, ["PromQL warning: metric might not be a counter"]);
    }

    #[test]
    fn what_is_no_whole_answer_is_an_error() {
        let reason = |body: &str| Answer::read(body.as_bytes()).unwrap_err().reason();
        assert_eq!(reason("<html>"), "malformed");
        assert_eq!(reason(r#"{"status":"success","data":{"result":[{"value":[1,"x"]}]}}"#), "malformed");
        assert_eq!(reason(r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#), "refused");
        assert_eq!(reason(r#"{"status":"success","isPartial":true,"data":{"result":[]}}"#), "partial");
        let missing = r#"{"status":"success","warnings":["PromQL x","store is away"],"data":{"result":[]}}"#;
        assert_eq!(reason(missing), "partial");
    }

    #[test]
    fn long_messages_are_cut() {
        let body =
            format!(r#"{{"status":"error","errorType":"execution","error":"{}"}}"#, "é".repeat(10_000));
        let Error::Refused { kind, message } = refusal(422, body.as_bytes()) else { panic!() };
        assert_eq!((kind, message.chars().count()), (ErrorType::Execution, 300));
        assert_eq!(refusal(502, b"no"), Error::Status { status: 502, message: String::new() });
    }
}
