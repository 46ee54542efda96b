//! The HTTP server of both programs, which bounds what clients can take of it: connections in all and of one client, the time of
//! a head, the speed of reading, and the memory of responses that nobody has taken yet. A probe is answered even while every
//! connection has a request. It knows no route, no configuration and no error of a program, and it never waits for a client
//! before it accepts the next one.
//!
//! - `limits` is what a program sets, `request` what a handler is told beside the request.
//! - `serve` accepts connections and ends them, in order when it is told to stop.
//! - `connections` is the table of open ones, `response` watches what is sent on them, `pace` ends slow readers.

mod client;
mod connections;
mod limits;
mod pace;
mod request;
mod response;
mod serve;

pub use client::network_of;
pub use limits::Limits;
pub use request::{PeerAddress, ProbesOnly};
pub use response::HeldBytes;
pub use serve::{bind, serve};
