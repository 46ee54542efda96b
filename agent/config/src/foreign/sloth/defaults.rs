//! The period and the tiers of Sloth's SLOs, which their specs leave out.

use lookout_engine::{Tier, Window};

use super::windows::{self, AlertWindows};
use crate::foreign::format::{ImportOptions, is_of_sloth};
use crate::keys::sloth;
use crate::parsed_file::{ParsedFile, scalar};
use crate::reader::At;
use crate::yaml::Node;

/// The period when none is given, as in Sloth.
const PERIOD: Window = Window::days(30);

/// The period and the tiers of all SLOs of a run.
pub(crate) struct Defaults<'o> {
    pub(crate) options: &'o ImportOptions,
    pub(crate) period: Window,
    /// The tiers of its alerts.
    pub(crate) tiers: Vec<Tier>,
    /// True if neither Sloth nor an `AlertWindows` has windows for the period.
    pub(crate) scaled: bool,
}

/// Reads the period, and its windows: from an `AlertWindows`, from Sloth's own catalogue, or scaled.
pub(crate) fn read_defaults<'o>(files: &mut [ParsedFile<'_>], options: &'o ImportOptions) -> Defaults<'o> {
    let found = read_catalogues(files);
    let mut periods: Vec<Window> = found.iter().map(|(.., catalogue)| catalogue.period).collect();
    periods.sort_unstable();
    periods.dedup();
    // Sloth finds no windows but those in its folder of them: when they are of one period, it was told that one
    let (period, said) = match (options.period, periods.as_slice()) {
        (None, [only]) => (*only, *only == PERIOD),
        (period, _) => (period.unwrap_or(PERIOD), true),
    };
    let mut chosen: Option<AlertWindows> = None;
    for (file, root, catalogue) in found {
        let Some(ParsedFile { reader, .. }) = files.get_mut(file) else { continue };
        if !said {
            let help = "they are the only ones; `import` takes `--period` for another";
            reader.changed(&root, format!("the period is {period}, as of these windows"), help);
        }
        if catalogue.period != period {
            let help = format!("`import` uses them with `--period {}`", catalogue.period);
            let what = format!("windows for a period of {}, while it is {period}", catalogue.period);
            reader.lost(&root, what, help);
        } else if chosen.as_ref().is_some_and(|chosen| *chosen != catalogue) {
            let message = format!("not converted: there are two sets of windows for {period}");
            reader.error(&root, message, "keep one of them");
        } else {
            chosen = Some(catalogue);
        }
    }
    let known = chosen.map(|catalogue| catalogue.tiers).or_else(|| windows::sloth(period));
    let scaled = known.is_none();
    Defaults { options, period, tiers: known.unwrap_or_else(|| Tier::defaults(period)), scaled }
}

/// Reads all `AlertWindows`, with the number of their file and where they stand.
fn read_catalogues<'n>(files: &mut [ParsedFile<'n>]) -> Vec<(usize, At<'n>, AlertWindows)> {
    let mut found = Vec::new();
    for (n, ParsedFile { reader, documents }) in files.iter_mut().enumerate() {
        for node in documents.iter().filter(|node| is_windows(node)) {
            let root = At::root(node);
            let fields = reader.fields(&root, sloth::alert_windows::OBJECT);
            let catalogue = fields.and_then(|fields| windows::read_alert_windows(reader, &fields));
            found.extend(catalogue.map(|catalogue| (n, root, catalogue)));
        }
    }
    found
}

fn is_windows(node: &Node) -> bool {
    is_of_sloth(node) && scalar(node, "kind") == Some("AlertWindows")
}
