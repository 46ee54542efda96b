//! Judgement of an answer before its deadline.
//!
//! A regular expression is searched in a time that grows with the body, and nothing can stop a search. A large body is
//! therefore searched on a thread of its own: the deadline ends the wait, and the search keeps its place until it ends.

use std::sync::Arc;
use std::time::Duration;

use lookout_config::{Assertion, Extraction, Secret, Subject};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::assert::{Answer, evaluate, extract, reason_of};
use super::attempt::{Facts, Failure};
use super::{Phases, Reason, Verdict};

/// Bytes that are searched on the thread of the probes. Expressions that are as slow as the limit of their size allows take
/// 4.4 µs a byte (`[ab]*a[ab]{300}c`, an optimised build), so these take 18 ms; usual ones take 1 to 10 ns a byte.
const SEARCHED_INLINE: usize = 4 * 1024;

/// Searches on threads of their own at once. Each may hold a body of 8 MiB and five times that as JSON, and keeps a processor
/// busy.
const MOST_SEARCHES: usize = 2;

/// A judgement, with the values that were taken out of the answer before a failure. Each has its place among the
/// variables.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) extracted: Vec<(usize, Secret)>,
    pub(super) verdict: Result<(), Failure>,
}

impl From<Failure> for Judged {
    fn from(failure: Failure) -> Self {
        Self { extracted: Vec::new(), verdict: Err(failure) }
    }
}

/// A judge with a bounded number of threads.
#[derive(Debug)]
pub(super) struct Judge {
    places: Arc<Semaphore>,
}

impl Default for Judge {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MOST_SEARCHES)) }
    }
}

impl Judge {
    /// Judges an answer, and takes values out of it. The body of a large one is gone afterwards.
    pub(super) async fn judge(
        &self,
        (expect, extractions): (&[Assertion], &[(usize, Extraction)]),
        facts: &mut Facts,
        (phases, total): (&Phases, Duration),
        deadline: Instant,
    ) -> Judged {
        let searched = || {
            let asserted = expect.iter().flat_map(|assertion| assertion.root.subjects());
            asserted.chain(extractions.iter().map(|(_, extraction)| &extraction.subject))
        };
        let bytes = searched().map(|subject| bytes_of(subject, facts)).fold(0, usize::saturating_add);
        if bytes <= SEARCHED_INLINE {
            return decide(expect, extractions, &Answer { facts, phases, total, deadline });
        }
        let slowest = searched().max_by_key(|subject| bytes_of(subject, facts));
        let reason = slowest.map_or(Reason::Body, reason_of);
        let Ok(place) = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await else {
            let why = format!("{MOST_SEARCHES} answers are searched already, and none came to its end");
            return Failure::new(Reason::Resources, why).into();
        };
        let (expect, extractions) = (expect.to_vec(), extractions.to_vec());
        let body = facts.body.take();
        let (facts, phases) = (Facts { body, ..facts.clone() }, *phases);
        let (tell, told) = oneshot::channel();
        let search = move || {
            let answer = Answer { facts: &facts, phases: &phases, total, deadline };
            let judged = decide(&expect, &extractions, &answer);
            drop((facts, place));
            // nobody waits after the deadline
            let _ = tell.send(judged);
        };
        // the runtime does not wait for it at its end
        if let Err(error) = std::thread::Builder::new().name("search".to_owned()).spawn(search) {
            return Failure::new(Reason::Resources, format!("no thread can be started: {error}")).into();
        }
        let why = match timeout_at(deadline, told).await {
            Ok(Ok(judged)) => return judged,
            Ok(Err(_)) => "the search broke off".to_owned(),
            Err(_) => format!(
                "the deadline passed while {bytes} bytes were searched; a simpler expression or a smaller `body_limit` \
                 takes less time"
            ),
        };
        Failure::new(reason, why).into()
    }
}

/// Bytes that a subject looks at.
fn bytes_of(subject: &Subject, facts: &Facts) -> usize {
    let headers = || facts.headers.iter().flatten().map(|(_, value)| value.len()).sum();
    match subject {
        Subject::Body | Subject::Json { .. } => facts.body.as_ref().map_or(0, Vec::len),
        Subject::Header(_) => headers(),
        Subject::DnsAnswers => facts.dns.iter().flat_map(|dns| &dns.answers).map(String::len).sum(),
        _ => 0,
    }
}

