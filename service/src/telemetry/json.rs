//! One JSON object per line: time, level, message, the ids of the request it belongs to, and the event's own fields.
//!
//! The fields are written by `tracing-serde`, as in the JSON format of `tracing-subscriber`. That format puts the ids of a
//! request into an object of its span, where no query looks for them; here they stand beside the other fields.

use std::io::Write as _;

use serde::Serialize;
use tracing::{Event, Subscriber};
use tracing_serde::AsSerde as _;
use tracing_serde::fields::AsMap as _;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::context::Ids;
use crate::clock::Clock;

/// Writes events as lines.
pub(super) struct JsonLines<W, C> {
    writer: W,
    clock: C,
}

/// A line. No event of the service has a field of one of these names.
#[derive(Serialize)]
struct Line<'a, F> {
    timestamp: String,
    level: tracing_serde::SerializeLevel<'a>,
    target: &'a str,
    #[serde(flatten)]
    ids: Option<Ids>,
    #[serde(flatten)]
    fields: F,
}

impl<W, C> JsonLines<W, C> {
    pub(super) fn new(writer: W, clock: C) -> Self {
        Self { writer, clock }
    }
}

impl<S, W, C> Layer<S> for JsonLines<W, C>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
    C: Clock,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let line = Line {
            timestamp: format!("{:.6}", self.clock.now()),
            level: event.metadata().level().as_serde(),
            target: event.metadata().target(),
            ids: Ids::of_event(event, &context),
            fields: event.field_map(),
        };
        let Ok(mut bytes) = serde_json::to_vec(&line) else { return };
        bytes.push(b'\n');
        // There is nowhere left to complain when the log itself cannot be written.
        let _written = self.writer.make_writer_for(event.metadata()).write_all(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use axum::http::HeaderValue;
    use jiff::Timestamp;
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::context::TraceIds;
    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            "2026-04-14T12:00:00.5Z".parse().unwrap()
        }
    }

    #[test]
    fn a_line_carries_the_ids_of_its_request_and_its_own_fields() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = JsonLines::new(move || writer.clone(), Noon);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("request", other = 1);
            let trace = TraceIds::of_header("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
            Ids::new(HeaderValue::from_static("r1"), trace).put_into(&span);
            span.in_scope(|| {
                tracing::info!(status = 200, share = f64::NAN, text = "a \"quoted\"\nline", "request")
            });
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1);
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["timestamp"], "2026-04-14T12:00:00.500000Z");
        assert_eq!((&line["message"], &line["level"]), (&"request".into(), &"INFO".into()));
        assert_eq!(line["request_id"], "r1");
        assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((&line["status"], &line["text"]), (&200.into(), &"a \"quoted\"\nline".into()));
        assert_eq!((line.get("other"), &line["span_id"]), (None, &"b7ad6b7169203331".into()));
        assert_eq!(line["share"], Value::Null);
    }
}
