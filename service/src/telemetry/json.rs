//! One JSON object per line: time, level, message, the ids of the request it belongs to, and the event's own fields.
//!
//! The JSON format of `tracing-subscriber` puts the ids of a request into an object of its span, where no query looks for
//! them; here they stand beside the other fields. A line is written straight into memory that is used again, because there
//! is one for each request: decision 12 has the figures.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::context::{Ids, TraceIds};
use crate::clock::Clock;

/// A line that needed more than this does not keep its memory.
const KEPT_BYTES: usize = 16 * 1024;

thread_local! {
    /// The memory of the last line.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes events as lines. No event of the service has a field that is named like one of every line.
pub(super) struct JsonLines<W, C> {
    writer: W,
    clock: C,
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
        // Taken out, not borrowed: what an event shows may write a line itself, if only by panicking.
        let mut line = Line(LINE.try_with(RefCell::take).unwrap_or_default());
        line.0.clear();
        let _memory_takes_all = write!(line.0, "{{\"timestamp\":\"{:.6}\"", self.clock.now());
        line.put("level", event.metadata().level().as_str());
        line.put("target", event.metadata().target());
        // Of the innermost span that has some.
        let mut spans = context.event_scope(event).into_iter().flatten();
        if let Some(ids) = spans.find_map(|span| span.extensions().get::<Ids>().cloned()) {
            line.put("request_id", ids.request.to_str().unwrap_or_default());
            if let Some(TraceIds { trace, span, .. }) = ids.trace {
                line.put("trace_id", format_args!("{trace}"));
                line.put("span_id", format_args!("{span}"));
            }
        }
        event.record(&mut line);
        line.0.extend_from_slice(b"}\n");
        // There is nowhere left to complain when the log itself cannot be written.
        let _written = self.writer.make_writer_for(event.metadata()).write_all(&line.0);
        if line.0.capacity() <= KEPT_BYTES {
            let _at_the_end_of_a_thread = LINE.try_with(|kept| kept.replace(line.0));
        }
    }
}

/// A line while it is written.
struct Line(Vec<u8>);

impl Line {
    /// Appends a field. Names are those of our own code and need no escaping.
    fn put(&mut self, name: &str, value: impl Serialize) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        // Memory takes everything, and JSON has a form for all that is put here: a number that is not finite becomes null.
        let _written = serde_json::to_writer(&mut self.0, &value);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut chain = value.to_string();
        let mut link = value.source();
        while let Some(error) = link {
            let _memory_takes_all = write!(chain, ": {error}");
            link = error.source();
        }
        self.put(field.name(), chain);
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
