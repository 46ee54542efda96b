//! `destinations` of `lookout.yaml`.

mod alertmanager;
mod receivers;
mod route;
mod template;

pub use template::{BodyTemplate, PLACEHOLDERS};

use std::path::Path;
use std::time::Duration;

use lookout_engine::Severity;
use url::Url;

use super::address::parse_http_url;
use super::model::{Destination, DestinationKind};
use super::reader::{At, Fields, Reader};
use super::secret::Secret;
use crate::coverage::Declared;
use crate::credentials::{SecretValue, read_secret};
use crate::keys::Key;
use crate::keys::agent::{destination, slack};

/// Base URL of the Web API of Slack.
const SLACK_API: &str = "https://slack.com/api/";

/// Longest time that an incident waits for others: a page must not wait long.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Keys of the URL of a webhook.
const WEBHOOK: [Key; 2] = [slack::WEBHOOK_URL, slack::WEBHOOK_URL_FILE];

/// Keys of the token of a bot.
const TOKEN: [Key; 2] = [slack::TOKEN, slack::TOKEN_FILE];

/// Reads one of `destinations`. It is `None` beside its declaration while its secret comes from variables that are empty: a
/// warning says so, and nothing is sent.
pub(super) fn read_destination(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    folder: &Path,
    names: &[String],
) -> Option<(Declared, Option<Destination>)> {
    let fields = reader.fields(at, destination::OBJECT)?;
    let name = reader.required(
        &fields,
        destination::NAME,
        "give the destination a name that messages and metrics show",
    );
    let name = name.and_then(|at| reader.name(&at));
    let minimum = fields.get(destination::MINIMUM).map_or(Some(Severity::Ticket), |at| reader.severity(&at));
    let kinds = [
        destination::SLACK,
        destination::ALERTMANAGER,
        destination::PAGERDUTY,
        destination::WEBHOOK,
        destination::EMAIL,
    ];
    let written: Vec<_> = kinds.iter().filter_map(|key| Some((*key, fields.get(*key)?))).collect();
    let [(key, value)] = written.as_slice() else {
        let names = kinds.map(|key| key.name);
        let help = format!("write one of {}", super::reader::quoted_list(&names));
        reader.error(at, "a destination is of exactly one kind", help);
        return None;
    };
    let kind = match key.name {
        name if name == destination::SLACK.name => read_slack(reader, value, folder)?,
        name if name == destination::ALERTMANAGER.name => {
            alertmanager::read_alertmanager(reader, value, folder)?
        }
        name if name == destination::PAGERDUTY.name => receivers::read_pagerduty(reader, value, folder)?,
        name if name == destination::WEBHOOK.name => receivers::read_webhook(reader, value, folder)?,
        _ => receivers::read_email(reader, value, folder)?,
    };
    let group_wait = fields
        .get(destination::GROUP_WAIT)
        .map_or(Some(Destination::GROUP_WAIT), |at| read_wait(reader, &at));
    let others: Vec<&str> = names.iter().map(String::as_str).filter(|other| Some(*other) != name).collect();
    let fallback = fields
        .get(destination::FALLBACK)
        .map_or(Some(None), |at| route::read_other(reader, &at, &others).map(Some));
    let route = route::read_route(reader, &fields, &others);
    let (name, minimum, group_wait, fallback) = (name?.to_owned(), minimum?, group_wait?, fallback?);
    let declared = Declared {
        name: name.clone(),
        route: route?,
        fallback: fallback.clone(),
        place: at.node.place.clone(),
        key: at.key.clone(),
    };
    let Some(kind) = kind else {
        let help = "set its variable to send messages there; leave it empty to send none";
        reader.warn(at, format!("the destination `{name}` is off: its secret or URL is empty"), help);
        return Some((declared, None));
    };
    let route = declared.route.clone();
    Some((declared, Some(Destination { name, minimum, route, group_wait, fallback, kind })))
}

/// Reads the time that an incident waits for others. A page must not wait long.
fn read_wait(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Duration> {
    let wait = reader.duration(at)?;
    if wait > LONGEST_WAIT {
        let help = "a page must not wait long: take `2s`, or `0s` to wait for nothing";
        reader.error(at, "an incident waits at most 5 s for others", help);
        return None;
    }
    Some(wait)
}

fn read_slack(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<Option<DestinationKind>> {
    let fields = reader.fields(at, slack::OBJECT)?;
    let written = WEBHOOK.into_iter().chain(TOKEN).filter(|key| fields.get(*key).is_some()).count();
    if written != 1 {
        let help = "write one of `webhook_url_file`, `webhook_url`, `token_file` and `token`";
        let message =
            if written == 0 { "this destination has no secret" } else { "a destination has one secret" };
        reader.error(at, message, help);
        return None;
    }
    if fields.get(slack::WEBHOOK_URL).is_some() || fields.get(slack::WEBHOOK_URL_FILE).is_some() {
        return read_slack_webhook(reader, &fields, folder);
    }
    let token = read_secret(reader, &fields, TOKEN, folder);
    let channel = reader.required(
        &fields,
        slack::CHANNEL,
        "name the channel the bot writes to: `channel: \"#oncall\"`",
    );
    let channel = channel.and_then(|at| reader.expand(&at));
    let api_url = match fields.get(slack::API_URL) {
        Some(at) => reader.url(&at),
        None => Url::parse(SLACK_API).ok(),
    };
    let (token, channel, mut api_url) = (token?, channel?, api_url?);
    // methods are joined to it: without the slash the last part would be replaced
    if !api_url.path().ends_with('/') {
        api_url.set_path(&format!("{}/", api_url.path()));
    }
    Some(match token {
        SecretValue::Secret(token) => {
            Some(DestinationKind::SlackApi { api_url, token: Secret::new(token), channel })
        }
        SecretValue::Empty => None,
    })
}

fn read_slack_webhook(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    folder: &Path,
) -> Option<Option<DestinationKind>> {
    for extra in [slack::CHANNEL, slack::API_URL] {
        if let Some(at) = fields.get(extra) {
            let help =
                "a webhook writes to the channel it was made for; leave this out, or use a bot `token`";
            reader.error(&at, format!("`{}` goes with a token, not with a webhook", extra.name), help);
        }
    }
    let SecretValue::Secret(text) = read_secret(reader, fields, WEBHOOK, folder)? else { return Some(None) };
    if let Err((message, help)) = parse_http_url(&text) {
        let at = fields.get(slack::WEBHOOK_URL).or_else(|| fields.get(slack::WEBHOOK_URL_FILE))?;
        reader.error(&at, message, help);
        return None;
    }
    Some(Some(DestinationKind::SlackWebhook { url: Secret::new(text) }))
}
