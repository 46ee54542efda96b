//! The complete table of PromQL's functions: how each turns the quantity of its input into that of its output.
//!
//! A function that is not in the table is an error. Without an entry, a count would pass for a rate, and a ratio would be
//! wrong by the seconds of its window.

use promql_parser::parser::Function;
use promql_parser::parser::value::ValueType;

/// A function's effect on quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Events per second from a range.
    PerSecond,
    /// Events in a range.
    Count,
    /// The quantity of the range's samples.
    OverTime,
    /// The quantity of the first vector among its arguments.
    Same,
    /// A plain number, without a unit.
    Number,
    /// A measurement that is neither a rate nor a count.
    Gauge,
}

use Effect::{Count, Gauge, Number, OverTime, PerSecond, Same};

/// Functions of Prometheus, experimental ones included.
const FUNCTIONS: [(&str, Effect); 91] = [
    ("abs", Same),
    ("absent", Gauge),
    ("absent_over_time", Count),
    ("acos", Gauge),
    ("acosh", Gauge),
    ("asin", Gauge),
    ("asinh", Gauge),
    ("atan", Gauge),
    ("atanh", Gauge),
    ("avg_over_time", OverTime),
    ("ceil", Same),
    ("changes", Count),
    ("clamp", Same),
    ("clamp_max", Same),
    ("clamp_min", Same),
    ("cos", Gauge),
    ("cosh", Gauge),
    ("count_over_time", Count),
    ("day_of_month", Gauge),
    ("day_of_week", Gauge),
    ("day_of_year", Gauge),
    ("days_in_month", Gauge),
    ("deg", Gauge),
    ("delta", Count),
    ("deriv", PerSecond),
    ("double_exponential_smoothing", OverTime),
    ("end", Number),
    ("exp", Gauge),
    ("first_over_time", OverTime),
    ("floor", Same),
    ("histogram_avg", Gauge),
    ("histogram_count", Same),
    ("histogram_fraction", Number),
    ("histogram_quantile", Gauge),
    ("histogram_quantiles", Gauge),
    ("histogram_stddev", Gauge),
    ("histogram_stdvar", Gauge),
    ("histogram_sum", Same),
    ("hour", Gauge),
    ("idelta", Gauge),
    ("increase", Count),
    ("info", Same),
    ("integral", Count),
    ("irate", PerSecond),
    ("label_join", Same),
    ("label_replace", Same),
    ("last_over_time", OverTime),
    ("ln", Gauge),
    ("log10", Gauge),
    ("log2", Gauge),
    ("mad_over_time", OverTime),
    ("max_of", Number),
    ("max_over_time", OverTime),
    ("min_of", Number),
    ("min_over_time", OverTime),
    ("minute", Gauge),
    ("month", Gauge),
    ("pi", Number),
    ("predict_linear", Gauge),
    ("present_over_time", Count),
    ("quantile_over_time", OverTime),
    ("rad", Gauge),
    ("range", Number),
    ("rate", PerSecond),
    ("resets", Count),
    ("round", Same),
    ("scalar", Same),
    ("sgn", Number),
    ("sin", Gauge),
    ("sinh", Gauge),
    ("sort", Same),
    ("sort_by_label", Same),
    ("sort_by_label_desc", Same),
    ("sort_desc", Same),
    ("sqrt", Gauge),
    ("start", Number),
    ("start_timestamp", Gauge),
    ("stddev_over_time", OverTime),
    ("stdvar_over_time", Gauge),
    ("step", Number),
    ("sum_over_time", Count),
    ("tan", Gauge),
    ("tanh", Gauge),
    ("time", Number),
    ("timestamp", Gauge),
    ("ts_of_first_over_time", Gauge),
    ("ts_of_last_over_time", Gauge),
    ("ts_of_max_over_time", Gauge),
    ("ts_of_min_over_time", Gauge),
    ("vector", Same),
    ("year", Gauge),
];

