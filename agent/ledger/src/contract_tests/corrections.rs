//! The promises about corrections.

use lookout_model::sample::{T0, correction};
use lookout_model::{CorrectionKind, CorrectionScope, MAX_IN_FORCE};

use super::*;

fn revocation(at: Timestamp) -> Revocation {
    Revocation { at, actor: "ops".to_owned(), reason: "It was our fault after all".to_owned() }
}

async fn corrections_come_back_as_they_were(ledger: &dyn Ledger) {
    let odd = "\u{1F6A2}'; drop table correction; --\"\u{202E}<b>".to_owned();
    let recurring = CorrectionRecord {
        scope: CorrectionScope::Service("titanic".to_owned()),
        to: None,
        recurrence: Some("weekly mon,thu 02:00 for 2h in Europe/Zurich".parse().unwrap()),
        ..correction("cor-b")
    };
    let written = [
        correction("cor-a"),
        recurring,
        CorrectionRecord {
            scope: CorrectionScope::Slo(SLO.to_owned()),
            kind: CorrectionKind::Excluded,
            reason: odd.clone(),
            actor: odd,
            ..correction("cor-c")
        },
    ];
    for correction in &written {
        assert!(ledger.record_correction(correction).await.unwrap());
    }
    let [first, second, third] = written.clone();
    let newest_first = [third, second, first];
    assert_eq!(ledger.corrections(None, 9).await.unwrap(), newest_first);
    assert_eq!(ledger.corrections(None, 2).await.unwrap(), newest_first[..2]);
    assert_eq!(ledger.corrections(Some("cor-b"), 9).await.unwrap(), newest_first[2..]);
    assert_eq!(ledger.corrections(Some("cor-x"), 9).await.unwrap(), []);
    assert_eq!(ledger.corrections_in_force(EPOCH).await.unwrap(), written);
    let end = T0 + 2 * HOUR;
    assert_eq!(ledger.corrections_in_force(end - TICK).await.unwrap().len(), 3);
    assert_eq!(ledger.corrections_in_force(end).await.unwrap(), written[1..2], "what has no end never ends");
}

async fn a_revoked_correction_stays_in_the_books(ledger: &dyn Ledger) {
    let before = ledger.corrections_version().await.unwrap();
    ledger.record_correction(&correction("cor-a")).await.unwrap();
    ledger.record_correction(&correction("cor-b")).await.unwrap();
    let written = ledger.corrections_version().await.unwrap();
    assert_ne!(before, written);
    assert_eq!(
        ledger.revoke_correction("cor-x", &revocation(Timestamp::from_millis(1))).await.unwrap(),
        None
    );
    assert_eq!(ledger.corrections_version().await.unwrap(), written, "nothing has changed");

    let revoked = CorrectionRecord { revoked: Some(revocation(T0)), ..correction("cor-a") };
    assert_eq!(ledger.revoke_correction("cor-a", &revocation(T0)).await.unwrap(), Some(revoked.clone()));
    let version = ledger.corrections_version().await.unwrap();
    assert_ne!(version, written);
    assert_eq!(
        ledger.revoke_correction("cor-a", &revocation(T0 + TICK)).await.unwrap(),
        Some(revoked.clone())
    );
    assert_eq!(ledger.corrections_version().await.unwrap(), version, "once is enough");
    assert_eq!(ledger.corrections_in_force(EPOCH).await.unwrap(), [correction("cor-b")]);
    assert_eq!(ledger.corrections(None, 9).await.unwrap(), [correction("cor-b"), revoked]);
}

async fn corrections_are_bounded_in_number(ledger: &dyn Ledger) {
    for n in 0..MAX_IN_FORCE {
        assert!(ledger.record_correction(&correction(&format!("cor-{n}"))).await.unwrap());
    }
    assert!(!ledger.record_correction(&correction("cor-x")).await.unwrap());
    ledger.revoke_correction("cor-7", &revocation(T0)).await.unwrap();
    assert!(ledger.record_correction(&correction("cor-x")).await.unwrap(), "a revoked one makes room");
    let later = CorrectionRecord { created_at: T0 + 100 * DAY, ..correction("cor-y") };
    assert!(ledger.record_correction(&later).await.unwrap(), "and so does time");
}

async fn old_corrections_are_forgotten(ledger: &dyn Ledger) {
    let endless = CorrectionRecord {
        to: None,
        recurrence: Some("daily 02:00 for 1h".parse().unwrap()),
        ..correction("cor-b")
    };
    ledger.record_correction(&correction("cor-a")).await.unwrap();
    ledger.record_correction(&endless).await.unwrap();
    let end = T0 + 2 * HOUR;
    ledger.prune(end + 400 * DAY).await.unwrap();
    assert_eq!(ledger.corrections(None, 9).await.unwrap().len(), 2);
    ledger.prune(end + 400 * DAY + TICK).await.unwrap();
    assert_eq!(ledger.corrections(None, 9).await.unwrap(), [endless]);
    ledger.revoke_correction("cor-b", &revocation(T0)).await.unwrap();
    ledger.prune(end + 400 * DAY + TICK).await.unwrap();
    assert_eq!(ledger.corrections(None, 9).await.unwrap(), []);
}

promises! {
    corrections_come_back_as_they_were
    a_revoked_correction_stays_in_the_books
    corrections_are_bounded_in_number
    old_corrections_are_forgotten
}
