//! Fault orders.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fields::{FieldError, whole};
use crate::http::ApiRoute;
use crate::http::probe_routes::MONITORING;

/// Every route of the API, and none of those that say how the service is.
const EVERY: &str = "*";
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

const MOST_DELAY_MS: i64 = 30_000;
const MOST_TTL_SECONDS: i64 = 3600;
const MOST_NAME_CHARS: usize = 100;
const MOST_HEADER_BYTES: usize = 256;

/// A fault order. It hits the requests of a route: all of them, or those with a method or a header.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultOrder {
    /// The path template, or `*` for every route of the API.
    pub route: Option<String>,
    /// True if the route may be one of those that faults spare.
    #[serde(skip_serializing)]
    include_health: bool,
    /// The method; any if absent.
    #[serde(deserialize_with = "method")]
    pub method: Option<&'static str>,
    /// The required header: `name`, or `name: value`.
    #[serde(deserialize_with = "header")]
    pub header: Option<String>,
    /// Share of requests that are answered with an error.
    pub error_percent: Percent,
    /// The status of the error.
    #[serde(default = "unavailable", deserialize_with = "within::<_, _, 400, 599>")]
    pub status: u16,
    /// Share of requests that are delayed.
    pub delay_percent: Percent,
    /// The shortest delay.
    #[serde(deserialize_with = "within::<_, _, 0, MOST_DELAY_MS>")]
    pub delay_ms: u64,
    /// The random part of the delay.
    #[serde(deserialize_with = "within::<_, _, 0, MOST_DELAY_MS>")]
    pub jitter_ms: u64,
    /// The seed of the random part: the same seed gives the same delays.
    pub seed: u32,
    /// Share of requests whose connection is dropped.
    pub drop_percent: Percent,
    /// Share of responses that are sent piece by piece.
    pub slow_body_percent: Percent,
    /// The duration of a slow response.
    #[serde(deserialize_with = "within::<_, _, 0, MOST_DELAY_MS>")]
    pub slow_body_ms: u64,
    /// True if requests get no database connection.
    pub exhaust_pool: bool,
    /// True if `/readyz` fails.
    pub unready: bool,
    /// The lifetime in seconds.
    #[serde(deserialize_with = "within::<_, _, 1, MOST_TTL_SECONDS>")]
    pub ttl_seconds: u32,
    /// The name of the operator, for the log.
    #[serde(deserialize_with = "name")]
    pub by: Option<String>,
}

/// A share of requests.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Percent(f64);

impl TryFrom<f64> for Percent {
    type Error = String;

    fn try_from(percent: f64) -> Result<Self, String> {
        let hundredths = percent * 100.0;
        let is_exact = (hundredths - hundredths.round()).abs() < 1e-6;
        (is_exact && (0.0..=100.0).contains(&percent)).then_some(Self(percent)).ok_or_else(|| {
            format!("must be a percentage from 0 to 100 with at most two decimals, not {percent}")
        })
    }
}

impl Percent {
    /// Returns the whole number of hundredths, which can be added up without a remainder.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 10,000")]
    pub(super) fn hundredths(self) -> u32 {
        (self.0 * 100.0).round() as u32
    }

    fn is_some(self) -> bool {
        self.0 > 0.0
    }
}

fn unavailable() -> u16 {
    503
}

/// Reads a whole number within bounds.
fn within<'de, D: Deserializer<'de>, T: TryFrom<i64>, const LEAST: i64, const MOST: i64>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = whole(&value, LEAST, MOST);
    let number = number.map_err(|expected| D::Error::custom(format!("must be {expected}, not {value}")))?;
    T::try_from(number).map_err(|_| D::Error::custom("is out of range"))
}

fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'static str>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let known = METHODS.iter().find(|method| **method == text);
    known.map(|method| Some(*method)).ok_or_else(|| D::Error::unknown_variant(&text, METHODS))
}

fn header<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let (name, value) = name_and_value(&text);
    let is_header =
        name.parse::<HeaderName>().is_ok() && value.is_none_or(|value| value.parse::<HeaderValue>().is_ok());
    let is_header = is_header && text.len() <= MOST_HEADER_BYTES;
    is_header
        .then_some(Some(text))
        .ok_or_else(|| D::Error::custom("must be a header as `name` or `name: value`"))
}

