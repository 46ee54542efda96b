//! Slack, by incoming webhook or by its Web API.

mod api;
mod blocks;
mod escape;
mod text;
mod webhook;

#[cfg(test)]
pub(crate) mod golden_tests;

pub(super) use api::WebApi;
pub use text::slack_as_text;
pub(super) use webhook::Webhook;

use super::{Message, Update};
use lookout_model::Delivery;

/// Number of messages under way. Slack does not detect repetitions, so a crash repeats one message at most; and it takes
/// about one message a second.
const CONCURRENCY: usize = 1;

/// Returns the message of a group. Slack does not detect repetitions, so the text names them.
fn build_group_message(update: &Update) -> Message {
    let message = Message::of_update(update);
    if update.is_unsure() { message.resent() } else { message }
}

/// Returns the reply about the news of a group: its end, or the incidents that changed.
fn build_reply(update: &Update) -> Message {
    let message =
        if update.is_over() { Message::of_group(&update.members) } else { Message::of_changed(update) };
    if update.is_unsure() { message.resent() } else { message }
}

/// Returns the message of a delivery. Slack does not detect repetitions, so the text names them.
fn build_message(delivery: &Delivery) -> Message {
    let message = Message::of(&delivery.notice);
    if delivery.unsure { message.resent() } else { message }
}
