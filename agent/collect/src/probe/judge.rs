//! Judgement of an answer before its deadline.
//!
//! A regular expression is searched in a time that grows with the body, and nothing can stop a search. A large body is
//! therefore searched on a thread of its own: the deadline ends the wait, and the search keeps its place until it ends.
//! A target has one search at a time, so that its expression cannot take all places.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use lookout_config::{Assertion, Extraction, Secret, Subject, Target};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
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
    /// The one search of each target and module that searches or waits to.
    targets: Mutex<HashMap<Declared, Weak<Semaphore>>>,
}

impl Default for Judge {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MOST_SEARCHES)), targets: Mutex::default() }
    }
}

/// A target or a module of the configuration. All addresses of a discovered target share its expressions, and so do all
/// addresses that requests name for a module. A target and a module may have the same name; modules alone have a list of
/// addresses that they may reach.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Declared {
    name: String,
    is_module: bool,
}

impl Declared {
    fn of(target: &Target) -> Self {
        Self { name: target.declared_name().to_owned(), is_module: target.allowed.is_some() }
    }
}

/// The right to search, until it is dropped.
struct Place {
    _one_of_target: OwnedSemaphorePermit,
    _one_of_all: OwnedSemaphorePermit,
}

impl Judge {
    /// Waits for a place until the deadline.
    async fn place(&self, target: &Target, deadline: Instant) -> Result<Place, Failure> {
        let missed = |why: String| Failure::new(Reason::Resources, why);
        // a target that waits for its own search holds no place of the others
        let Ok(Ok(one_of_target)) = timeout_at(deadline, self.one_of(target).acquire_owned()).await else {
            let why = "another search of this target has not come to its end; a simpler expression or a smaller \
                       `body_limit` takes less time";
            return Err(missed(why.to_owned()));
        };
        let Ok(Ok(one_of_all)) = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await else {
            return Err(missed(format!(
                "{MOST_SEARCHES} answers of other targets are searched already, and none came to its end"
            )));
        };
        Ok(Place { _one_of_target: one_of_target, _one_of_all: one_of_all })
    }

    /// The one place of a target. It is forgotten when nobody holds it or waits for it.
    fn one_of(&self, target: &Target) -> Arc<Semaphore> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|_, place| place.strong_count() > 0);
        let place = targets.entry(Declared::of(target)).or_default();
        place.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Semaphore::new(1));
            *place = Arc::downgrade(&new);
            new
        })
    }

    /// Judges an answer, and takes values out of it. The body of a large one is gone afterwards.
    pub(super) async fn judge(
        &self,
        target: &Target,
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
        let place = match self.place(target, deadline).await {
            Ok(place) => place,
            Err(failure) => return failure.into(),
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

    fn named(name: &str, target: Target) -> Target {
        Target { name: name.to_owned(), ..target }
    }

    #[tokio::test]
    async fn a_search_that_takes_longer_ends_with_the_deadline_and_keeps_its_place() {
        let prober = prober();
        let (large, small) = (serving(&hostile_body(8 << 20)).await, serving(b"ok").await);
        for name in ["first", "second"] {
            let (reason, detail) = cut(&prober, &named(name, searching(&large, SLOW))).await;
            assert_eq!(reason, Reason::Body, "{detail}");
            assert!(detail.contains("the deadline passed while 8388608 bytes were searched"), "{detail}");
        }
        // all places are taken: nothing is known about the target, and small answers are judged as ever
        for _ in 0..2 {
            let (reason, detail) = cut(&prober, &searching(&large, SLOW)).await;
            assert_eq!(reason.missed(), Some(MissedReason::Resources), "{detail}");
            assert!(detail.contains("answers of other targets"), "{detail}");
            let outcome = prober.probe(&searching(&small, "body == 'ok'")).await;
            assert_eq!(outcome.verdict, Verdict::Ok);
        }
    }

    #[tokio::test]
    async fn a_slow_target_misses_its_own_slots_and_no_slot_of_others() {
        let prober = prober();
        let (slow, large) = (serving(&hostile_body(8 << 20)).await, serving(&vec![b'y'; 1 << 20]).await);
        let slow = searching(&slow, SLOW);
        let at = |address: &str| Target { group: Some("api".to_owned()), ..named(address, slow.clone()) };
        let other = named("other", searching(&large, "body matches 'y$' and body.size > 9"));
        let (reason, detail) = cut(&prober, &slow).await;
        assert_eq!(reason, Reason::Body, "{detail}");
        // the later slots of the target, and several of its addresses at once
        for _ in 0..3 {
            let addresses = [at("api/10.0.0.1"), at("api/10.0.0.2")];
            let slots = [&slow, &addresses[0], &addresses[1]].map(|target| cut(&prober, target));
            let (missed, outcome) = tokio::join!(futures_util::future::join_all(slots), prober.probe(&other));
            for (reason, detail) in missed {
                assert_eq!(reason.missed(), Some(MissedReason::Resources), "{detail}");
                assert!(detail.contains("another search of this target"), "{detail}");
            }
            assert_eq!(outcome.verdict, Verdict::Ok);
        }
    }

    #[tokio::test]
    async fn a_module_has_its_own_place_beside_a_target_of_its_name_and_places_are_given_back() {
        let (judge, soon) = (Judge::default(), || Instant::now() + Duration::from_millis(50));
        let target = searching("http://127.0.0.1:1/", SLOW);
        let module = Target { allowed: Some(Arc::default()), ..target.clone() };
        for _ in 0..2 {
            let places = [judge.place(&target, soon()).await, judge.place(&module, soon()).await];
            assert!(places.iter().all(Result::is_ok));
            assert!(judge.place(&module, soon()).await.is_err());
        }
        let _other = judge.place(&named("other", target), soon()).await;
        assert_eq!(judge.targets.lock().unwrap().len(), 1, "targets that search nothing are forgotten");
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