/// Takes `name` or `name: value` apart.
fn name_and_value(header: &str) -> (&str, Option<&str>) {
    header.split_once(':').map_or((header, None), |(name, value)| (name.trim(), Some(value.trim())))
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let name = text.trim();
    let is_name = (1..=MOST_NAME_CHARS).contains(&name.chars().count()) && !name.contains(char::is_control);
    let expected = || D::Error::custom(format!("must be a name of 1 to {MOST_NAME_CHARS} characters"));
    is_name.then(|| Some(name.to_owned())).ok_or_else(expected)
}

impl FaultOrder {
    /// Reads an order, or names every field that is wrong.
    pub fn from_json(mut object: Map<String, Value>, api: &[ApiRoute]) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        // Each field alone first: reading all of them together ends at the first that is wrong.
        object.retain(|name, value| {
            let alone = Map::from_iter([(name.clone(), value.clone())]);
            let wrong = Self::deserialize(Value::Object(alone)).err();
            errors.extend(wrong.as_ref().map(|error| FieldError::new(name, error.to_string())));
            wrong.is_none()
        });
        let mut order = Self::deserialize(Value::Object(object)).unwrap_or_default();
        if let Some(route) = order.route.as_ref().filter(|route| !order.may_hit(route, api)) {
            errors.push(FieldError::new("route", format!("must be {}, not `{route}`", routes(api))));
        }
        if errors.is_empty() {
            errors = order.contradictions(api);
        }
        order.route.get_or_insert_with(|| EVERY.to_owned());
        if errors.is_empty() { Ok(order) } else { Err(errors) }
    }

    /// Returns the fields that are missing, or of no use without others.
    fn contradictions(&self, api: &[ApiRoute]) -> Vec<FieldError> {
        let shares = [self.error_percent, self.delay_percent, self.drop_percent, self.slow_body_percent];
        let hits_requests = shares.into_iter().any(Percent::is_some);
        let (delays, is_slow) = (self.delay_ms + self.jitter_ms > 0, self.slow_body_ms > 0);
        let no_route = format!("is missing; it must be {}", routes(api));
        let does_nothing = "or delay_percent, drop_percent, slow_body_percent, exhaust_pool or unready must be set, or \
                            nothing would happen";
        let rules = [
            ("ttl_seconds", self.ttl_seconds > 0, "is missing"),
            ("delay_ms", delays == self.delay_percent.is_some(), "and delay_percent must be given together"),
            (
                "slow_body_ms",
                is_slow == self.slow_body_percent.is_some(),
                "and slow_body_percent must be given together",
            ),
            ("route", self.route.is_some() || !hits_requests, &no_route),
            ("error_percent", hits_requests || self.exhaust_pool || self.unready, does_nothing),
        ];
        let broken = rules.into_iter().filter(|(_, holds, _)| !holds);
        broken.map(|(field, _, detail)| FieldError::new(field, detail)).collect()
    }

    fn may_hit(&self, route: &str, api: &[ApiRoute]) -> bool {
        route == EVERY
            || api.iter().any(|(known, _, _)| *known == route)
            || self.include_health && MONITORING.contains(&route)
    }

    /// Returns the requests that it hits. There is one fault for each.
    pub(super) fn target(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        (self.route.as_deref(), self.method, self.header.as_deref())
    }

    /// Returns whether a request is one of those that it hits.
    pub(super) fn hits(&self, route: &str, method: &Method, headers: &HeaderMap) -> bool {
        let (ours, wanted, header) = self.target();
        // Neither probes nor the operators' own routes: whoever breaks everything must still be able to mend it.
        (ours == Some(route) || ours == Some(EVERY) && route.starts_with("/api/"))
            && wanted.is_none_or(|wanted| wanted == method.as_str())
            && header.map(name_and_value).is_none_or(|(name, value)| {
                headers.get_all(name).iter().any(|given| value.is_none_or(|value| value == given))
            })
    }

    /// Returns the kinds of faults, and whether it orders them.
    pub(super) fn kinds(&self) -> [(&'static str, bool); 6] {
        [
            ("error", self.error_percent.is_some()),
            ("delay", self.delay_percent.is_some()),
            ("drop", self.drop_percent.is_some()),
            ("slow_body", self.slow_body_percent.is_some()),
            ("exhaust_pool", self.exhaust_pool),
            ("unready", self.unready),
        ]
    }
}

