//! Sloth's `prometheus/v1`, its `PrometheusServiceLevel` and its `AlertWindows`.

mod defaults;
mod spec;
mod windows;

pub(crate) use spec::read;
