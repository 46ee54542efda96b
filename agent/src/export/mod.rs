//! What the agent tells about itself: `/metrics` and OTLP traces.