/// The routes that can be hit, as people read them.
fn routes(api: &[ApiRoute]) -> String {
    let mut routes: Vec<_> = api.iter().map(|(route, _, _)| *route).collect();
    routes.dedup();
    let (routes, monitoring) = (routes.join(", "), MONITORING.join(", "));
    format!("`{EVERY}` or a route under /api/ ({routes}), or with `include_health` one of {monitoring}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const API: [ApiRoute; 2] = [("/api/v1/things", "GET", 200), ("/api/hello", "GET", 200)];

    fn order(extra: Value) -> Result<FaultOrder, Vec<String>> {
        let mut object = json!({"route": "/api/v1/things", "ttl_seconds": 60});
        for (name, value) in extra.as_object().unwrap() {
            object[name] = value.clone();
        }
        FaultOrder::from_json(object.as_object().unwrap().clone(), &API)
            .map_err(|errors| errors.into_iter().map(|e| format!("{} {}", e.field, e.detail)).collect())
    }

    #[test]
    fn a_wrong_order_names_its_fields() {
        let wrong =
            json!({"route": "/health", "error_percent": 0.001, "status": 200, "ttl_seconds": 0, "why": 1});
        let mut errors = order(wrong).unwrap_err();
        errors[3].truncate("why unknown field `why`, expected one of `route`, `include_health`, ".len());
        assert_eq!(
            errors[..4],
            [
                String::from(
                    "error_percent must be a percentage from 0 to 100 with at most two decimals, not 0.001"
                ),
                String::from("status must be a whole number from 400 to 599, not 200"),
                String::from("ttl_seconds must be a whole number from 1 to 3600, not 0"),
                String::from("why unknown field `why`, expected one of `route`, `include_health`, "),
            ]
        );
        assert_eq!(errors[4], format!("route must be {}, not `/health`", routes(&API)));
        assert!(order(json!({})).unwrap_err()[0].contains("nothing would happen"));
        for (given, alone) in [("delay_percent", "delay_ms"), ("slow_body_percent", "slow_body_ms")] {
            let errors = order(json!({given: 10})).unwrap_err();
            assert!(errors[0].starts_with(&format!("{alone} and {given}")), "{errors:?}");
        }
        for (field, value) in [("method", "BREW"), ("header", "not a header"), ("by", ""), ("unready", "yes")]
        {
            let errors = order(json!({"error_percent": 1, field: value})).unwrap_err();
            assert!(errors.len() == 1 && errors[0].starts_with(field), "{errors:?}");
        }
        let without = json!({"error_percent": 1, "ttl_seconds": 5});
        let errors = FaultOrder::from_json(without.as_object().unwrap().clone(), &API).unwrap_err();
        assert_eq!(errors[0].field, "route");
    }

    #[test]
    fn only_marked_requests_are_meant() {
        let target = order(json!({"error_percent": 1, "method": "GET", "header": "X-Drill: 7"})).unwrap();
        let headers = |value| {
            HeaderMap::from_iter([(HeaderName::from_static("x-drill"), HeaderValue::from_static(value))])
        };
        let route = "/api/v1/things";
        assert!(target.hits(route, &Method::GET, &headers("7")));
        assert!(!target.hits(route, &Method::GET, &headers("8")));
        assert!(!target.hits(route, &Method::GET, &HeaderMap::new()));
        assert!(!target.hits(route, &Method::POST, &headers("7")));
        assert!(!target.hits("/api/hello", &Method::GET, &headers("7")));
        let every = order(json!({"error_percent": 1, "route": "*"})).unwrap();
        assert!(every.hits(route, &Method::GET, &HeaderMap::new()));
        assert!(!MONITORING.iter().any(|route| every.hits(route, &Method::GET, &HeaderMap::new())));
        let health = order(json!({"error_percent": 1, "route": "/livez", "include_health": true})).unwrap();
        assert!(health.hits("/livez", &Method::GET, &HeaderMap::new()));
    }
}
