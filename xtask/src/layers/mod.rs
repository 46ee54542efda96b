//! Who may import whom, as a test: data flows one way through the agent's rooms, and the engine is pure.

mod paths;
mod tokens;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The rooms of the agent in the direction the data flow. A room may import those on its own line and on lines above.
const ROOMS: &[&[&str]] = &[
    &["clock", "events", "random", "task"],
    &["spec"],
    &["collect"],
    &["ledger"],
    &["evaluate"],
    &["deliver"],
    &["gate"],
    &["export"],
    &["web"],
    &["generate"],
    &["rehearse"],
    &["agent"],
    &["cli"],
];

/// What the engine must not reach for: whatever knows the time of day, the machine or another thread.
const IMPURE_MODULES: &[&str] = &["time", "fs", "net", "env", "io", "process", "thread", "os"];
const IMPURE_WORDS: &[&str] = &["async", "await", "println", "print", "eprintln", "eprint", "dbg"];

/// Something that stands where it must not.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// Checks the agent and the engine below `root`. Says how much was looked at.
pub(crate) fn run(root: &Path) -> Result<String> {
    let (mut files, mut found) = (0, Vec::new());
    for (path, text) in sources(root, Path::new("agent/src"))? {
        files += 1;
        found.extend(in_room(&path, &text));
    }
    for (path, text) in sources(root, Path::new("agent/engine/src"))? {
        files += 1;
        found.extend(in_engine(&path, &text));
    }
    let manifest = Path::new("agent/engine/Cargo.toml");
    let text = std::fs::read_to_string(root.join(manifest))
        .with_context(|| format!("reading {}", manifest.display()))?;
    found.extend(in_engine_manifest(manifest, &text));
    if found.is_empty() {
        return Ok(format!("{files} files, no import against the flow, the engine is pure"));
    }
    let list = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    bail!(
        "{} imports against the flow (docs/ARCHITECTURE.md says who may import whom):\n{list}",
        found.len()
    );
}

