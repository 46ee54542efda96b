//! The state of a destination: it works, or it fails in one of the ways that destinations fail.

use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::time::sleep;

/// State of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It takes everything.
    Fine,
    /// Nothing listens.
    Down,
    /// It takes a request, or fails, or takes it and cuts the connection before the answer.
    Flapping,
    /// It takes a request and answers late.
    Slow,
    /// It takes nothing and never answers.
    Hangs,
    /// It answers with this status and takes nothing.
    Refuses(u16),
}

/// States in which a message is given up or tried again, as the receiver says.
const TEMPORARY: &[Weather] = &[
    Weather::Fine,
    Weather::Fine,
    Weather::Down,
    Weather::Flapping,
    Weather::Slow,
    Weather::Hangs,
    Weather::Refuses(429),
    Weather::Refuses(500),
];

/// States in which the receiver refuses a message for good.
pub(super) const PERMANENT: &[Weather] =
    &[Weather::Refuses(400), Weather::Refuses(401), Weather::Refuses(410)];

/// Changes the weather at random until it is dropped.
pub(super) async fn change(weather: watch::Sender<Weather>, mut random: Rng) {
    let known: Vec<Weather> = TEMPORARY.iter().chain(PERMANENT).copied().collect();
    loop {
        if let Some(next) = random.choice(&known) {
            weather.send_replace(*next);
        }
        sleep(Duration::from_millis(random.u64(500..4_000))).await;
    }
}
