//! Size of the ledger's file, with the agent's own rhythm: one transaction a tick, a roll-up every ten minutes.

use lookout_ledger::{Ledger as _, SqliteLedger};
use lookout_model::{CountRow, Timestamp};

/// SLOs in the file.
pub(crate) const SLOS: usize = 100;
/// Days that pass.
pub(crate) const DAYS: i64 = 3;

const WIDTH_S: u32 = 10;
const TICKS_PER_DAY: i64 = 8640;
const TICKS_PER_PRUNE: i64 = 60;
const FIRST_TICK: i64 = 179_999_640;

/// Returns the size of the closed file at the end of each day, with a thousand requests a second and SLO, one in a
/// thousand of which fails.
///
/// # Errors
/// If the ledger cannot be written.
pub(crate) async fn bytes_by_day(
    mut noise: impl FnMut(u64) -> u64,
) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("lookout.db");
    let ids: Vec<String> = (0..SLOS).map(|n| format!("service-{n}-availability")).collect();
    let mut sizes = Vec::new();
    for day in 0..DAYS {
        let ledger = SqliteLedger::open(&path).await?;
        for tick in (FIRST_TICK + day * TICKS_PER_DAY..).take(TICKS_PER_DAY as usize) {
            let start_s = tick * i64::from(WIDTH_S);
            let mut row = |slo_id: &String| {
                let bad = noise(21);
                let good = 9_000 + noise(2_000) - bad;
                CountRow { slo_id: slo_id.clone(), start_s, width_s: WIDTH_S, good, bad }
            };
            let rows: Vec<CountRow> = ids.iter().map(&mut row).collect();
            ledger.commit(&rows, &[]).await?;
            if tick % TICKS_PER_PRUNE == 0 {
                ledger.prune(Timestamp::from_seconds(start_s)).await?;
            }
        }
        ledger.close().await;
        sizes.push(std::fs::metadata(&path)?.len());
    }
    Ok(sizes)
}
