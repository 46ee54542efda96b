//! Slack's Web API. The first message of an incident starts a thread; later transitions are replies. The resolve and an
//! acknowledgement also edit the first message, so that the channel shows which incidents are over or in work. The message of a group is edited with
//! every change, and only what people must hear is a reply.

use std::time::Duration;

use async_trait::async_trait;
use lookout_engine::Change;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{blocks, build_group_message, build_message, build_reply};
use crate::{Grouping, Message, Receiver, Refused, Retry, Update, http};
use lookout_config::Secret;
use lookout_model::{Delivery, News, Notice};

pub(crate) struct WebApi {
    name: String,
    api_url: Url,
    token: Secret,
    channel: String,
    client: Client,
    group_wait: Duration,
}

/// Body of an answer. Slack answers 200 to almost everything and reports errors here.
#[derive(Debug, Deserialize)]
struct Reply {
    ok: bool,
    error: Option<String>,
    ts: Option<String>,
    channel: Option<String>,
}

impl WebApi {
    pub(crate) fn new(
        name: String,
        api_url: &Url,
        token: Secret,
        channel: String,
        client: Client,
        group_wait: Duration,
    ) -> Self {
        Self { name, api_url: api_url.clone(), token, channel, client, group_wait }
    }

    /// Calls a method. The error contains Slack's own error code.
    async fn call(&self, method: &str, payload: &Value) -> Result<Reply, (Option<String>, Refused)> {
        let mut url = self.api_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(method);
        }
        let who = format!("slack {method}");
        let request = self.client.post(url).bearer_auth(self.token.reveal()).json(payload);
        let answer = http::send(&who, request).await.map_err(|refused| (None, refused))?;
        if !answer.is_success() {
            return Err((None, answer.refused(&who, &[self.token.reveal()])));
        }
        let reply: Reply = serde_json::from_str(&answer.body).map_err(|_| {
            let refused = answer.refused(&who, &[self.token.reveal()]);
            // a proxy between us and Slack answered
            (None, Refused { retry: Retry::BackOff, ..refused })
        })?;
        if reply.ok {
            return Ok(reply);
        }
        let word = reply.error.unwrap_or_default();
        let retry = match answer.retry_after {
            Some(wait) if is_rate_limit(&word) => Retry::After(wait),
            _ if is_permanent(&word) || is_about_payload(&word) => Retry::Never,
            _ => Retry::BackOff,
        };
        let quote = crate::message::clean(&word, 100);
        Err((Some(word), Refused { error: format!("{who} was refused: {quote}"), retry }))
    }

    /// Posts a message, in plain text when its blocks are refused.
    async fn post(&self, message: &Message, place: &Value) -> Result<Reply, (Option<String>, Refused)> {
        match self.call("chat.postMessage", &merged(place, blocks::payload(message))).await {
            Err((Some(word), refused)) if is_about_payload(&word) => {
                tracing::warn!(destination.name = %self.name, error = %refused.error,
                    "the blocks were refused, the message is sent as plain text");
                self.call("chat.postMessage", &merged(place, blocks::plain(message))).await
            }
            posted => posted,
        }
    }

    async fn post_anew(&self, message: &Message) -> Result<Option<String>, Refused> {
        let place = json!({ "channel": self.channel, "unfurl_links": false, "unfurl_media": false });
        let reply = self.post(message, &place).await.map_err(|(_, refused)| refused)?;
        let channel = reply.channel.unwrap_or_else(|| self.channel.clone());
        Ok(reply.ts.map(|ts| format!("{channel}:{ts}")))
    }

    /// Edits the first message. A failure is ignored: the reply has delivered the transition already.
    async fn edit(&self, message: &Message, channel: &str, ts: &str) {
        let place = json!({ "channel": channel, "ts": ts });
        if let Err((_, refused)) = self.call("chat.update", &merged(&place, blocks::payload(message))).await {
            tracing::warn!(destination.name = %self.name, error = %refused.error,
                "the first message of the incident was not edited");
        }
    }
}

