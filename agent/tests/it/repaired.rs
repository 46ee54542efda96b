//! `lookout ledger repair`: wrong counts are excluded from a ledger that no agent uses.

use lookout_ledger::{CorrectionStore as _, CountStore as _, Ledger as _, SqliteLedger};
use lookout_model::{CorrectionKind, CorrectionScope, CountRow, Timestamp};

use super::support::run_to_end;

#[tokio::test(flavor = "multi_thread")]
async fn a_stretch_of_a_ledger_is_excluded_with_its_reason_but_not_while_an_agent_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lookout.db");
    let agent = SqliteLedger::open(&path).await.unwrap();
    let row =
        CountRow { slo_id: "api-requests".to_owned(), start_s: 1_795_132_800, width_s: 10, good: 1, bad: 9 };
    agent.commit(&[row], &[]).await.unwrap();
    let file = path.to_str().unwrap();
    let repair = |to: &str, reason: &str| {
        run_to_end(&[
            "ledger",
            "repair",
            "--ledger",
            file,
            "--slo",
            "api-requests",
            "--from",
            "2026-11-20T00:00:00Z",
            "--to",
            to,
            "--reason",
            reason,
            "--actor",
            "ops",
        ])
    };
    let refused = repair("2026-11-20T00:10:00Z", "a counter ran wild");
    assert!(!refused.status.success(), "the agent runs: {refused:?}");
    agent.close().await;
    drop(agent);

    for (to, reason) in [("2026-11-19T00:00:00Z", "backwards"), ("2026-11-20T00:10:00Z", " ")] {
        assert!(!repair(to, reason).status.success(), "{to} {reason:?}");
    }
    let unknown = run_to_end(&[
        "ledger",
        "repair",
        "--ledger",
        file,
        "--slo",
        "api/requests",
        "--from",
        "0",
        "--to",
        "9",
        "--reason",
        "r",
        "--actor",
        "ops",
    ]);
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(!unknown.status.success() && said.contains("no counts of this SLO"), "{said}");
    let done = repair("2026-11-20T00:10:00Z", "a counter ran wild");
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && said.contains("do not count"), "{said}");

    let ledger = SqliteLedger::open(&path).await.unwrap();
    let [correction] = ledger.corrections_in_force(Timestamp::EPOCH).await.unwrap().try_into().unwrap();
    assert_eq!(correction.scope, CorrectionScope::Slo("api-requests".to_owned()));
    assert_eq!(
        (correction.kind, correction.reason.as_str()),
        (CorrectionKind::Excluded, "a counter ran wild")
    );
    assert_eq!((correction.actor.as_str(), correction.from.as_seconds()), ("ops", 1_795_132_800));
    let counts = ledger.counts("api-requests", Timestamp::EPOCH).await.unwrap().total();
    assert_eq!((counts.good, counts.bad), (1, 9), "nothing is lost");
    ledger.close().await;
}
