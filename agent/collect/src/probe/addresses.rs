//! Several addresses of a target as one outcome: good when each of them is.

use std::net::IpAddr;
use std::time::Duration;

use super::received::AddressResult;
use super::{Outcome, Verdict};

/// Joins the outcomes of all addresses with the time of the lookup before them. The first failure decides, else the
/// slowest address; none where there is no address.
pub(super) fn merge(resolve: Option<Duration>, outcomes: Vec<(IpAddr, Outcome)>) -> Option<Outcome> {
    let several = outcomes.len();
    let addresses: Vec<AddressResult> = outcomes.iter().map(|(address, one)| result(*address, one)).collect();
    let slowest = outcomes.iter().max_by_key(|(_, one)| one.total).map(|(address, _)| *address);
    let failed = outcomes.iter().find(|(_, one)| !one.is_ok()).map(|(address, _)| *address);
    let deciding = failed.or(slowest)?;
    let (_, mut outcome) = outcomes.into_iter().find(|(address, _)| *address == deciding)?;
    if let Some(resolve) = resolve {
        outcome.phases.resolve = Some(outcome.phases.resolve.unwrap_or_default() + resolve);
        outcome.total += resolve;
    }
    if let Verdict::Fail { detail, .. } = &mut outcome.verdict {
        let bad = addresses.iter().filter(|one| one.failure.is_some()).count();
        *detail = format!("{bad} of {several} addresses failed, {deciding}: {detail}");
    }
    outcome.received.resolved = addresses.first().map(|one| one.address);
    outcome.received.addresses = addresses;
    Some(outcome)
}

fn result(address: IpAddr, outcome: &Outcome) -> AddressResult {
    let failure = match &outcome.verdict {
        Verdict::Ok => None,
        Verdict::Fail { reason, detail } => Some(format!("{}: {detail}", reason.as_str())),
    };
    AddressResult { address, failure, total: outcome.total }
}
