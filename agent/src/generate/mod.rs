//! From the specs: Prometheus rules, their tests, the Alertmanager config, dashboards, heads of runbooks.
