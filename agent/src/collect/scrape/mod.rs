//! `/metrics` of a neighbour, read once a slot, as reset-aware counts.
