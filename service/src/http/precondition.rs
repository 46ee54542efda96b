//! Conditional requests: `If-Match` and `If-None-Match` (RFC 9110, section 13).

use axum::extract::FromRequestParts;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::error::Problem;
use crate::fields::FieldError;

/// The states under which a request shall be carried out, as entity tags or [`ANY`].
#[derive(Debug, Default)]
pub(crate) struct Precondition {
    only: Option<Vec<String>>,
    unless: Option<Vec<String>>,
}

/// Any state in which the resource exists.
const ANY: &str = "*";
/// Enough for every state a client could have cached, and little enough to compare.
const MOST_TAGS: usize = 32;

impl<S: Sync> FromRequestParts<S> for Precondition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.headers)
    }
}

impl Precondition {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self { only: tags(headers, &IF_MATCH)?, unless: tags(headers, &IF_NONE_MATCH)? })
    }

    /// Returns whether any state will do.
    pub(crate) fn is_empty(&self) -> bool {
        self.only.is_none() && self.unless.is_none()
    }

    /// Returns whether the client has this state already, which spares it the answer.
    pub(crate) fn has(&self, tag: &str) -> bool {
        // Reading compares weakly: a cache on the way may have made the tag weak.
        self.unless.as_ref().is_some_and(|tags| tags.iter().any(|given| given == ANY || opaque(given) == tag))
    }

    /// Returns whether the state is one that may be read or changed.
    pub(crate) fn admits(&self, tag: &str) -> Result<(), Problem> {
        let Some(tags) = &self.only else { return Ok(()) };
        if tags.iter().any(|given| given == ANY || given == tag) {
            return Ok(());
        }
        Err(failed(&IF_MATCH, format!("the resource is now in state {tag}; read it again and decide anew")))
    }

    /// Returns whether the state is one that may be changed.
    pub(crate) fn admits_change(&self, tag: &str) -> Result<(), Problem> {
        self.admits(tag)?;
        if !self.has(tag) {
            return Ok(());
        }
        let detail = format!("the resource is in state {}, which was to be left alone", tag);
        Err(failed(&IF_NONE_MATCH, detail))
    }
}

fn failed(header: &HeaderName, detail: String) -> Problem {
    let error = FieldError::new(header.as_str(), "does not hold");
    let title = "Precondition failed";
    Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", title, detail)
        .with_errors(vec![error])
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Vec<String>>, Problem> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let mut tags = Vec::new();
    for value in headers.get_all(name) {
        let parts = value.to_str().map_err(|_| malformed(name))?.split(',').map(str::trim);
        tags.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
    }
    let are_tags = (1..=MOST_TAGS).contains(&tags.len()) && tags.iter().all(|tag| is_tag(tag));
    if are_tags || tags == [ANY] { Ok(Some(tags)) } else { Err(malformed(name)) }
}

/// Returns a tag with its quotes, without the mark of a weak one.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// Our own tags have no comma inside; one that has is not ours and may be refused.
fn is_tag(text: &str) -> bool {
    let inner = opaque(text).strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.contains('"'))
}

fn malformed(name: &HeaderName) -> Problem {
    let detail = format!("must be `*` or up to {MOST_TAGS} entity tags in quotes, such as \"1-19b7a1c6400\"");
    Problem::bad_header(FieldError::new(name.as_str(), detail))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(name: HeaderName, value: &str) -> Result<Precondition, Problem> {
        Precondition::of(&HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]))
    }

    #[test]
    fn a_change_wants_the_very_state_and_a_read_its_like() {
        let tag = "\"1-ff\"";
        for (value, admits) in [
            ("*", true),
            ("\"1-ff\"", true),
            ("\"x\", \"1-ff\"", true),
            ("\"x\"", false),
            ("W/\"1-ff\"", false),
        ] {
            assert_eq!(of(IF_MATCH, value).unwrap().admits(tag).is_ok(), admits, "{value}");
        }
        for (value, has) in [("*", true), ("W/\"1-ff\"", true), ("\"1-ff\"", true), ("\"2-ff\"", false)] {
            let precondition = of(IF_NONE_MATCH, value).unwrap();
            assert_eq!(precondition.has(tag), has, "{value}");
            assert_eq!(precondition.admits_change(tag).is_err(), has, "{value}");
        }
        let nothing = Precondition::of(&HeaderMap::new()).unwrap();
        assert!(nothing.is_empty() && !nothing.has(tag) && nothing.admits_change(tag).is_ok());
    }

    #[test]
    fn what_is_no_entity_tag_is_refused() {
        let many = vec!["\"a\""; MOST_TAGS + 1].join(",");
        for value in ["", "1-ff", "\"1-ff", "W/", "w/\"1\"", ",", many.as_str()] {
            assert!(of(IF_MATCH, value).is_err(), "{value}");
        }
    }
}
