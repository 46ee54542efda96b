//! Labels that many SLOs share, written once for a text.

use lookout_engine::{Cause, DataState, Severity, Status, Window};
use lookout_runtime::exposition::write_labels;

/// Labels of states, of kinds of incidents and of windows.
#[derive(Debug)]
pub(super) struct SharedLabels {
    pub(super) data_states: Vec<(DataState, String)>,
    pub(super) statuses: Vec<(Status, String)>,
    pub(super) incidents: Vec<(Cause, Severity, String)>,
    /// Those that an SLO had until now.
    windows: Vec<WindowLabels>,
}

/// Labels of a window.
#[derive(Debug)]
pub(super) struct WindowLabels {
    seconds: u64,
    /// The name of the family that Sloth has for the length.
    pub(super) ratio: String,
    pub(super) of_sloth: String,
    pub(super) own: String,
}

impl Default for SharedLabels {
    fn default() -> Self {
        let data_states = [
            DataState::Ok,
            DataState::Idle,
            DataState::NoData,
            DataState::Insufficient,
            DataState::Stale,
            DataState::Partial,
        ];
        let status = |status: Status| written([("status", status.as_str().replace(' ', "_").as_str())]);
        let kinds =
            Cause::ALL.into_iter().flat_map(|cause| [(cause, Severity::Page), (cause, Severity::Ticket)]);
        let kind = |(cause, severity): (Cause, Severity)| {
            (cause, severity, written([("severity", severity.as_str()), ("cause", cause.as_str())]))
        };
        Self {
            data_states: data_states.map(|state| (state, written([("state", state.as_str())]))).to_vec(),
            statuses: Status::ALL.map(|each| (each, status(each))).to_vec(),
            incidents: kinds.map(kind).collect(),
            windows: Vec::new(),
        }
    }
}

impl SharedLabels {
    /// Returns the labels of a window.
    pub(super) fn window(&mut self, seconds: u64) -> Option<&WindowLabels> {
        let known = self.windows.iter().position(|window| window.seconds == seconds);
        let place = known.unwrap_or_else(|| {
            let window = Window::seconds(seconds).to_string();
            self.windows.push(WindowLabels {
                seconds,
                ratio: format!("slo:sli_error:ratio_rate{window}"),
                of_sloth: written([("sloth_window", window.as_str())]),
                own: written([("window", window.as_str())]),
            });
            self.windows.len() - 1
        });
        self.windows.get(place)
    }
}

/// Returns labels as they stand in a text, without their brackets.
pub(super) fn written<const N: usize>(labels: [(&str, &str); N]) -> String {
    let mut written = String::new();
    write_labels(&mut written, labels);
    written
}
