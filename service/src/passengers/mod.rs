//! The passengers. To add another entity, copy this folder and name it in `api`.
//!
//! - `domain` is what a passenger is: values, filters, orders, the built-in list. It knows neither database nor HTTP.
//! - `store` keeps passengers in either database, `http` serves them.

pub mod domain;
pub mod http;
mod store;

pub use store::{Claim, Repeatable, Store, StoreError};