/// Functions over a range that only MetricsQL has. Those that take more than a range are left out: the parser could not
/// check their arguments.
const METRICSQL_ROLLUPS: [(&str, Effect); 36] = [
    ("ascent_over_time", Gauge),
    ("decreases_over_time", Count),
    ("default_rollup", OverTime),
    ("delta_prometheus", Count),
    ("deriv_fast", PerSecond),
    ("descent_over_time", Gauge),
    ("distinct_over_time", Gauge),
    ("geomean_over_time", OverTime),
    ("histogram_over_time", Gauge),
    ("ideriv", PerSecond),
    ("increase_prometheus", Count),
    ("increase_pure", Count),
    ("increases_over_time", Count),
    ("integrate", Count),
    ("iqr_over_time", OverTime),
    ("lag", Gauge),
    ("lifetime", Gauge),
    ("median_over_time", OverTime),
    ("mode_over_time", OverTime),
    ("range_over_time", OverTime),
    ("rate_over_sum", PerSecond),
    ("rate_prometheus", PerSecond),
    ("rollup", Gauge),
    ("rollup_candlestick", Gauge),
    ("rollup_delta", Gauge),
    ("rollup_deriv", Gauge),
    ("rollup_increase", Gauge),
    ("rollup_rate", Gauge),
    ("rollup_scrape_interval", Gauge),
    ("scrape_interval", Gauge),
    ("stale_samples_over_time", Count),
    ("sum2_over_time", Gauge),
    ("tfirst_over_time", Gauge),
    ("timestamp_with_name", Gauge),
    ("tlast_change_over_time", Gauge),
    ("zscore_over_time", Gauge),
];

/// Other names that only MetricsQL has: the parser does not read their form.
const METRICSQL_OTHER: [&str; 70] = [
    "aggr_over_time",
    "alias",
    "any",
    "bitmap_and",
    "bitmap_or",
    "bitmap_xor",
    "buckets_limit",
    "count_eq_over_time",
    "count_gt_over_time",
    "count_le_over_time",
    "count_ne_over_time",
    "count_values_over_time",
    "distinct",
    "drop_common_labels",
    "drop_empty_series",
    "duration_over_time",
    "geomean",
    "histogram",
    "histogram_share",
    "hoeffding_bound_lower",
    "hoeffding_bound_upper",
    "interpolate",
    "keep_last_value",
    "keep_next_value",
    "label_copy",
    "label_del",
    "label_graphite_group",
    "label_keep",
    "label_lowercase",
    "label_map",
    "label_match",
    "label_mismatch",
    "label_move",
    "label_set",
    "label_transform",
    "label_uppercase",
    "label_value",
    "labels_equal",
    "limit_offset",
    "mad",
    "median",
    "mode",
    "now",
    "outlier_iqr_over_time",
    "outliers_iqr",
    "outliers_mad",
    "outliersk",
    "prometheus_buckets",
    "quantiles",
    "quantiles_over_time",
    "rand",
    "range_avg",
    "range_linear_regression",
    "range_max",
    "range_min",
    "range_sum",
    "remove_resets",
    "running_avg",
    "running_max",
    "running_min",
    "running_sum",
    "share",
    "share_eq_over_time",
    "share_gt_over_time",
    "share_le_over_time",
    "smooth_exponential",
    "sum_eq_over_time",
    "sum_gt_over_time",
    "sum_le_over_time",
    "union",
];

/// The effect of a function by its name.
pub(super) fn effect(name: &str) -> Option<Effect> {
    let found = FUNCTIONS.iter().chain(&METRICSQL_ROLLUPS).find(|(known, _)| *known == name);
    found.map(|(_, effect)| *effect)
}

/// Returns whether a function over a range is MetricsQL's own.
pub(super) fn is_metricsql_rollup(name: &str) -> bool {
    METRICSQL_ROLLUPS.iter().any(|(known, _)| *known == name)
}

/// Returns whether only MetricsQL knows a name.
pub(super) fn is_metricsql(name: &str) -> bool {
    is_metricsql_rollup(name) || METRICSQL_OTHER.contains(&name)
}

/// The names of PromQL's functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name)
}

/// MetricsQL's functions over a range, as the parser has to be told of them.
pub(super) fn metricsql_rollups() -> Vec<Function> {
    let function =
        |name: &'static str| Function::new(name, vec![ValueType::Matrix], 0, ValueType::Vector, false);
    METRICSQL_ROLLUPS.iter().map(|(name, _)| function(name)).collect()
}
