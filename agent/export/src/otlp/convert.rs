//! The text of `/metrics` as a request of OTLP: counters become cumulative sums, gauges stay, histograms keep their bounds.

use std::collections::BTreeMap;

use lookout_collect::scrape::{BadExposition, Sample, samples};
use lookout_model::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;

/// Time that sums and histograms cover.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) started: Timestamp,
    pub(super) now: Timestamp,
}

/// Converts a whole text.
pub(super) fn request(
    text: &str,
    resource: &opentelemetry_sdk::Resource,
    span: Span,
) -> Result<ExportMetricsServiceRequest, BadExposition> {
    let attributes = ResourceAttributesWithSchema::from(resource).attributes.0;
    let scope = InstrumentationScope { name: "lookout".to_owned(), ..InstrumentationScope::default() };
    let metrics = metrics(text, span)?;
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }];
    let resource = Resource { attributes, ..Resource::default() };
    Ok(ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics,
            schema_url: String::new(),
        }],
    })
}

/// A family while it is read.
#[derive(Default)]
struct Family<'t> {
    help: &'t str,
    kind: &'t str,
    points: Vec<NumberDataPoint>,
    /// Histograms by their labels.
    buckets: BTreeMap<Vec<(&'t str, String)>, Buckets>,
}

/// One histogram: counts up to each bound, as the text has them.
#[derive(Default)]
struct Buckets {
    bounds: Vec<f64>,
    cumulative: Vec<u64>,
    sum: Option<f64>,
    count: u64,
}

fn metrics(text: &str, span: Span) -> Result<Vec<Metric>, BadExposition> {
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            families.entry(name).or_default().help = help;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            families.entry(name).or_default().kind = kind.trim();
        }
    }
    for sample in samples(text) {
        let sample = sample?;
        let (name, part) = family_of(sample.metric, &families);
        let family = families.entry(name).or_default();
        match part {
            None => family.points.push(number(&sample, span)),
            Some(part) => add_to_histogram(family, part, &sample),
        }
    }
    Ok(families.into_iter().filter_map(|(name, family)| family.into_metric(name, span)).collect())
}

/// Returns the name of a sample's family, and its part of a histogram.
fn family_of<'t>(
    metric: &'t str,
    families: &BTreeMap<&'t str, Family<'t>>,
) -> (&'t str, Option<&'static str>) {
    let is_histogram = |name: &str| families.get(name).is_some_and(|family| family.kind == "histogram");
    let parts = ["_bucket", "_sum", "_count"];
    let found = parts.into_iter().find_map(|part| {
        metric.strip_suffix(part).filter(|name| is_histogram(name)).map(|name| (name, Some(part)))
    });
    found.unwrap_or((metric, None))
}

fn add_to_histogram<'t>(family: &mut Family<'t>, part: &str, sample: &Sample<'t>) {
    let labels = sample.labels.iter().filter(|(name, _)| part != "_bucket" || *name != "le");
    let key = labels.map(|(name, value)| (*name, value.clone().into_owned())).collect();
    let buckets = family.buckets.entry(key).or_default();
    // counts of the text are whole numbers
    let count = sample.value.max(0.0) as u64;
    match part {
        "_sum" => buckets.sum = Some(sample.value),
        "_count" => buckets.count = count,
        _ => {
            let bound = sample.label("le").and_then(|bound| bound.parse::<f64>().ok());
            if let Some(bound) = bound.filter(|bound| bound.is_finite()) {
                buckets.bounds.push(bound);
                buckets.cumulative.push(count);
            }
        }
    }
}

impl Family<'_> {
    fn into_metric(self, name: &str, span: Span) -> Option<Metric> {
        let data = match self.kind {
            "histogram" if self.buckets.is_empty() => return None,
            "histogram" => Data::Histogram(Histogram {
                data_points: self.buckets.into_iter().map(|(key, one)| one.into_point(key, span)).collect(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            }),
            _ if self.points.is_empty() => return None,
            "counter" => Data::Sum(Sum {
                data_points: self.points,
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            }),
            _ => Data::Gauge(Gauge { data_points: self.points }),
        };
        Some(Metric {
            name: name.to_owned(),
            description: self.help.to_owned(),
            data: Some(data),
            ..Metric::default()
        })
    }
}

