//! The HTTP surface: JSON API, pages, metrics, health.
