//! Slack, by incoming webhook or by its Web API.

mod api;
mod blocks;
mod escape;
mod text;
mod webhook;

#[cfg(test)]
mod golden;

pub(super) use api::WebApi;
pub use text::slack_as_text;
pub(super) use webhook::Webhook;

use super::Message;
use lookout_model::Delivery;

/// Returns the message of a delivery. Slack does not detect repetitions, so the text names them.
fn build_message(delivery: &Delivery) -> Message {
    let message = Message::of(&delivery.notice);
    if delivery.unsure { message.resent() } else { message }
}
