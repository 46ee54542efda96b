//! The whole agent: built from a config, then run until it is told to stop.