impl Buckets {
    fn into_point(self, key: Vec<(&str, String)>, span: Span) -> HistogramDataPoint {
        let mut below = 0;
        let mut bucket_counts: Vec<u64> = Vec::with_capacity(self.cumulative.len() + 1);
        for up_to in self.cumulative.iter().chain([&self.count]) {
            bucket_counts.push(up_to.saturating_sub(below));
            below = *up_to;
        }
        HistogramDataPoint {
            attributes: key.into_iter().map(|(name, value)| attribute(name, value)).collect(),
            start_time_unix_nano: nanos(span.started),
            time_unix_nano: nanos(span.now),
            count: self.count,
            sum: self.sum,
            bucket_counts,
            explicit_bounds: self.bounds,
            ..HistogramDataPoint::default()
        }
    }
}

fn number(sample: &Sample<'_>, span: Span) -> NumberDataPoint {
    NumberDataPoint {
        attributes: sample
            .labels
            .iter()
            .map(|(name, value)| attribute(name, value.clone().into_owned()))
            .collect(),
        start_time_unix_nano: nanos(span.started),
        time_unix_nano: nanos(span.now),
        value: Some(number_data_point::Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    }
}

fn attribute(name: &str, value: String) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value)) };
    KeyValue { key: name.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span { started: Timestamp::from_millis(1_000), now: Timestamp::from_millis(2_500) };

    const TEXT: &str = "# HELP probes_total Probes by outcome.\n# TYPE probes_total counter\n\
        probes_total{outcome=\"ok\",target=\"a \\\"b\\\"\"} 3\nprobes_total{outcome=\"fail\",target=\"a\"} 1\n\
        # TYPE burn gauge\nburn 0.25\n# TYPE empty counter\n\
        # TYPE took_seconds histogram\ntook_seconds_bucket{le=\"0.1\"} 2\ntook_seconds_bucket{le=\"1\"} 5\n\
        took_seconds_bucket{le=\"+Inf\"} 6\ntook_seconds_sum 3.5\ntook_seconds_count 6\n";

    #[test]
    fn every_kind_of_family_keeps_its_meaning() {
        let metrics = metrics(TEXT, SPAN).unwrap();
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["burn", "probes_total", "took_seconds"]);
        let Some(Data::Gauge(burn)) = &metrics[0].data else { panic!("{:?}", metrics[0]) };
        assert_eq!(burn.data_points[0].value, Some(number_data_point::Value::AsDouble(0.25)));
        assert_eq!(burn.data_points[0].time_unix_nano, 2_500_000_000);
        let Some(Data::Sum(probes)) = &metrics[1].data else { panic!("{:?}", metrics[1]) };
        assert_eq!(metrics[1].description, "Probes by outcome.");
        assert!(probes.is_monotonic);
        assert_eq!(probes.aggregation_temporality, AggregationTemporality::Cumulative as i32);
        let first = &probes.data_points[0];
        assert_eq!(first.start_time_unix_nano, 1_000_000_000);
        assert_eq!(first.attributes[1], attribute("target", "a \"b\"".to_owned()));
        let Some(Data::Histogram(took)) = &metrics[2].data else { panic!("{:?}", metrics[2]) };
        let point = &took.data_points[0];
        assert_eq!((point.count, point.sum), (6, Some(3.5)));
        assert_eq!((&point.explicit_bounds[..], &point.bucket_counts[..]), (&[0.1, 1.0][..], &[2, 3, 1][..]));
    }

    #[test]
    fn a_text_that_is_none_is_an_error_and_not_half_a_request() {
        assert!(metrics("# TYPE a counter\na 1\nb{ 2\n", SPAN).is_err());
    }
}
