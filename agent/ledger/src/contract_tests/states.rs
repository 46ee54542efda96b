//! The promises about states of evaluators.

use lookout_engine::{SavedAlert, SavedCoverage, SavedRow, SavedState, SavedStretch};

use super::*;

async fn states_come_back_with_the_tick_they_belong_to(ledger: &dyn Ledger) {
    let stretches = vec![
        SavedStretch { from: 0, to: Some(90), unseen: 7 },
        SavedStretch { from: 400, to: None, unseen: 0 },
    ];
    let observed = SavedCoverage { gap_after: 30, stretches };
    let alert = |since| SavedAlert {
        alert: "page 1h/5m x14.4".to_owned(),
        firing: true,
        exceeded_since: Some(410),
        run_since: since,
    };
    let state = SavedState {
        alerts: vec![alert(None), alert(Some(405))],
        failing_since: Some(405),
        rated: observed.clone(),
        observed,
        starts: vec![(50, 2)],
        stepped: Some(60),
        row: Some(SavedRow { failures: 2, successes: 0, failed: Some((400, 410)) }),
    };
    let record =
        |slo_id: &str, state: &SavedState| StateRecord { slo_id: slo_id.to_owned(), state: state.clone() };
    let (first, other) = (record(SLO, &state), record("a-other", &SavedState::default()));
    assert_eq!(ledger.states().await.unwrap(), []);
    let tick = Tick {
        counts: &[row(0, 1, 0)],
        states: &[other.clone(), record(SLO, &SavedState::default())],
        ..Tick::default()
    };
    ledger.commit_tick(tick).await.unwrap();
    ledger.commit_tick(Tick { states: std::slice::from_ref(&first), ..Tick::default() }).await.unwrap();
    ledger.commit(&[row(10, 1, 0)], &[]).await.unwrap();
    assert_eq!(ledger.states().await.unwrap(), [other, first], "the latest of each");
}

promises! {
    states_come_back_with_the_tick_they_belong_to
}
