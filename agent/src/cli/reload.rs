//! Reloads for `lookout run`: at SIGHUP, and when a file of the configuration changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lookout_config::{Diagnostics, Inputs, Level};
use lookout_runtime::events::chain;
use tokio::signal::unix::{SignalKind, signal};

use crate::agent::{ReloadError, Reloader};

/// Interval at which the files are looked at. They are read when they stay the same for one interval: an editor or a
/// mount may take a moment to write all of them.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Reloads until it is dropped. `inputs` are the files of the configuration in use.
pub(super) async fn reload_on_change(file: &Path, mut inputs: Inputs, reloader: &Reloader) {
    let mut hang_up = match signal(SignalKind::hangup()) {
        Ok(hang_up) => Some(hang_up),
        Err(error) => {
            tracing::warn!(%error, "SIGHUP does not reload the configuration");
            None
        }
    };
    // the state of the files that was read last, and that of the last look
    let mut read = fingerprint(&inputs).await;
    let mut seen = read.clone();
    loop {
        let told = async {
            match &mut hang_up {
                Some(hang_up) => drop(hang_up.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = told => {}
            () = tokio::time::sleep(LOOK_EVERY) => {
                let now = fingerprint(&inputs).await;
                let is_settled = now == seen;
                seen = now;
                if !is_settled || seen == read {
                    continue;
                }
            }
        }
        let before = fingerprint(&inputs).await;
        let inputs_before = std::mem::replace(&mut inputs, reload(file, reloader).await);
        // a change while the files were read is one for the next look
        let is_same = fingerprint(&inputs_before).await == before;
        read = if is_same { fingerprint(&inputs).await } else { None };
        seen.clone_from(&read);
    }
}

/// Reads the files and gives the agent what they say. Returns the files.
async fn reload(file: &Path, reloader: &Reloader) -> Inputs {
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || lookout_config::load(&path)).await;
    let (result, inputs) = match read {
        Ok(Ok((config, found))) => (reloader.reload(config).await, found.inputs),
        Ok(Err(found)) => {
            tracing::error!("the configuration is refused:\n{}", found.render(false));
            let error = ReloadError::Files(first_error(&found));
            reloader.refuse(&error);
            (Err(error), found.inputs)
        }
        Err(error) => {
            tracing::error!(%error, "reading the configuration broke");
            return Inputs::default();
        }
    };
    if let Err(error) = result {
        tracing::error!(error = chain(&error), "the configuration before is kept");
    }
    inputs
}

/// Returns the first error in one line.
fn first_error(found: &Diagnostics) -> String {
    let (errors, _) = found.counts();
    let first = found.list.iter().find(|diagnostic| diagnostic.level == Level::Error);
    let Some(first) = first else { return "it cannot be used".to_owned() };
    let file = first.file.file_name().map(PathBuf::from).unwrap_or_default();
    let place = first.position.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
    let more = if errors > 1 { format!(" ({} more)", errors - 1) } else { String::new() };
    format!("{}{place}: {}{more}", file.display(), first.message)
}

async fn fingerprint(inputs: &Inputs) -> Option<lookout_config::Fingerprint> {
    let inputs = inputs.clone();
    tokio::task::spawn_blocking(move || inputs.fingerprint()).await.ok()
}
