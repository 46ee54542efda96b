//! Counts of the past from a Prometheus: two range queries per stretch of time, bounded in time, size and number.

use std::collections::BTreeMap;
use std::time::Duration;

use lookout_engine::{Counts, Grid};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::{Bounds, RehearseError};
use crate::generate::Rates;

/// Points per query: below the 11,000 at which Prometheus refuses.
const POINTS: i64 = 5000;
/// Points in all: two years of minutes.
const POINTS_LIMIT: i64 = 1_100_000;
/// Bytes of one answer that are read at most.
const BODY_LIMIT: usize = 16 << 20;
/// How long one query may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Whom to ask.
#[derive(Debug, Clone)]
pub struct Prometheus {
    /// The base URL, route prefix included.
    pub url: Url,
    /// A bearer token.
    pub token: Option<HeaderValue>,
}

/// Asks for good and bad events per slot of `grid` between the bounds. Slots about which Prometheus knows nothing are
/// left out.
///
/// # Errors
/// When it cannot be asked, or answers with something else.
pub async fn read(
    from: &Prometheus,
    rates: &Rates,
    grid: Grid,
    bounds: Bounds,
) -> Result<Vec<(i64, Counts)>, RehearseError> {
    let width = i64::from(grid.width_seconds());
    let first = grid.slot_at_ms(bounds.from_ms).0;
    let last = grid.slot_at_ms(bounds.until_ms).0;
    let fail = |what: String| RehearseError::Prometheus { url: shown(&from.url), what };
    if last.saturating_sub(first) > POINTS_LIMIT {
        return Err(fail(format!("more than {POINTS_LIMIT} slots; narrow the time or widen --step")));
    }
    let client = reqwest::Client::builder()
        .user_agent(concat!("lookout/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| fail(error.to_string()))?;
    let mut counts = Vec::new();
    let mut carry = Carry::default();
    let mut start = first;
    while start < last {
        let end = last.min(start.saturating_add(POINTS));
        // the value at the end of a slot is about the slot
        let range = (start.saturating_add(1) * width, end * width, width);
        let total = ask(&client, from, &rates.total, range).await.map_err(&fail)?;
        let bad = ask(&client, from, &rates.bad, range).await.map_err(&fail)?;
        for (second, total) in total {
            let seconds = width as f64;
            let bad = bad.get(&second).copied().unwrap_or(0.0);
            counts.push((second - width, carry.whole(total * seconds, bad * seconds)));
        }
        start = end;
    }
    Ok(counts)
}

/// Prometheus extrapolates, so increases have fractions; what is cut off one slot goes into the next, and sums stay
/// right at any traffic.
#[derive(Debug, Default)]
struct Carry {
    good: f64,
    bad: f64,
}

impl Carry {
    fn whole(&mut self, total: f64, bad: f64) -> Counts {
        let total = total.max(0.0);
        let bad = bad.clamp(0.0, total);
        let take = |rest: &mut f64, more: f64| {
            *rest += more;
            let whole = rest.round().clamp(0.0, 1e15);
            *rest -= whole;
            whole as u64
        };
        Counts { good: take(&mut self.good, total - bad), bad: take(&mut self.bad, bad) }
    }
}

/// A URL without what may be secret in it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // neither can fail for http and https
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url.to_string()
}

async fn ask(
    client: &reqwest::Client,
    from: &Prometheus,
    query: &str,
    (start, end, step): (i64, i64, i64),
) -> Result<BTreeMap<i64, f64>, String> {
    let mut url = from.url.clone();
    if from.token.is_some() {
        // a token is meant instead of a name and a password; neither call can fail for http and https
        let _ = url.set_password(None);
        let _ = url.set_username("");
    }
    let path = format!("{}/api/v1/query_range", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.query_pairs_mut()
        .append_pair("query", query)
        .append_pair("start", &start.to_string())
        .append_pair("end", &end.to_string())
        .append_pair("step", &step.to_string());
    let mut request = client.get(url);
    if let Some(token) = &from.token {
        request = request.header(AUTHORIZATION, token.clone());
    }
    let mut answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| chain(&error.without_url()))? {
        if body.len().saturating_add(part.len()) > BODY_LIMIT {
            return Err(format!("an answer of more than {BODY_LIMIT} bytes"));
        }
        body.extend_from_slice(&part);
    }
    let parsed: Result<Answer, _> = serde_json::from_slice(&body);
    match parsed {
        Ok(Answer { data: Some(data), .. }) if status.is_success() => points(data),
        Ok(Answer { error: Some(error), .. }) => Err(lookout_model::format::printable(&error)),
        _ => Err(format!("status {status} without a range of values; is this the base URL of a Prometheus?")),
    }
}

fn points(data: Data) -> Result<BTreeMap<i64, f64>, String> {
    if data.result.len() > 1 {
        return Err("the query has more than one series; it must be one sum".to_owned());
    }
    let values = data.result.into_iter().flat_map(|series| series.values);
    // NaN and Inf are no counts
    let points = values.filter_map(|(second, value)| Some((second as i64, value.parse::<f64>().ok()?)));
    Ok(points.filter(|(_, value)| value.is_finite()).collect())
}

#[derive(Debug, Deserialize)]
struct Answer {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    values: Vec<(f64, String)>,
}

/// An error with all its causes, without its address.
fn chain(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::{Query, State};
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;

    use super::*;

    type Asked = Arc<Mutex<Vec<HashMap<String, String>>>>;

    async fn range(
        State(asked): State<Asked>,
        Query(query): Query<HashMap<String, String>>,
        headers: HeaderMap,
    ) -> (StatusCode, String) {
        if headers.get("authorization").is_none_or(|value| value != "Bearer sesame") {
            return (StatusCode::UNAUTHORIZED, r#"{"status":"error","error":"who are you?"}"#.to_owned());
        }
        let number = |key: &str| query[key].parse::<i64>().unwrap();
        let (start, end, step) = (number("start"), number("end"), number("step"));
        let bad = query["query"].contains("bad");
        // 10.4 events per minute of which 0.3 bad; nothing is known about the minute that ends at 240
        let value = if bad { 0.3 / 60.0 } else { 10.4 / 60.0 };
        let values: Vec<_> = (start..=end)
            .step_by(usize::try_from(step).unwrap())
            .filter(|second| *second != 240)
            .map(|second| serde_json::json!([second, value.to_string()]))
            .collect();
        asked.lock().unwrap().push(query);
        let body = serde_json::json!({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}});
        (StatusCode::OK, body.to_string())
    }

    async fn neighbour(token: &'static str) -> (Prometheus, Asked) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let asked = Asked::default();
        let router =
            Router::new().route("/prom/api/v1/query_range", get(range)).with_state(Arc::clone(&asked));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:hunter2@{}/prom/", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (Prometheus { url, token: Some(HeaderValue::from_static(token)) }, asked)
    }

    fn rates() -> Rates {
        Rates { total: "sum(rate(all[1m]))".to_owned(), bad: "sum(rate(bad[1m]))".to_owned() }
    }

    #[tokio::test]
    async fn fractions_are_carried_so_that_sums_are_right() {
        let (from, _) = neighbour("Bearer sesame").await;
        let bounds = Bounds { from_ms: 0, until_ms: 600_000 };
        let counts = read(&from, &rates(), Grid::MINUTE, bounds).await.unwrap();
        let seconds: Vec<i64> = counts.iter().map(|(second, _)| *second).collect();
        assert_eq!(
            seconds,
            [0, 60, 120, 240, 300, 360, 420, 480, 540],
            "the slot that begins at 180 is unknown"
        );
        let sum: Counts = counts.iter().map(|(_, counts)| *counts).sum();
        assert_eq!((sum.total(), sum.bad), (94, 3), "9 × 10.4 and 9 × 0.3, rounded once");
    }

    #[tokio::test]
    async fn a_long_time_is_asked_for_in_pieces() {
        let (from, asked) = neighbour("Bearer sesame").await;
        let bounds = Bounds { from_ms: 0, until_ms: 60_000 * 12_000 };
        let counts = read(&from, &rates(), Grid::MINUTE, bounds).await.unwrap();
        assert_eq!(counts.len(), 11_999);
        let asked = asked.lock().unwrap().clone();
        let ranges: Vec<(&str, &str)> =
            asked.iter().filter(|q| q["query"].contains("all")).map(|q| (&*q["start"], &*q["end"])).collect();
        assert_eq!(ranges, [("60", "300000"), ("300060", "600000"), ("600060", "720000")]);
        let endless = Bounds { from_ms: i64::MIN / 2, until_ms: 0 };
        let told = read(&from, &rates(), Grid::MINUTE, endless).await.unwrap_err().to_string();
        assert!(told.contains("narrow the time"), "{told}");
    }

    #[tokio::test]
    async fn a_refusal_is_told_without_secrets() {
        let (mut from, _) = neighbour("Bearer wrong").await;
        let bounds = Bounds { from_ms: 0, until_ms: 600_000 };
        let told = read(&from, &rates(), Grid::MINUTE, bounds).await.unwrap_err().to_string();
        assert!(told.contains("who are you?") && !told.contains("hunter2"), "{told}");
        from.url.set_path("/elsewhere");
        let told = read(&from, &rates(), Grid::MINUTE, bounds).await.unwrap_err().to_string();
        assert!(told.contains("status 404") && told.contains("base URL"), "{told}");
    }
}