/// Every Rust file below a folder, by its path from `root`, in order.
fn sources(root: &Path, folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries =
            std::fs::read_dir(root.join(&folder)).with_context(|| format!("listing {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(entry.path())
                    .with_context(|| format!("reading {}", path.display()))?;
                found.push((path, text));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn level(room: &str) -> Option<usize> {
    ROOMS.iter().position(|line| line.contains(&room))
}

/// The modules a file of the agent stands for: `collect/probe/mod.rs` is `collect::probe`.
fn module(path: &Path) -> Vec<String> {
    let below = path.strip_prefix("agent/src").unwrap_or(path).with_extension("");
    let mut parts: Vec<_> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

fn in_room(path: &Path, text: &str) -> Vec<Violation> {
    let module = module(path);
    let Some(room) = module.first() else { return Vec::new() };
    if module.len() == 1 && (room == "main" || room == "lib") {
        return Vec::new();
    }
    let violation = |line, what| Violation { file: path.to_path_buf(), line, what };
    let Some(own) = level(room) else {
        return vec![violation(
            1,
            format!("the room `{room}` has no place in the order; give it one in xtask/src/layers/mod.rs"),
        )];
    };
    let reached = paths::below_crate(&tokens::tokens(text), module.len());
    reached
        .into_iter()
        .filter_map(|reached| {
            let what = match level(&reached.name) {
                Some(other) if other > own => {
                    format!("`{room}` imports `{}`, which stands after it", reached.name)
                }
                None if reached.name == "*" => {
                    format!("`{room}` imports everything from the root: name the rooms")
                }
                Some(_) | None => return None,
            };
            Some(violation(reached.line, what))
        })
        .collect()
}

fn in_engine(path: &Path, text: &str) -> Vec<Violation> {
    let tokens = tokens::tokens(text);
    let modules = ["std", "core"]
        .iter()
        .flat_map(|root| paths::below(&tokens, root).into_iter().map(move |r| (root, r)));
    let modules = modules
        // `core::time` is only a unit of measurement; the clocks live in `std::time`.
        .filter(|(root, reached)| **root == "std" && IMPURE_MODULES.contains(&reached.name.as_str()))
        .map(|(root, reached)| (reached.line, format!("{root}::{}", reached.name)));
    let words = tokens.iter().filter_map(|token| {
        Some((token.line, token.word().filter(|word| IMPURE_WORDS.contains(word))?.to_owned()))
    });
    modules
        .chain(words)
        .map(|(line, name)| Violation {
            file: path.to_path_buf(),
            line,
            what: format!("the engine is pure and must not use `{name}`"),
        })
        .collect()
}

fn in_engine_manifest(path: &Path, text: &str) -> Vec<Violation> {
    let mut dependencies = false;
    let mut found = Vec::new();
    for (line, content) in (1..).zip(text.lines().map(str::trim)) {
        let header = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let named = match header {
            Some(table) => {
                dependencies = table.ends_with("dependencies") && !table.ends_with("dev-dependencies");
                let own_table =
                    table.rsplit_once("dependencies.").filter(|(before, _)| !before.ends_with("dev-"));
                own_table.map(|(_, name)| name)
            }
            None => content
                .split(['=', '.', '#'])
                .next()
                .map(str::trim)
                .filter(|key| dependencies && !key.is_empty()),
        };
        if let Some(name) = named {
            let what = format!("the engine has no dependencies, and now depends on `{name}`");
            found.push(Violation { file: path.to_path_buf(), line, what });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(found: &[Violation]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_import_against_the_flow_is_named_with_file_and_line() {
        let found = in_room(
            Path::new("agent/src/collect/probe/mod.rs"),
            "use crate::spec::Target;\nuse crate::web;\n",
        );
        assert_eq!(
            said(&found),
            ["agent/src/collect/probe/mod.rs:2: `collect` imports `web`, which stands after it"]
        );
    }

    #[test]
    fn it_is_found_behind_supers_and_in_groups() {
        let path = Path::new("agent/src/spec/model.rs");
        assert_eq!(in_room(path, "use super::super::ledger::Ledger;").len(), 1);
        assert_eq!(in_room(path, "use crate::{clock::Clock, gate::{Policy, audit}};").len(), 1);
        assert_eq!(in_room(path, "use crate::*;").len(), 1);
    }

    #[test]
    fn imports_along_the_flow_and_within_a_line_are_fine() {
        assert!(
            in_room(Path::new("agent/src/web/mod.rs"), "use crate::{gate, ledger::Ledger, web::api};")
                .is_empty()
        );
        assert!(in_room(Path::new("agent/src/task.rs"), "use crate::events::names;").is_empty());
        assert!(in_room(Path::new("agent/src/main.rs"), "crate::cli::main();").is_empty());
    }

    #[test]
    fn a_room_without_a_place_is_refused() {
        let found = in_room(Path::new("agent/src/attic/mod.rs"), "");
        assert!(said(&found).iter().any(|line| line.contains("the room `attic` has no place")), "{found:?}");
    }

    #[test]
    fn the_engine_must_stay_pure() {
        let path = Path::new("agent/engine/src/slot.rs");
        let text = "use std::{collections::BTreeMap, time::Instant};\nasync fn f() { println!(); }\nuse core::time::Duration;";
        let found: Vec<_> = in_engine(path, text).iter().map(|violation| violation.line).collect();
        assert_eq!(found, [1, 2, 2]);
    }

    #[test]
    fn the_engine_must_stay_without_dependencies() {
        let path = Path::new("agent/engine/Cargo.toml");
        let clean = "[package]\nname = \"x\"\n[dependencies]\n# none\n[dev-dependencies]\nproptest = \"1\"\n";
        assert!(in_engine_manifest(path, clean).is_empty());
        let dirty = "[dependencies]\nserde.workspace = true # why\n[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n\
                     [dependencies.rand]\nversion = \"1\"\n[dev-dependencies.proptest]\nversion = \"1\"\n";
        let found: Vec<_> =
            in_engine_manifest(path, dirty).into_iter().map(|violation| violation.what).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().any(|what| what.contains("`serde`")), "{found:?}");
    }

    #[test]
    fn this_workspace_keeps_to_the_order() {
        assert!(run(&crate::workspace::root()).is_ok_and(|said| said.contains("no import against the flow")));
    }
}
