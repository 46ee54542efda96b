//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a client that does not know whether its request arrived
//! sends it again under the same key, and gets the answer of the first.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::Context;
use crate::fields::FieldError;
use crate::http::access::Holder;
use crate::http::error::Problem;
use crate::http::middleware::IDEMPOTENCY_KEY;
use crate::passengers::domain::model::{NewPassenger, Passenger};
use crate::passengers::store::{Claim, Repeatable};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key.
pub(super) const MOST_CHARS: usize = 128;

/// An answer as it is kept: to the byte, so that the same request gets the same.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    location: String,
    etag: String,
    body: String,
}

impl Kept {
    fn of(shared: &Context, passenger: &Passenger) -> Self {
        let location = format!("{}/api/v1/passengers/{}", shared.config.base_url, passenger.id);
        // Text and numbers only: this cannot fail.
        let body = serde_json::to_string(passenger).unwrap_or_default();
        Self { location, etag: passenger.stamp.entity_tag(), body }
    }

    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (StatusCode::CREATED, json, self.body).into_response();
        for (name, value) in [(header::LOCATION, self.location), (header::ETAG, self.etag)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// The key of a request, if it has one. The draft writes it in quotes, most clients do not: both are the same key.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '~');
    let text = value.to_str().unwrap_or_default();
    let key = text.strip_prefix('"').map_or(Some(text), |rest| rest.strip_suffix('"'));
    let key = key.filter(|key| (1..=MOST_CHARS).contains(&key.len()) && key.chars().all(plain));
    match key {
        Some(key) if values.next().is_none() => Ok(Some(key.to_owned())),
        _ => {
            let detail = format!("must be one text of 1 to {MOST_CHARS} letters, digits and -_.:~");
            Err(Problem::bad_header(FieldError::new(IDEMPOTENCY_KEY.as_str(), detail)))
        }
    }
}

/// Refuses a key where it would promise the first answer again: that of an import is a stream. Its lines can be sent again.
pub(super) fn refuse_key(headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.contains_key(&IDEMPOTENCY_KEY) {
        return Ok(());
    }
    let detail = "is not kept for an import, which can be sent again without; leave it out";
    Err(Problem::bad_header(FieldError::new(IDEMPOTENCY_KEY.as_str(), detail)))
}

/// Adds a passenger, and answers.
pub(super) async fn create(shared: &Context, details: NewPassenger) -> Result<Response, Problem> {
    let passenger = shared.store.create(details, shared.clock.now()).await?;
    Ok(Kept::of(shared, &passenger).into_response())
}

/// Adds a passenger once under this key. The work goes on when its client goes away: it will come again and ask.
pub(super) async fn create_once(
    shared: Context,
    Holder(holder): Holder,
    key: String,
    details: NewPassenger,
) -> Result<Response, Problem> {
    let fingerprint = hex::encode(details.digest());
    let request = Repeatable { client: holder.unwrap_or_default(), key, fingerprint };
    let work = async move { carry_out(&shared, &request, details).await };
    tokio::spawn(work.in_current_span()).await.unwrap_or_else(|_| Err(Problem::internal()))
}

async fn carry_out(
    shared: &Context,
    request: &Repeatable,
    details: NewPassenger,
) -> Result<Response, Problem> {
    let claim = match shared.store.claim(request, shared.clock.now()).await? {
        Claim::Ours(claim) => claim,
        Claim::Answered(kept) => return replay(&kept),
        Claim::Busy => return Err(busy()),
        Claim::Misused => return Err(misused()),
    };
    let keep =
        |passenger: &Passenger| serde_json::to_string(&Kept::of(shared, passenger)).unwrap_or_default();
    match shared.store.create_once(details, shared.clock.now(), (request, claim), keep).await {
        Ok(Some(passenger)) => Ok(Kept::of(shared, &passenger).into_response()),
        Ok(None) => Err(busy()),
        Err(error) => {
            if let Err(stays) = shared.store.release(request, claim).await {
                tracing::warn!(error = %stays, "an idempotency key stays claimed for a while");
            }
            Err(error.into())
        }
    }
}

fn replay(kept: &str) -> Result<Response, Problem> {
    let Ok(kept) = serde_json::from_str::<Kept>(kept) else { return Err(Problem::internal()) };
    let mut response = kept.into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn busy() -> Problem {
    let detail = "a request with this key is being carried out; try again in a little while";
    Problem::new(StatusCode::CONFLICT, "idempotency_key_busy", "Request in progress", detail)
        .with_errors(vec![FieldError::new(IDEMPOTENCY_KEY.as_str(), "is in use")])
        .retry_after(1)
}

fn misused() -> Problem {
    let detail = "this key was used for another body; a new request needs a new key";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency key reused", detail)
        .with_errors(vec![FieldError::new(IDEMPOTENCY_KEY.as_str(), "was used for another body")])
}