fn decide(expect: &[Assertion], extractions: &[(usize, Extraction)], answer: &Answer<'_>) -> Judged {
    if let Verdict::Fail { reason, detail } = evaluate(expect, answer) {
        return Failure::new(reason, detail).into();
    }
    let mut extracted = Vec::with_capacity(extractions.len());
    for (place, extraction) in extractions {
        match extract(extraction, answer) {
            Ok(value) => extracted.push((*place, Secret::new(value))),
            Err(failure) => return Judged { extracted, verdict: Err(failure) },
        }
    }
    Judged { extracted, verdict: Ok(()) }
}

#[cfg(test)]
mod tests {
    use lookout_config::{HttpCheck, Target};

    use super::super::test_support::*;
    use super::super::{MissedReason, Probe as _, Prober};
    use super::*;

    /// Time after the deadline in which a probe ends.
    const SLACK: Duration = Duration::from_millis(100);

    /// An expression that takes microseconds a byte, and a body of `a` and `b` in no order.
    const SLOW: &str = "body matches \"[ab]*a[ab]{300}c\"";

    fn hostile_body(bytes: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(1);
        (0..bytes).map(|_| if random.bool() { b'a' } else { b'b' }).collect()
    }

    async fn serving(body: &[u8]) -> String {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let (peer, requests) = answering([head.as_bytes(), body].concat()).await;
        // requests that nobody reads are kept until the end
        std::mem::forget(requests);
        format!("http://{peer}/")
    }

    fn searching(url: &str, assertion: &str) -> Target {
        let http = HttpCheck { body_limit: 8 << 20, ..get(url) };
        let timeout = Duration::from_secs(1);
        Target { timeout, ..asserting(requesting(http), &[assertion]) }
    }

    /// Asserts that a probe ends at its deadline, and returns its reason and detail.
    async fn cut(prober: &Prober, target: &Target) -> (Reason, String) {
        let begun = Instant::now();
        let outcome = prober.probe(target).await;
        let took = begun.elapsed();
        assert!((target.timeout..target.timeout + SLACK).contains(&took), "{took:?}: {outcome:?}");
        match outcome.verdict {
            Verdict::Fail { reason, detail } => (reason, detail),
            Verdict::Ok => panic!("{outcome:?}"),
        }
    }

    #[tokio::test]
    async fn a_search_that_takes_longer_ends_with_the_deadline_and_keeps_its_place() {
        let prober = prober();
        let (large, small) = (serving(&hostile_body(8 << 20)).await, serving(b"ok").await);
        for _ in 0..MOST_SEARCHES {
            let (reason, detail) = cut(&prober, &searching(&large, SLOW)).await;
            assert_eq!(reason, Reason::Body, "{detail}");
            assert!(detail.contains("the deadline passed while 8388608 bytes were searched"), "{detail}");
        }
        // all places are taken: nothing is known about the target, and small answers are judged as ever
        for _ in 0..2 {
            let (reason, detail) = cut(&prober, &searching(&large, SLOW)).await;
            assert_eq!(reason.missed(), Some(MissedReason::Resources), "{detail}");
            let outcome = prober.probe(&searching(&small, "body == 'ok'")).await;
            assert_eq!(outcome.verdict, Verdict::Ok);
        }
    }

    #[tokio::test]
    async fn a_large_answer_is_judged_as_a_small_one_and_gives_its_place_back() {
        let prober = prober();
        for bytes in [SEARCHED_INLINE, SEARCHED_INLINE + 1, 1 << 20] {
            let url = serving(&vec![b'y'; bytes]).await;
            for _ in 0..MOST_SEARCHES + 1 {
                let outcome = prober.probe(&searching(&url, "body matches 'y$' and body.size > 9")).await;
                assert_eq!((outcome.verdict, outcome.status), (Verdict::Ok, Some(200)), "{bytes}");
                let outcome = prober.probe(&searching(&url, "body contains 'x'")).await;
                let Verdict::Fail { reason, detail } = outcome.verdict else { panic!("{bytes}") };
                assert_eq!((reason, detail.contains("contains")), (Reason::Body, true), "{bytes}: {detail}");
            }
        }
    }

    #[tokio::test]
    async fn headers_are_searched_within_the_deadline_too() {
        let value = String::from_utf8(hostile_body(40_000)).unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\nx-long: {value}\r\ncontent-length: 0\r\n\r\n");
        let (peer, _requests) = answering(answer).await;
        let slow = SLOW.replace("body", "header('x-long')");
        let target = hasty(searching(&format!("http://{peer}/"), &slow));
        let (prober, begun) = (prober(), Instant::now());
        let outcome = prober.probe(&target).await;
        assert!(begun.elapsed() < target.timeout + SLACK, "{:?}", begun.elapsed());
        assert!(matches!(outcome.verdict, Verdict::Fail { reason: Reason::Header, .. }), "{outcome:?}");
    }
}
