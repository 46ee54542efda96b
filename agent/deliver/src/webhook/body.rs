//! The body of a request in each form.

use lookout_config::WebhookForm;
use lookout_engine::Severity;
use lookout_model::format::rfc3339;
use lookout_model::{News, Notice, Rehearsal};
use serde::Serialize;

use crate::inert::inert;
use crate::message::{TEXT, clean, is_over};
use crate::{Message, Update};

const VERSION: &str = "1";

/// Body of a message.
#[derive(Debug, Serialize)]
pub(crate) struct Body {
    version: &'static str,
    /// The same for every attempt at the same transitions.
    id: String,
    /// True if an earlier attempt may have arrived.
    resent: bool,
    state: &'static str,
    severity: &'static str,
    headline: String,
    sentence: String,
    incidents: Vec<Item>,
}

/// One transition.
#[derive(Debug, Serialize)]
struct Item {
    id: String,
    /// The last change.
    change: &'static str,
    /// The news, if there is no change.
    news: Option<&'static str>,
    at: String,
    state: &'static str,
    severity: &'static str,
    peak: &'static str,
    cause: &'static str,
    service: String,
    slo: String,
    title: String,
    environment: Option<String>,
    rehearsal: Option<&'static str>,
    headline: String,
    sentence: String,
    description: String,
    started_at: String,
    detected_at: String,
    recovered_at: Option<String>,
    resolved_at: Option<String>,
    acknowledgement: Option<Answer>,
    budget_left_ratio: f64,
    seconds_to_exhaustion: Option<f64>,
    fields: Vec<Field>,
    links: Vec<Link>,
}

/// An acknowledgement.
#[derive(Debug, Serialize)]
struct Answer {
    at: String,
    actor: String,
    note: String,
}

#[derive(Debug, Serialize)]
struct Field {
    name: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct Link {
    label: &'static str,
    url: String,
}

/// Returns the body of a request in a form.
pub(crate) fn payload(form: &WebhookForm, update: &Update) -> Result<String, serde_json::Error> {
    let body = body(update);
    match form {
        WebhookForm::Lookout => serde_json::to_string(&body),
        WebhookForm::CloudEvents => serde_json::to_string(&cloud_event(&body, update)),
        WebhookForm::Template(template) => serde_json::to_string(&template.fill(&values(&body, update))),
    }
}

/// Returns the body in an envelope of CloudEvents 1.0, structured mode.
fn cloud_event(body: &Body, update: &Update) -> serde_json::Value {
    let last = update.deliveries.iter().map(|delivery| &delivery.notice).max_by_key(|notice| notice.at);
    let source = last.map_or("", |notice| notice.incidents_url.as_str());
    let subject = last.map_or("", |notice| notice.incident.id.as_str());
    serde_json::json!({
        "specversion": "1.0",
        "id": body.id,
        // an empty source is refused
        "source": if source.is_empty() { "lookout" } else { source },
        "type": "dev.lookout.incidents.v1",
        "subject": subject,
        "time": last.map(|notice| rfc3339(notice.at)),
        "datacontenttype": "application/json",
        "data": body,
    })
}

/// Returns the values of placeholders: those of the message, and of its worst incident. Text from outside pings nobody and
/// is no link.
fn values<'b>(body: &'b Body, update: &Update) -> impl Fn(&str) -> String + 'b {
    let mut notices: Vec<Notice> = update.deliveries.iter().map(|delivery| delivery.notice.clone()).collect();
    crate::group::worst_first(&mut notices);
    let worst = notices.into_iter().next();
    let links = worst.as_ref().map(|notice| Message::of(notice).links).unwrap_or_default();
    move |name| {
        let link = |label: &str| links.iter().find(|(known, _)| *known == label).map(|(_, url)| url.clone());
        let of_worst = |value: fn(&Notice) -> &str| inert(&clean(worst.as_ref().map_or("", value), TEXT));
        match name {
            "headline" => inert(&body.headline),
            "sentence" => inert(&body.sentence),
            "description" => of_worst(|notice| &notice.description),
            "state" => body.state.to_owned(),
            "severity" => body.severity.to_owned(),
            "service" => of_worst(|notice| &notice.incident.service),
            "slo" => of_worst(|notice| &notice.incident.slo),
            "incident" => worst.as_ref().map_or_else(String::new, |notice| notice.incident.id.clone()),
            "event" => worst.as_ref().map_or_else(String::new, |notice| notice.word().to_owned()),
            "environment" => of_worst(|notice| notice.environment.as_deref().unwrap_or_default()),
            "link" => link("Explain").unwrap_or_default(),
            "runbook" => link("Runbook").unwrap_or_default(),
            "dashboard" => link("Dashboard").unwrap_or_default(),
            _ => body.id.clone(),
        }
    }
}

