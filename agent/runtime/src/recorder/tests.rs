use lookout_model::Timestamp;

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn recorded() -> Recorder {
    let recorder = Recorder::new(&[0.5, 1.0], &[("b_seconds", &[0.3])]);
    metrics::with_local_recorder(&recorder, || {
        metrics::describe_counter!("c_total", "The third.");
        metrics::counter!("c_total", "x" => "2").increment(2);
        metrics::counter!("c_total", "x" => "1", "y" => "a\"b").increment(0);
        metrics::counter!("c_total", "x" => "2").increment(1);
        metrics::gauge!("g").set(1.5);
        metrics::gauge!("h").set(f64::NAN);
        for value in [0.5, 0.7, 9.0, f64::NAN] {
            metrics::histogram!("a_seconds", "x" => "1").record(value);
        }
        let at = Timestamp::from_millis(1_500);
        with_trace(TRACE, at, || metrics::histogram!("b_seconds").record(0.2));
        with_trace(TRACE, at, || metrics::histogram!("b_seconds").record(0.25));
        with_trace("no trace", at, || metrics::histogram!("b_seconds").record(0.4));
    });
    recorder
}

#[test]
fn families_are_sorted_and_a_value_that_is_not_finite_is_left_out() {
    assert_eq!(
        recorded().text(Format::Text),
        "# HELP c_total The third.\n# TYPE c_total counter\n\
         c_total{x=\"1\",y=\"a\\\"b\"} 0\nc_total{x=\"2\"} 3\n\
         # TYPE g gauge\ng 1.5\n\
         # TYPE a_seconds histogram\na_seconds_bucket{x=\"1\",le=\"0.5\"} 1\na_seconds_bucket{x=\"1\",le=\"1\"} 2\n\
         a_seconds_bucket{x=\"1\",le=\"+Inf\"} 3\na_seconds_sum{x=\"1\"} 10.2\na_seconds_count{x=\"1\"} 3\n\
         # TYPE b_seconds histogram\nb_seconds_bucket{le=\"0.3\"} 2\nb_seconds_bucket{le=\"+Inf\"} 3\n\
         b_seconds_sum 0.8500000000000001\nb_seconds_count 3\n"
    );
}

#[test]
fn openmetrics_leads_from_a_bucket_to_its_last_trace() {
    let text = recorded().text(Format::OpenMetrics);
    let line = format!("b_seconds_bucket{{le=\"0.3\"}} 2 # {{trace_id=\"{TRACE}\"}} 0.25 1.500\n");
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("b_seconds_bucket{le=\"+Inf\"} 3\n"), "{text}");
    assert_eq!(text.matches("trace_id").count(), 1, "{text}");
    assert!(text.contains("# TYPE c counter\nc_total{"), "{text}");
}

#[test]
fn a_handle_that_is_kept_counts_for_its_series() {
    let recorder = recorded();
    let kept = metrics::with_local_recorder(&recorder, || metrics::counter!("c_total", "x" => "2"));
    kept.increment(4);
    assert!(recorder.text(Format::Text).contains("c_total{x=\"2\"} 7\n"));
}

#[test]
fn series_with_a_label_are_forgotten_and_no_others() {
    let recorder = recorded();
    recorder.forget("x", "1");
    let text = recorder.text(Format::Text);
    assert!(!text.contains("x=\"1\"") && !text.contains("a_seconds"), "{text}");
    assert!(text.contains("c_total{x=\"2\"} 3") && text.contains("b_seconds_count 3"), "{text}");
    // a value that looks like a label, the end of a name, and the beginning of a value
    let labels = [("y", ",x=\"2\","), ("xx", "2"), ("x", "22")];
    metrics::with_local_recorder(&recorder, || metrics::counter!("d_total", &labels).increment(1));
    recorder.forget("x", "2");
    let text = recorder.text(Format::Text);
    assert!(text.contains("d_total") && !text.contains("c_total{"), "{text}");
    metrics::with_local_recorder(&recorder, || metrics::counter!("c_total", "x" => "2").increment(1));
    assert!(recorder.text(Format::Text).contains("c_total{x=\"2\"} 1"), "it begins anew");
}
