//! `discover` of a target: a template, and a source of the addresses that it is probed at.
//!
//! ```yaml
//! - name: shop
//!   interval: 10s
//!   http: { url: "http://{{address}}/health" }
//!   discover: { dns: { names: [shop.internal], type: A, port: 8080 }, limit: 50 }
//! ```
//!
//! Files are read here, so that `check` names the line of a mistake. Every other source is asked while the agent runs.

mod discovery;
mod dns;
mod files;
mod found;
mod kubernetes;
mod read;
mod source;
mod template;
#[cfg(test)]
mod tests;

pub use discovery::Discovery;
pub use dns::DnsAddresses;
pub use files::FileAddresses;
pub use found::FoundAddress;
pub use kubernetes::EndpointSlices;
pub use source::AddressSource;

pub(crate) use read::{ReadTargets, read_targets};
