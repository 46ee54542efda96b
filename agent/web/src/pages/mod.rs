//! Pages for people: one view per page, rendered by a template.

mod components;
mod corrected;
pub(super) mod deliveries;
pub(super) mod incidents;
pub(super) mod overview;
mod row;
pub(super) mod runbook;
pub(super) mod silences;
pub(super) mod slo;
pub(super) mod target;

use askama::Template;
use axum::extract;
use axum::response::{Html, IntoResponse as _, Response};
use http::{StatusCode, Uri};
use lookout_model::{Timestamp, format};

use super::error::Problem;
use super::{State, assets};

/// Frame of every page.
#[derive(Debug)]
struct Shell {
    /// The title of the window, state first.
    title: String,
    style: String,
    icon: String,
    /// True if the page reloads every ten seconds.
    refresh: bool,
    /// The entry of the navigation that is this page.
    here: &'static str,
    version: &'static str,
    /// The time at which it was rendered.
    drawn: Moment,
}

impl Shell {
    fn new(state: &State, here: &'static str, title: impl Into<String>) -> Self {
        let now = state.clock.now();
        Self {
            title: title.into(),
            style: assets::style_path(),
            icon: assets::icon_path(),
            refresh: true,
            here,
            version: env!("CARGO_PKG_VERSION"),
            drawn: Moment::new(now, now),
        }
    }
}

/// Instant in three forms: for machines, for people, and as a distance from now.
#[derive(Debug, Clone)]
struct Moment {
    stamp: String,
    clock: String,
    ago: String,
}

impl Moment {
    fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { stamp: format::rfc3339(at), clock: format::time(at, now), ago: format::ago(at, now) }
    }
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "drawing a page");
            let detail = "the page could not be drawn";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "missing.html")]
struct NotFoundPage {
    shell: Shell,
    text: String,
}

/// Returns a page that names what is missing, and what to do about it.
fn not_found(state: &State, text: impl Into<String>) -> Response {
    let mut shell = Shell::new(state, "", "Not found");
    shell.refresh = false;
    page(StatusCode::NOT_FOUND, &NotFoundPage { shell, text: text.into() })
}

/// Answers a request without a route.
pub(super) async fn missing(extract::State(state): extract::State<State>, uri: Uri) -> Response {
    let shown: String = uri.path().chars().take(200).collect();
    not_found(&state, format!("There is no page {shown}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_the_same_for_people_and_machines() {
        let moment = Moment::new(Timestamp::from_seconds(60), Timestamp::from_seconds(180));
        assert_eq!((moment.stamp.as_str(), moment.clock.as_str()), ("1970-01-01T00:01:00Z", "00:01:00 UTC"));
        assert_eq!(moment.ago, "2 min ago");
    }
}