impl std::fmt::Debug for WebApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebApi").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Receiver for WebApi {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        let message = build_message(delivery);
        let Some((channel, ts)) = delivery.thread.as_deref().and_then(|thread| thread.split_once(':')) else {
            return self.post_anew(&message).await;
        };
        let notice = &delivery.notice;
        let broadcast = notice.is_alarm() && (notice.news.is_some() || notice.change == Change::Escalated);
        let place = json!({
            "channel": channel, "thread_ts": ts, "reply_broadcast": broadcast,
            "unfurl_links": false, "unfurl_media": false,
        });
        match self.post(&message, &place).await {
            Ok(_) => {}
            Err((Some(word), _)) if is_thread_gone(&word) => return self.post_anew(&message).await,
            Err((_, refused)) => return Err(refused),
        }
        if notice.change == Change::Resolved {
            self.edit(&message, channel, ts).await;
        } else if notice.news == Some(News::Acknowledged) {
            let state = Notice { news: None, ..notice.clone() };
            self.edit(&Message::of(&state), channel, ts).await;
        }
        Ok(None)
    }

    /// Posts a message about the group, or edits the one there is and replies to it with news that people must hear.
    async fn deliver_group(&self, update: &Update) -> Result<Option<String>, Refused> {
        let message = build_group_message(update);
        let Some((channel, ts)) = update.thread.as_deref().and_then(|thread| thread.split_once(':')) else {
            return self.post_anew(&message).await;
        };
        let place = json!({ "channel": channel, "ts": ts });
        match self
            .call("chat.update", &merged(&place, blocks::payload(&Message::of_group(&update.members))))
            .await
        {
            Ok(_) => {}
            // the message can be changed no more: another one takes its place
            Err((Some(word), _)) if is_thread_gone(&word) || is_edit_over(&word) => {
                return self.post_anew(&message).await;
            }
            Err((_, refused)) => return Err(refused),
        }
        if update.is_loud() {
            let reply = build_reply(update);
            let place = json!({
                "channel": channel, "thread_ts": ts, "reply_broadcast": update.raises_page(),
                "unfurl_links": false, "unfurl_media": false,
            });
            self.post(&reply, &place).await.map_err(|(_, refused)| refused)?;
        }
        Ok(None)
    }

    fn grouping(&self) -> Grouping {
        Grouping::Edited
    }

    fn group_wait(&self) -> Duration {
        self.group_wait
    }

    fn concurrency(&self) -> usize {
        super::CONCURRENCY
    }
}

fn merged(place: &Value, mut payload: Value) -> Value {
    if let (Some(payload), Some(place)) = (payload.as_object_mut(), place.as_object()) {
        payload.extend(place.clone());
    }
    payload
}

fn is_edit_over(word: &str) -> bool {
    matches!(word, "cant_update_message" | "edit_window_closed")
}

fn is_rate_limit(word: &str) -> bool {
    matches!(word, "ratelimited" | "rate_limited" | "message_limit_exceeded")
}

fn is_about_payload(word: &str) -> bool {
    matches!(
        word,
        "invalid_blocks"
            | "invalid_blocks_format"
            | "invalid_attachments"
            | "attachment_payload_limit_exceeded"
            | "too_many_attachments"
            | "msg_blocks_too_long"
            | "msg_too_long"
            | "no_text"
    )
}

fn is_thread_gone(word: &str) -> bool {
    matches!(word, "thread_not_found" | "message_not_found" | "cannot_reply_to_message" | "invalid_thread_ts")
}

/// Returns whether only a person can fix the error. An unknown code is treated as temporary: a late page is better
/// than a page that is given up.
fn is_permanent(word: &str) -> bool {
    matches!(
        word,
        "account_inactive"
            | "as_user_not_supported"
            | "channel_not_found"
            | "ekm_access_denied"
            | "enterprise_is_restricted"
            | "invalid_arguments"
            | "invalid_auth"
            | "is_archived"
            | "missing_scope"
            | "no_permission"
            | "not_allowed_token_type"
            | "not_authed"
            | "not_in_channel"
            | "org_login_required"
            | "restricted_action"
            | "restricted_action_read_only_channel"
            | "team_access_not_granted"
            | "token_expired"
            | "token_revoked"
            | "two_factor_setup_required"
    )
}
