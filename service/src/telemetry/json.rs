//! One JSON object per line: time, level, message, the ids of the request it belongs to, and the event's own fields.

use std::fmt;
use std::io::Write as _;

use opentelemetry::trace::{SpanId, TraceId};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::context::TraceIds;
use crate::clock::Clock;

/// The fields of a span that every line within it repeats, so that lines can be joined.
const IDS: [&str; 3] = ["request_id", "trace_id", "span_id"];

/// Writes events as lines.
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
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut ids = Ids(Object::default());
        attributes.record(&mut ids);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(ids);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(ids) = span.extensions_mut().get_mut::<Ids>()
        {
            values.record(ids);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Object::default();
        line.put("timestamp", format!("{:.6}", self.clock.now()).into());
        line.put("level", event.metadata().level().as_str().into());
        line.put("target", event.metadata().target().into());
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(ids) = span.extensions().get::<Ids>() {
                line.0.extend(ids.0.0.clone());
            }
        }
        event.record(&mut line);
        let mut text = Value::Object(line.0).to_string();
        text.push('\n');
        // There is nowhere left to complain when the log itself cannot be written.
        let _written = self.writer.make_writer_for(event.metadata()).write_all(text.as_bytes());
    }
}

#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Object {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut link = Some(value);
        let mut chain = Vec::new();
        while let Some(error) = link {
            chain.push(error.to_string());
            link = error.source();
        }
        self.put(field.name(), chain.join(": ").into());
    }
}

/// The ids a span carries.
pub(super) struct Ids(Object);

impl Ids {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.0.get(name)?.as_str()
    }

    /// The trace and the span, if both are known.
    pub(super) fn trace(&self) -> Option<TraceIds> {
        let trace = TraceId::from_hex(self.get("trace_id")?).ok()?;
        let span = SpanId::from_hex(self.get("span_id")?).ok()?;
        Some(TraceIds { trace, span, sampled: true })
    }
}

impl Visit for Ids {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if IDS.contains(&field.name()) {
            self.0.record_debug(field, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if IDS.contains(&field.name()) {
            self.0.record_str(field, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use jiff::Timestamp;
    use tracing_subscriber::layer::SubscriberExt as _;

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
            let span = tracing::info_span!(
                "request",
                request_id = "r1",
                trace_id = tracing::field::Empty,
                other = 1
            );
            span.record("trace_id", tracing::field::display("t1"));
            span.in_scope(|| tracing::info!(status = 200, text = "a \"quoted\"\nline", "request"));
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1);
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["timestamp"], "2026-04-14T12:00:00.500000Z");
        assert_eq!((&line["message"], &line["level"]), (&"request".into(), &"INFO".into()));
        assert_eq!((&line["request_id"], &line["trace_id"]), (&"r1".into(), &"t1".into()));
        assert_eq!((&line["status"], &line["text"]), (&200.into(), &"a \"quoted\"\nline".into()));
        assert_eq!(line.get("other"), None);
    }
}
