//! Alerts, silences and inhibition of a real Alertmanager as they are read back, and certificates of clients.

use std::time::Duration;

use serde_json::json;

use super::alertmanager_real_tests::{Alertmanager, Place, delivery};
use super::*;
use lookout_config::AlertmanagerSettings;
use lookout_model::format::rfc3339;
use lookout_model::sample::lifecycle;
use lookout_model::{Timestamp, TransitionRecord};
use lookout_runtime::clock::SystemClock;

fn manager_of(settings: AlertmanagerSettings) -> Arc<dyn Receiver> {
    let destination = Destination::new("am", DestinationKind::Alertmanager(settings));
    receiver(&destination, Arc::new(SystemClock)).unwrap()
}

fn at(base: &str) -> AlertmanagerSettings {
    AlertmanagerSettings { urls: vec![Url::parse(base).unwrap()], ..AlertmanagerSettings::default() }
}

fn opened(slo: &str) -> TransitionRecord {
    let [mut opened, ..] = lifecycle(SystemClock.now() - Duration::from_secs(30), &["am"]);
    opened.notice.incident.slo = slo.to_owned();
    opened.notice.incident.id = format!("inc-{slo}");
    opened
}

/// Reads back, and returns the state of each SLO.
async fn states(manager: &Arc<dyn Receiver>) -> Vec<(String, HeldState)> {
    manager.read_back().await;
    let [instance] = &manager.instances()[..] else { panic!("one instance") };
    assert_eq!(instance.failure, None);
    instance.alerts.iter().map(|held| (held.slo.clone(), held.state)).collect()
}

fn held(states: &[(&str, HeldState)]) -> Vec<(String, HeldState)> {
    states.iter().map(|(slo, state)| ((*slo).to_owned(), *state)).collect()
}

impl Alertmanager {
    /// Silences an SLO until an instant. Returns the id.
    async fn silence(&self, slo: &str, until: Timestamp) -> String {
        let body = json!({
            "matchers": [{ "name": "slo", "value": slo, "isRegex": false, "isEqual": true }],
            "startsAt": rfc3339(SystemClock.now()), "endsAt": rfc3339(until),
            "createdBy": "ana", "comment": "moving <house>",
        });
        let url = format!("{}/api/v2/silences", self.base);
        let answer = self.client.post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
        let answer: serde_json::Value = answer.json().await.unwrap();
        answer["silenceID"].as_str().unwrap().to_owned()
    }

    async fn expire(&self, silence: &str) {
        let url = format!("{}/api/v2/silence/{silence}", self.base);
        assert!(self.client.delete(url).send().await.unwrap().status().is_success());
    }
}

#[tokio::test]
async fn what_an_alertmanager_silences_and_inhibits_is_seen_with_one_read_and_so_is_the_end_of_it() {
    let real = Alertmanager::start().await;
    let manager = manager_of(at(&real.base));
    assert_eq!(manager.instances()[0].read_at, None, "it was not asked yet");
    assert_eq!(states(&manager).await, []);
    for slo in ["plain", "source", "target"] {
        manager.deliver(&delivery(&opened(slo))).await.unwrap();
    }
    use HeldState::{Active, Inhibited, Silenced};
    let usual = held(&[("plain", Active), ("source", Active), ("target", Inhibited)]);
    assert_eq!(states(&manager).await, usual);
    for _ in 0..2 {
        let until = Timestamp::from_seconds(SystemClock.now().as_seconds() + 3600);
        let silence = real.silence("plain", until).await;
        let silenced = held(&[("plain", Silenced), ("source", Active), ("target", Inhibited)]);
        assert_eq!(states(&manager).await, silenced);
        let [instance] = &manager.instances()[..] else { panic!("one instance") };
        let known = HeldSilence {
            id: silence.clone(),
            actor: "ana".to_owned(),
            reason: "moving <house>".to_owned(),
            until: Some(until),
        };
        assert_eq!(instance.alerts[0].silences, [known]);
        assert_eq!((instance.clock_ahead_ms, instance.alerts[0].severity.as_str()), (Some(0), "warning"));
        real.expire(&silence).await;
        assert_eq!(states(&manager).await, usual, "the silence is gone");
    }
    // one that ends by itself
    real.silence("source", SystemClock.now() + Duration::from_secs(2)).await;
    assert!(states(&manager).await.contains(&("source".to_owned(), Silenced)));
    let over = async {
        while states(&manager).await != usual {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), over).await.expect("the silence ends");
}

#[tokio::test]
async fn of_an_alertmanager_that_is_gone_nothing_is_known_until_it_is_back() {
    let mut real = Alertmanager::start().await;
    let manager = manager_of(at(&real.base));
    let alert = opened("plain");
    manager.deliver(&delivery(&alert)).await.unwrap();
    let usual = held(&[("plain", HeldState::Active)]);
    assert_eq!(states(&manager).await, usual);
    for _ in 0..2 {
        let read_at = manager.instances()[0].read_at;
        let place = real.kill().await;
        manager.read_back().await;
        let [instance] = &manager.instances()[..] else { panic!("one instance") };
        let failure = instance.failure.clone().unwrap();
        assert!(failure.contains("did not answer"), "{failure}");
        assert_eq!(
            (instance.alerts.len(), instance.read_at),
            (0, read_at),
            "what was read is not shown as known"
        );
        real = Alertmanager::start_at(place).await.unwrap_or_else(|_| panic!("it starts again"));
        assert_eq!(states(&manager).await, [], "it has forgotten the alert");
        manager.refresh(std::slice::from_ref(&alert)).await.unwrap();
        assert_eq!(states(&manager).await, usual);
    }
}

#[tokio::test]
async fn an_alertmanager_that_demands_a_certificate_gets_that_of_the_agent() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let real = Alertmanager::start_at(Place::with_tls().await).await;
    let real = real.unwrap_or_else(|_| panic!("it does not come up"));
    let ca = Some(std::fs::read_to_string(real.place.file("server.pem")).unwrap());
    let alert = opened("plain");
    // a wrong certificate and none are refused, each twice
    for name in [Some("stranger"), None, Some("stranger"), None] {
        let identity = name.map(|name| real.place.identity(name));
        let manager = manager_of(AlertmanagerSettings { ca: ca.clone(), identity, ..at(&real.base) });
        let refused = manager.deliver(&delivery(&alert)).await.unwrap_err();
        assert_ne!(refused.retry, Retry::Never, "{}: the certificate can be replaced", refused.error);
        assert!(!refused.error.contains("PRIVATE"), "{}", refused.error);
        manager.read_back().await;
        assert!(manager.instances()[0].failure.is_some());
    }
    let identity = Some(real.place.identity("client"));
    let settings = AlertmanagerSettings { ca, identity, ..at(&real.base) };
    assert!(!format!("{settings:?}").contains("PRIVATE"));
    let manager = manager_of(settings);
    manager.deliver(&delivery(&alert)).await.unwrap();
    assert_eq!(states(&manager).await, held(&[("plain", HeldState::Active)]));
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_without_its_key() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let identity = Some(("no certificate".to_owned(), Secret::new("no PRIVATE key")));
    let settings = AlertmanagerSettings { identity, ..at("https://localhost:1") };
    let destination = Destination::new("am", DestinationKind::Alertmanager(settings));
    let error = receiver(&destination, Arc::new(SystemClock)).map(drop).unwrap_err();
    let text = lookout_runtime::events::chain(&error);
    assert!(text.starts_with("destination am: ") && !text.contains("PRIVATE"), "{text}");
}
