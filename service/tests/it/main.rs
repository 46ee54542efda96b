//! The service as its users meet it: the whole application in memory, and the real program over sockets and signals.
//!
//! `cfg(test)` always holds here; it tells the lints that what the tests share may panic, as the tests themselves may.

#[cfg(test)]
#[macro_use]
mod backends;
#[cfg(test)]
mod app;
#[cfg(test)]
mod backups;
#[cfg(test)]
mod batching;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod collector;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod degraded;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod faults;
#[cfg(test)]
#[path = "../../../xtask/tests/it/fences.rs"]
mod fences;
#[cfg(test)]
mod fuzzed;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod landing;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod life;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod newer;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod passengers;
#[cfg(test)]
mod pgbouncer;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod podinfo;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod process;
#[cfg(test)]
mod program;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod server;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod slow_clients;
#[cfg(test)]
mod voyages;
#[cfg(test)]
mod wire;
