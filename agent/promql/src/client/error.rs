//! Reasons why there is no answer.

use core::error::Error as StdError;
use core::fmt;
use std::time::Duration;

use super::BODY_LIMIT;

/// Characters of a detail that are kept at most.
const DETAIL_LIMIT: usize = 300;

/// The reason why there is no answer that may be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The deadline passed.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// A status other than 200, from something that does not speak the API.
    #[error("status {status}, expected 200 (redirects are not followed){}", after(.message))]
    Status {
        /// The status.
        status: u16,
        /// The server's message, or nothing.
        message: String,
    },
    /// The answer broke off.
    #[error("the answer broke off: {0}")]
    Read(String),
    /// The body is larger than is read.
    #[error("the answer is larger than {BODY_LIMIT} bytes")]
    BodyLimit,
    /// The body is no answer of a query API.
    #[error("this is no answer of a query API: {0}")]
    Malformed(String),
    /// The server understood and refused.
    #[error("the server refuses the query ({kind}): {message}")]
    Refused {
        /// The kind of refusal.
        kind: ErrorType,
        /// The server's message.
        message: String,
    },
    /// A part of the data is missing.
    #[error("a part of the data is missing: {0}")]
    Partial(String),
}

/// `errorType` of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorType {
    /// The query cannot be read.
    BadData,
    /// The query cannot be computed, or would take too many samples.
    Execution,
    /// The query was stopped.
    Canceled,
    /// The server's own limit of time passed.
    Timeout,
    /// The server is not ready.
    Unavailable,
    /// The server failed.
    Internal,
    /// Another type.
    Other(String),
}

impl ErrorType {
    pub(super) fn of(text: &str) -> Self {
        match text {
            "bad_data" => Self::BadData,
            "execution" => Self::Execution,
            "canceled" => Self::Canceled,
            "timeout" => Self::Timeout,
            "unavailable" => Self::Unavailable,
            "internal" | "server_error" => Self::Internal,
            other => Self::Other(bounded(other, 40)),
        }
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::Other(other) => other,
        })
    }
}

fn after(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Error {
    pub(super) fn of_request(error: reqwest::Error) -> Self {
        let connecting = error.is_connect();
        let told = chain(&error.without_url());
        if connecting { Self::Connect(told) } else { Self::Read(told) }
    }

    pub(super) fn of_body(error: reqwest::Error) -> Self {
        Self::Read(chain(&error.without_url()))
    }

    /// The value of the label `reason`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Timeout(_) | Self::Refused { kind: ErrorType::Timeout, .. } => "timeout",
            Self::Status { .. } => "status",
            Self::Read(_) => "read",
            Self::BodyLimit => "body_limit",
            Self::Malformed(_) => "malformed",
            Self::Refused { kind: ErrorType::Unavailable | ErrorType::Internal, .. } => "unavailable",
            Self::Refused { .. } => "refused",
            Self::Partial(_) => "partial",
        }
    }

    /// Returns whether the cause is the query, so that the server may answer others.
    #[must_use]
    pub const fn is_of_the_query(&self) -> bool {
        match self {
            Self::BodyLimit => true,
            Self::Refused { kind, .. } => !matches!(kind, ErrorType::Unavailable | ErrorType::Internal),
            _ => false,
        }
    }

    /// Returns whether a query over a shorter span may be answered.
    #[must_use]
    pub const fn is_of_the_size(&self) -> bool {
        match self {
            Self::BodyLimit | Self::Timeout(_) | Self::Read(_) => true,
            Self::Refused { kind, .. } => !matches!(kind, ErrorType::BadData),
            _ => false,
        }
    }
}

/// The reason why a client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The HTTP client cannot be built.
    #[error("preparing the HTTP client")]
    Http(#[from] reqwest::Error),
    /// The file of certificates holds none.
    #[error("the ca_file holds no certificate in PEM")]
    NoCertificate,
}

/// A server's text, cut to what a line of a log takes.
pub(super) fn detail(text: &str) -> String {
    bounded(text, DETAIL_LIMIT)
}

/// The text, cut after `limit` characters, without control characters.
pub(super) fn bounded(text: &str, limit: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    match text.char_indices().nth(limit) {
        None => plain.collect(),
        Some(_) => plain.take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// An error and its causes, joined by colons; a cause that its error already contains is left out.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let told = cause.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        next = cause.source();
    }
    detail(&text)
}