fn state(over: bool) -> &'static str {
    if over { "resolved" } else { "open" }
}

/// Returns the body about transitions of one incident or several.
pub(crate) fn body(update: &Update) -> Body {
    let notices: Vec<&Notice> = update.deliveries.iter().map(|delivery| &delivery.notice).collect();
    let message = Message::of_changed(update);
    let open = notices.iter().filter(|notice| !is_over(notice));
    let worst = open.map(|notice| notice.incident.severity).max();
    let worst = worst.or_else(|| notices.iter().map(|notice| notice.incident.severity).max());
    Body {
        version: VERSION,
        id: update_id(&notices),
        resent: update.is_unsure(),
        state: state(notices.iter().all(|notice| is_over(notice))),
        severity: worst.unwrap_or(Severity::Ticket).as_str(),
        headline: message.headline,
        sentence: message.sentence,
        incidents: notices.iter().map(|notice| item(notice)).collect(),
    }
}

/// Returns an id that follows from the transitions alone.
fn update_id(notices: &[&Notice]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for notice in notices {
        let text = format!("{} {} {}\n", notice.incident.id, notice.word(), notice.at.as_millis());
        context.update(text.as_bytes());
    }
    let hex: String = context.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("msg-{hex}")
}

fn item(notice: &Notice) -> Item {
    let (incident, message) = (&notice.incident, Message::of(notice));
    let finite = |number: f64| if number.is_finite() { number } else { 0.0 };
    Item {
        id: incident.id.clone(),
        change: notice.change.as_str(),
        news: notice.news.as_ref().map(News::as_str),
        at: rfc3339(notice.at),
        state: state(is_over(notice)),
        severity: incident.severity.as_str(),
        peak: incident.peak.as_str(),
        cause: incident.cause.as_str(),
        service: clean(&incident.service, TEXT),
        slo: clean(&incident.slo, TEXT),
        title: clean(&notice.slo_title, TEXT),
        environment: notice.environment.as_deref().map(|text| clean(text, TEXT)),
        rehearsal: notice.rehearsal.map(Rehearsal::as_str),
        headline: message.headline,
        sentence: message.sentence,
        description: message.description,
        started_at: rfc3339(incident.began_at()),
        detected_at: rfc3339(incident.detected_at),
        recovered_at: incident.recovered_at.map(rfc3339),
        resolved_at: incident.resolved_at.map(rfc3339),
        acknowledgement: notice.acknowledgement.as_ref().map(|answer| Answer {
            at: rfc3339(answer.at),
            actor: clean(&answer.actor, TEXT),
            note: clean(&answer.note, TEXT),
        }),
        budget_left_ratio: finite(notice.evidence.budget_left_ratio),
        seconds_to_exhaustion: notice.evidence.seconds_to_exhaustion.map(finite),
        fields: message.fields.into_iter().map(|(name, value)| Field { name, value }).collect(),
        links: message.links.into_iter().map(|(label, url)| Link { label, url }).collect(),
    }
}
