//! `targets` and `scrapes` of `lookout.yaml`.

use core::time::Duration;
use std::path::Path;

use lookout_engine::Grid;
use serde_json_path::JsonPath;

use super::model::{Expect, JsonExpectation, Scrape, Target};
use super::reader::{At, Fields, Reader};
use super::secret::Secret;
use super::yaml::Value;

/// Bytes of an answer that are read unless told otherwise.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;

/// Most bytes of an answer that may be asked for: a sidecar must stay small.
const BODY_LIMIT_LIMIT: usize = 64 * 1024 * 1024;

/// The deadline of a probe or scrape unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Headers whose values are never secret; all others are kept out of snippets.
const PLAIN_HEADERS: [&str; 7] =
    ["accept", "accept-encoding", "accept-language", "cache-control", "content-type", "host", "user-agent"];

/// The deadline of a check that runs every `interval`, when none is written.
pub(super) fn default_timeout(interval: Duration) -> Duration {
    TIMEOUT.min(interval / 2)
}

/// One of `targets`.
pub(super) fn read_target(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    grid: Option<Grid>,
    folder: &Path,
) -> Option<Target> {
    let fields = reader.fields(at, &["name", "http", "interval", "timeout"])?;
    let name = reader.required(&fields, "name", "give the target a name that SLOs refer to");
    let name = name.and_then(|at| reader.name(&at));
    let interval = match fields.get("interval") {
        Some(at) => whole_seconds(reader, &at),
        None => grid.map(|grid| Duration::from_secs(u64::from(grid.width_seconds()))),
    };
    let timeout = read_timeout(reader, &fields, interval);
    let http = reader.required(&fields, "http", "say what is requested: `http: { url: … }`");
    let request = http.and_then(|at| read_request(reader, &at, folder));
    let (name, interval, timeout, request) = (name?, interval?, timeout?, request?);
    Some(Target { name: name.to_owned(), interval, timeout, ..request })
}

