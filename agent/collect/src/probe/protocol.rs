//! Protocols, and the input that all of them share.

use std::net::IpAddr;

use async_trait::async_trait;
use lookout_config::{Family, Subject, Target};

use super::attempt::{Attempt, Failure};
use super::heartbeat_calls::Heartbeats;
use super::judge::Judge;
use super::net::{KnownAnswers, Lookup, SystemResolver, TlsClients};
use super::tokens::Tokens;
use super::traced::Traced;

/// A protocol that can try a target once.
#[async_trait]
pub(super) trait Protocol {
    /// Runs one exchange. The caller cuts it at the deadline; whatever goes wrong is a failure.
    async fn run(&self, context: &Context<'_>, attempt: &mut Attempt) -> Result<(), Failure>;
}

/// Input of every protocol.
pub(super) struct Context<'a> {
    pub(super) target: &'a Target,
    pub(super) traced: &'a Traced,
    pub(super) tls: &'a TlsClients,
    pub(super) tokens: &'a Tokens,
    pub(super) random: &'a lookout_runtime::random::Random,
    pub(super) resolver: &'a SystemResolver,
    pub(super) known: &'a KnownAnswers,
    pub(super) judge: &'a Judge,
    /// Calls of jobs; `None` beside a running agent.
    pub(super) heartbeats: Option<&'a Heartbeats>,
    /// The host that has one address alone in this attempt.
    pub(super) pinned: Option<(&'a str, IpAddr)>,
    /// Keep the body of HTTP although no assertion of the target looks at it.
    pub(super) keeps_body: bool,
}

impl<'a> Context<'a> {
    /// Returns the rules by which the names of the target resolve.
    pub(super) fn lookup(&self) -> Lookup<'a> {
        Lookup {
            // a host that was not chosen by its address stays within the family
            family: match self.pinned {
                Some((_, IpAddr::V4(_))) => Family::V4,
                Some((_, IpAddr::V6(_))) => Family::V6,
                None => self.target.family,
            },
            pinned: self.pinned,
            server: self.target.resolver,
            random: self.random,
            system: self.resolver,
            known: self.known,
            allowed: self.target.allowed.as_deref(),
        }
    }

    /// Returns the rules by which the names of servers resolve that the configuration alone chooses.
    pub(super) fn unrestricted(&self) -> Lookup<'a> {
        Lookup { allowed: None, pinned: None, family: self.target.family, ..self.lookup() }
    }

    /// Returns whether an assertion looks at a value.
    pub(super) fn asserts(&self, wanted: impl Fn(&Subject) -> bool) -> bool {
        self.target.expect.iter().any(|assertion| assertion.root.looks_at(&wanted))
    }
}
