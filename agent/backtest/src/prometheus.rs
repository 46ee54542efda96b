//! Counts of the past from a Prometheus: two range queries per stretch of time, bounded in time, size and number.

use std::collections::BTreeMap;
use std::time::Duration;

use lookout_engine::{Counts, Grid};
use lookout_model::GridTime;
use lookout_model::format::printable;
use lookout_promql::client::{Answer, Client, Error, Question, Server, When};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use url::Url;

use super::{Bounds, LoadError};
use lookout_generate::Rates;

/// Number of points per query: below the 11,000 at which Prometheus refuses.
const POINTS: i64 = 5000;
/// Largest number of points in all: two years of minutes.
const POINTS_LIMIT: i64 = 1_100_000;
/// Longest time of one query.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Prometheus to query.
#[derive(Debug, Clone)]
pub struct Prometheus {
    /// The base URL, route prefix included.
    pub url: Url,
    /// A bearer token.
    pub token: Option<HeaderValue>,
}

/// Queries good and bad events per slot of `grid` within the bounds. Slots without an answer are left out.
///
/// # Errors
/// Fails when it cannot be asked, or answers with something else.
pub async fn read(
    from: &Prometheus,
    rates: &Rates,
    grid: Grid,
    bounds: Bounds,
) -> Result<Vec<(i64, Counts)>, LoadError> {
    let width = i64::from(grid.width_seconds());
    let first = grid.slot_at(bounds.from).0;
    let last = grid.slot_at(bounds.until).0;
    let fail = |what: String| LoadError::Prometheus { url: shown(&from.url), what };
    if last.saturating_sub(first) > POINTS_LIMIT {
        return Err(fail(format!("more than {POINTS_LIMIT} slots; narrow the time or widen --step")));
    }
    let client = Client::new(server(from)).map_err(|error| fail(error.to_string()))?;
    let mut counts = Vec::new();
    let mut carry = Carry::default();
    let mut start = first;
    while start < last {
        let end = last.min(start.saturating_add(POINTS));
        // the value at the end of a slot is about the slot
        let when = When::Every { first: start.saturating_add(1) * width, last: end * width, step: width };
        let total = query_range(&client, &rates.total, when).await.map_err(&fail)?;
        let bad = query_range(&client, &rates.bad, when).await.map_err(&fail)?;
        for (second, total) in total {
            let seconds = width as f64;
            let bad = bad.get(&second).copied().unwrap_or(0.0);
            counts.push((second - width, carry.whole(total * seconds, bad * seconds)));
        }
        start = end;
    }
    Ok(counts)
}

/// Rounding of counts. Prometheus extrapolates, so increases have fractions. The fraction of one slot is added to the
/// next, so that sums are right at any traffic.
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

/// Returns a URL without its secret parts.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // neither can fail for http and https
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url.to_string()
}

/// Returns the server for the client.
fn server(from: &Prometheus) -> Server {
    let mut headers = HeaderMap::new();
    if let Some(token) = &from.token {
        let mut token = token.clone();
        token.set_sensitive(true);
        headers.insert(AUTHORIZATION, token);
    }
    Server {
        url: from.url.clone(),
        timeout: TIMEOUT,
        headers,
        ca: None,
        insecure: false,
        user_agent: concat!("lookout/", env!("CARGO_PKG_VERSION")),
    }
}

async fn query_range(client: &Client, query: &str, when: When) -> Result<BTreeMap<i64, f64>, String> {
    let answer = client.query(&Question { query: query.to_owned(), when }).await;
    points(answer.map_err(|error| match error {
        Error::Status { .. } | Error::Malformed(_) => {
            format!("{}; is this the base URL of a Prometheus?", printable(&error.to_string()))
        }
        error => printable(&error.to_string()),
    })?)
}

fn points(answer: Answer) -> Result<BTreeMap<i64, f64>, String> {
    if answer.series.len() > 1 {
        return Err("the query has more than one series; it must be one sum".to_owned());
    }
    let values = answer.series.into_iter().flat_map(|series| series.samples);
    // NaN and Inf are no counts
    let points = values.filter(|(_, value)| value.is_finite());
    Ok(points.map(|(at_ms, value)| (at_ms.div_euclid(1000), value)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use lookout_model::Timestamp;

    use super::*;

    type Requests = Arc<Mutex<Vec<HashMap<String, String>>>>;

    async fn range(State(asked): State<Requests>, headers: HeaderMap, body: String) -> (StatusCode, String) {
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
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

    async fn neighbour(token: &'static str) -> (Prometheus, Requests) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let asked = Requests::default();
        let router =
            Router::new().route("/prom/api/v1/query_range", post(range)).with_state(Arc::clone(&asked));
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
        let bounds = Bounds { from: Timestamp::EPOCH, until: Timestamp::from_seconds(600) };
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
        let bounds = Bounds { from: Timestamp::EPOCH, until: Timestamp::from_millis(60_000 * 12_000) };
        let counts = read(&from, &rates(), Grid::MINUTE, bounds).await.unwrap();
        assert_eq!(counts.len(), 11_999);
        let asked = asked.lock().unwrap().clone();
        let ranges: Vec<(&str, &str)> =
            asked.iter().filter(|q| q["query"].contains("all")).map(|q| (&*q["start"], &*q["end"])).collect();
        assert_eq!(ranges, [("60", "300000"), ("300060", "600000"), ("600060", "720000")]);
        let endless = Bounds { from: Timestamp::from_millis(i64::MIN / 2), until: Timestamp::EPOCH };
        let told = read(&from, &rates(), Grid::MINUTE, endless).await.unwrap_err().to_string();
        assert!(told.contains("narrow the time"), "{told}");
    }

    #[tokio::test]
    async fn a_refusal_is_told_without_secrets() {
        let (mut from, _) = neighbour("Bearer wrong").await;
        let bounds = Bounds { from: Timestamp::EPOCH, until: Timestamp::from_seconds(600) };
        let told = read(&from, &rates(), Grid::MINUTE, bounds).await.unwrap_err().to_string();
        assert!(told.contains("who are you?") && !told.contains("hunter2"), "{told}");
        from.url.set_path("/elsewhere");
        let told = read(&from, &rates(), Grid::MINUTE, bounds).await.unwrap_err().to_string();
        assert!(told.contains("status 404") && told.contains("base URL"), "{told}");
    }

    #[tokio::test]
    async fn a_partial_answer_is_refused_as_the_agent_refuses_it() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for more in [r#""isPartial":true"#, r#""warnings":["store-1 is away"]"#] {
            let body = format!(
                r#"{{"status":"success",{more},"data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[[60,"1"]]}}]}}}}"#
            );
            let router = Router::new().route("/api/v1/query_range", post(|| async move { body }));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
            tokio::spawn(async move { axum::serve(listener, router).await });
            let bounds = Bounds { from: Timestamp::EPOCH, until: Timestamp::from_seconds(600) };
            let refused = read(&Prometheus { url, token: None }, &rates(), Grid::MINUTE, bounds).await;
            let told = refused.unwrap_err().to_string();
            assert!(told.contains("a part of the data is missing"), "{told}");
        }
    }
}