fn whole_seconds(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Duration> {
    let interval = reader.duration(at)?;
    if interval.subsec_nanos() == 0 && !interval.is_zero() {
        return Some(interval);
    }
    reader.error(at, "an interval is a whole number of seconds", "write at least `1s`");
    None
}

fn read_timeout(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    interval: Option<Duration>,
) -> Option<Duration> {
    let Some(at) = fields.get("timeout") else { return interval.map(default_timeout) };
    let timeout = reader.duration(&at)?;
    let interval = interval?;
    if timeout.is_zero() || timeout >= interval {
        let every = lookout_model::print_duration(interval);
        let message =
            format!("a timeout must be shorter than the interval of {every}, so that checks never overlap");
        let help = format!("leave it out for {}", lookout_model::print_duration(default_timeout(interval)));
        reader.error(&at, message, help);
        return None;
    }
    Some(timeout)
}

/// What stands under `http`; name and times are filled in by the caller.
fn read_request(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<Target> {
    let known = ["url", "method", "headers", "body", "insecure", "body_limit", "expect"];
    let fields = reader.fields(at, &known)?;
    let url = reader.required(&fields, "url", "say what is requested, like `http://127.0.0.1:8080/health`");
    let url = url.and_then(|at| reader.url(&at));
    let method = fields.get("method").map_or(Some("GET".to_owned()), |at| read_method(reader, &at));
    let headers = fields.get("headers").map_or(Some(Vec::new()), |at| read_headers(reader, &at, folder));
    let body = fields.get("body").map_or(Some(None), |at| reader.text(&at).map(|text| Some(text.to_owned())));
    let insecure = fields.get("insecure").map_or(Some(false), |at| reader.switch(&at));
    let body_limit = fields.get("body_limit").map_or(Some(BODY_LIMIT), |at| read_size(reader, &at));
    let expect = fields.get("expect").map_or(Some(Expect::default()), |at| read_expect(reader, &at));
    Some(Target {
        name: String::new(),
        url: url?,
        method: method?,
        headers: headers?,
        body: body?,
        interval: Duration::ZERO,
        timeout: Duration::ZERO,
        insecure: insecure?,
        body_limit: body_limit?,
        expect: expect?,
    })
}

fn read_method(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let method = reader.text(at)?.to_ascii_uppercase();
    let good = !method.is_empty() && method.len() <= 32 && method.bytes().all(|b| b.is_ascii_uppercase());
    if !good {
        reader.error(at, "this is not a request method", "write one like `GET`, `HEAD` or `POST`");
        return None;
    }
    Some(method)
}

pub(super) fn read_headers(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    folder: &Path,
) -> Option<Vec<(String, Secret)>> {
    let fields = reader.open_fields(at, "from names to values")?;
    let mut headers = Vec::new();
    let mut whole = true;
    for (key, value) in fields.all() {
        let named = http::HeaderName::try_from(key.name.as_str()).is_ok();
        if !named {
            reader.error(&value, "this cannot be the name of a header", "use letters, digits and `-`");
        }
        let secret = read_header(reader, &key.name, &value, folder);
        match secret {
            Some(secret) if named => headers.push((key.name.clone(), secret)),
            _ => whole = false,
        }
    }
    whole.then_some(headers)
}

fn read_header(reader: &mut Reader<'_>, name: &str, at: &At<'_>, folder: &Path) -> Option<Secret> {
    let value = if matches!(at.node.value, Value::Map(_)) {
        let fields = reader.fields(at, &["file"])?;
        let file = reader.required(&fields, "file", "name the file that holds the value")?;
        reader.secret_from_file(&file, folder)?
    } else {
        let name = name.to_ascii_lowercase();
        let plain = PLAIN_HEADERS.contains(&name.as_str());
        let words = ["auth", "cookie", "key", "password", "secret", "token"];
        let credential = words.iter().any(|word| name.contains(word));
        reader.secret_text(at, !plain, credential)?
    };
    if http::HeaderValue::try_from(&value).is_err() {
        reader.error(
            at,
            "this cannot be the value of a header",
            "leave line breaks and control characters out",
        );
        return None;
    }
    Some(Secret::new(value))
}

/// `1MiB`, `64KiB`, `100000B` or a plain number of bytes.
fn read_size(reader: &mut Reader<'_>, at: &At<'_>) -> Option<usize> {
    let bytes = match &at.node.value {
        Value::Int(bytes) => usize::try_from(*bytes).ok(),
        Value::Text(text) => {
            let units = [("KiB", 1024), ("MiB", 1024 * 1024), ("kB", 1000), ("MB", 1_000_000), ("B", 1)];
            units.iter().find_map(|(unit, size)| {
                text.strip_suffix(unit)?.trim_end().parse::<usize>().ok()?.checked_mul(*size)
            })
        }
        _ => None,
    };
    let found = bytes.filter(|bytes| (1..=BODY_LIMIT_LIMIT).contains(bytes));
    if found.is_none() {
        reader.error(
            at,
            "expected a size from 1 byte to 64 MiB",
            "write it like `64KiB`, `1MiB` or in bytes",
        );
    }
    found
}

fn read_expect(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Expect> {
    let fields = reader.fields(at, &["status", "latency", "json"])?;
    let status = fields.get("status").map_or_else(
        || Some(Expect::default().status),
        |at| {
            let items = reader.list(&at)?;
            if items.is_empty() {
                reader.error(&at, "no status would be good", "leave it out for 200–299");
                return None;
            }
            let ranges: Vec<_> = items.iter().map(|at| read_status(reader, at)).collect();
            ranges.into_iter().collect()
        },
    );
    let latency = fields.get("latency").map_or(Some(None), |at| {
        let latency = reader.duration(&at)?;
        if latency.is_zero() {
            reader.error(&at, "no answer is faster than nothing", "write a longer time, like `500ms`");
            return None;
        }
        Some(Some(latency))
    });
    let json = fields.get("json").map_or(Some(Vec::new()), |at| {
        let fields = reader.open_fields(&at, "from paths to values: `{ \"$.status\": ok }`")?;
        let read: Vec<_> = fields.all().map(|(key, value)| read_json(reader, &key.name, &value)).collect();
        read.into_iter().collect()
    });
    Some(Expect { status: status?, latency: latency?, json: json? })
}

fn read_status(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(u16, u16)> {
    let range = match &at.node.value {
        Value::Int(code) => u16::try_from(*code).ok().map(|code| (code, code)),
        Value::Text(text) => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            first.trim().parse().ok().zip(last.trim().parse().ok())
        }
        _ => None,
    };
    let range = range.filter(|(first, last)| 100 <= *first && first <= last && *last <= 599);
    if range.is_none() {
        reader.error(
            at,
            "expected a status or a range of them",
            "write `200` or `\"200-299\"`, from 100 to 599",
        );
    }
    range
}

fn read_json(reader: &mut Reader<'_>, path: &str, at: &At<'_>) -> Option<JsonExpectation> {
    match JsonPath::parse(path) {
        Ok(parsed) => {
            Some(JsonExpectation { text: path.to_owned(), path: parsed, equals: json(&at.node.value) })
        }
        Err(error) => {
            let message = format!("`{path}` is not a JSON path: {error}");
            reader.error(at, message, "write it as in RFC 9535, like `$.status` or `$.checks[0].ok`");
            None
        }
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(value) => value.as_str().into(),
        Value::List(nodes) => nodes.iter().map(|node| json(&node.value)).collect(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| (key.name.clone(), json(&node.value)));
            serde_json::Value::Object(entries.collect())
        }
    }
}

/// One of `scrapes`. They are read once per slot of the grid.
pub(super) fn read_scrape(reader: &mut Reader<'_>, at: &At<'_>, grid: Option<Grid>) -> Option<Scrape> {
    let fields = reader.fields(at, &["name", "url", "timeout", "job"])?;
    let name = reader.required(&fields, "name", "give the source a name that SLOs refer to");
    let name = name.and_then(|at| reader.name(&at));
    let url =
        reader.required(&fields, "url", "say where the metrics are, like `http://127.0.0.1:8081/metrics`");
    let url = url.and_then(|at| reader.url(&at));
    let interval = grid.map(|grid| Duration::from_secs(u64::from(grid.width_seconds())));
    let timeout = read_timeout(reader, &fields, interval);
    let job = fields.get("job").map_or(Some(None), |at| reader.text(&at).map(|job| Some(job.to_owned())));
    Some(Scrape { name: name?.to_owned(), url: url?, timeout: timeout?, job: job? })
}
