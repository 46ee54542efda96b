//! The promises of the agent, as its users see them.

#[cfg(test)]
mod attended;
#[cfg(test)]
mod backtest;
#[cfg(test)]
mod backups;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod client_certificate;
#[cfg(test)]
mod composite;
#[cfg(test)]
mod corrected;
#[cfg(test)]
mod discovered;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod down;
#[cfg(test)]
mod early;
#[cfg(test)]
#[path = "../../../xtask/tests/it/fences.rs"]
mod fences;
#[cfg(test)]
mod gate_binary;
#[cfg(test)]
mod gate_states;
#[cfg(test)]
mod heartbeats;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod implausible;
#[cfg(test)]
mod importing;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod ledger_faults;
#[cfg(test)]
mod month;
#[cfg(test)]
mod notified;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod pauses;
#[cfg(test)]
mod probed;
#[cfg(test)]
mod promised;
#[cfg(test)]
mod queried;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod reloaded;
#[cfg(test)]
mod repaired;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod shared_series;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod support;
#[cfg(test)]
mod verbs;
#[cfg(test)]
mod watched;
