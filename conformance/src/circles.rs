//! Circles between the modules of a crate. Cargo keeps crates apart; within a crate, this check keeps the direction.
//!
//! A module depends on another one when it names a path into it. A re-export (`pub use`) is no dependency: what names it
//! depends on the module that has the item. So a `mod.rs` may list what its folder offers, but it may not offer items
//! to the modules that it calls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::tree::Tree;

/// The folders of sources that are checked, and whether a folder's own file may call modules that take items from it.
const CRATES: [(&str, bool); 17] = [
    ("service/src", true),
    ("http-server/src", false),
    ("agent/collect/src", true),
    ("agent/config/src", false),
    ("agent/engine/src", false),
    ("agent/ledger/src", true),
    ("agent/model/src", false),
    ("agent/promql/src", true),
    ("agent/runtime/src", false),
    ("agent/backtest/src", true),
    ("agent/deliver/src", true),
    ("agent/evaluate/src", true),
    ("agent/export/src", true),
    ("agent/gate/src", true),
    ("agent/generate/src", true),
    ("agent/web/src", true),
    ("agent/src", true),
];

/// The path of a module within its crate.
type Module = Vec<String>;

/// The modules that each module depends on.
type Edges = BTreeMap<Module, BTreeSet<Module>>;

/// The sources of one module.
#[derive(Default)]
struct Source {
    text: String,
    /// Modules that are compiled for tests only.
    test_only: Vec<String>,
    /// Names that it re-exports, each with its path.
    exports: BTreeMap<String, Vec<String>>,
    /// Modules of which it re-exports everything.
    globs: Vec<Vec<String>>,
    /// Paths that it names.
    paths: Vec<Vec<String>>,
}

/// Finds modules that depend on each other.
pub fn modules(tree: &Tree) -> Result<String> {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (folder, with_children) in CRATES {
        let modules = read(tree, folder)?;
        count += modules.len();
        let edges: Edges = modules
            .iter()
            .map(|(module, source)| (module.clone(), dependencies(module, source, &modules)))
            .collect();
        let found = if with_children { between_siblings(&edges) } else { circles(&edges) };
        wrong.extend(found.into_iter().map(|circle| format!("{folder}: {circle}")));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(format!("{count} modules in {} crates", CRATES.len()))
}

fn read(tree: &Tree, folder: &str) -> Result<BTreeMap<Module, Source>> {
    let mut modules = BTreeMap::new();
    for file in tree.files_in(folder, &[".rs"]) {
        let source = parse(&tree.read(file)?);
        modules.insert(module_of(file.strip_prefix(folder).context("a file of the folder")?), source);
    }
    let tests: Vec<Module> = modules
        .iter()
        .flat_map(|(module, source)| source.test_only.iter().map(|name| below(module, name)))
        .collect();
    modules.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
    Ok(modules)
}

fn module_of(file: &Path) -> Module {
    let mut module: Module =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|name| matches!(name.as_str(), "mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

fn below(module: &[String], name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// The parts of a formatted source that say what it depends on.
fn parse(text: &str) -> Source {
    let mut source = Source::default();
    let mut for_tests = false;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    while let Some(line) = lines.next() {
        let module = module_named(line).filter(|_| for_tests);
        if module.is_some() && line.ends_with('{') {
            // tests at the end of a file
            break;
        }
        source.test_only.extend(module);
        for_tests = line.starts_with("#[cfg(test)]");
        let Some((before, first)) = line.split_once("use ").filter(|(before, _)| is_visibility(before))
        else {
            source.text.push_str(line);
            source.text.push('\n');
            continue;
        };
        let mut tree = first.to_owned();
        while !tree.contains(';') {
            let Some(line) = lines.next() else { break };
            tree.push_str(line);
        }
        source.add_use(tree.trim_end_matches(';'), !before.is_empty());
    }
    source.paths.extend(inline(&source.text));
    source
}

/// Returns whether a text is a visibility, or none.
fn is_visibility(text: &str) -> bool {
    text.is_empty() || text.starts_with("pub") && text.ends_with(' ') && !text.contains('"')
}

impl Source {
    fn add_use(&mut self, tree: &str, public: bool) {
        for path in expand(tree) {
            match path.split_last() {
                Some((last, module)) if public && last == "*" => self.globs.push(module.to_vec()),
                // a module within the file takes what the file has
                Some((last, _)) if last == "*" && path.len() == 2 => {}
                Some((name, _)) if public => {
                    self.exports.insert(name.clone(), path.clone());
                }
                _ => self.paths.push(path),
            }
        }
    }
}

/// The name in `mod name;` or `mod name {`.
fn module_named(code: &str) -> Option<String> {
    let (before, name) = code.split_once("mod ")?;
    let name = name.trim_end_matches([';', '{', ' ']);
    (is_visibility(before) && is_path(name)).then(|| name.to_owned())
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

/// The paths of `a::{b, c::{self, d as e}}`; the name that a path is given here comes to nothing.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((prefix, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        let parts = path.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "self");
        return vec![parts.map(str::to_owned).collect()];
    };
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let mut paths = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let item = group.get(start..at).unwrap_or_default().trim();
                if !item.is_empty() {
                    paths.extend(expand(&format!("{prefix}{item}")));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    paths
}

/// The paths that stand in code, as `crate::a::b` or `child::c`.
fn inline(text: &str) -> Vec<Vec<String>> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')));
    let paths = words.filter(|word| word.contains("::") && !word.starts_with(':'));
    paths.map(|path| path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()).collect()
}

/// The modules that one depends on.
fn dependencies(module: &Module, source: &Source, modules: &BTreeMap<Module, Source>) -> BTreeSet<Module> {
    let found = source.paths.iter().filter_map(|path| resolve(module, path, modules, 0));
    found.filter(|found| found != module).collect()
}

/// The module that has what a path names, seen from a module; `None` for what is of another crate.
fn resolve(
    from: &[String],
    path: &[String],
    modules: &BTreeMap<Module, Source>,
    depth: usize,
) -> Option<Module> {
    let mut at: Module = from.to_vec();
    let mut parts = path.iter().peekable();
    match parts.peek()?.as_str() {
        "crate" => {
            at.clear();
            parts.next();
        }
        "super" => {
            while parts.peek().is_some_and(|part| *part == "super") {
                at.pop();
                parts.next();
            }
        }
        first if modules.contains_key(&below(from, first)) => {}
        _ => return None,
    }
    for part in parts {
        let inner = below(&at, part);
        if modules.contains_key(&inner) {
            at = inner;
            continue;
        }
        let source = modules.get(&at)?;
        if let Some(path) = source.exports.get(part).filter(|_| depth < 8) {
            return resolve(&at, path, modules, depth + 1).or(Some(at));
        }
        let has = |glob: &&Vec<String>| {
            let module = resolve(&at, glob, modules, depth + 1);
            module.and_then(|module| modules.get(&module)).is_some_and(|source| defines(&source.text, part))
        };
        let glob = source.globs.iter().filter(|_| depth < 8 && !defines(&source.text, part)).find(has);
        return glob.and_then(|glob| resolve(&at, glob, modules, depth + 1)).or(Some(at));
    }
    Some(at)
}

/// Returns whether a source defines an item of that name.
fn defines(text: &str, name: &str) -> bool {
    ["struct", "enum", "trait", "type", "const", "static", "fn"].iter().any(|kind| {
        let item = format!("{kind} {name}");
        text.match_indices(&item).any(|(at, _)| {
            let after = text.get(at + item.len()..).and_then(|rest| rest.chars().next());
            !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
        })
    })
}

/// The circles between modules of one folder, each taken together with what is below it.
fn between_siblings(edges: &Edges) -> Vec<String> {
    let folders: BTreeSet<&[String]> =
        edges.keys().filter_map(|module| Some(module.split_last()?.1)).collect();
    let mut found = Vec::new();
    for folder in folders {
        let child = |module: &Module| module.strip_prefix(folder)?.first().map(|name| below(folder, name));
        let mut siblings = Edges::new();
        for (from, to) in edges {
            let Some(from) = child(from) else { continue };
            let to = to.iter().filter_map(child).filter(|to| *to != from).collect::<Vec<_>>();
            siblings.entry(from).or_default().extend(to);
        }
        found.extend(circles(&siblings));
    }
    found
}

/// The circles, each as a walk from a module back to itself: the shortest one per group of modules.
fn circles(edges: &Edges) -> Vec<String> {
    let mut told: BTreeSet<Module> = BTreeSet::new();
    let mut circles = Vec::new();
    for module in edges.keys() {
        if told.contains(module) {
            continue;
        }
        let Some(walk) = walk_back(module, edges) else { continue };
        circles.push(walk.iter().map(shown).collect::<Vec<_>>().join(" → "));
        told.extend(walk);
    }
    circles
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "crate".to_owned() } else { module.join("::") }
}

/// The shortest walk from a module to itself.
fn walk_back(start: &Module, edges: &Edges) -> Option<Vec<Module>> {
    let mut walks = std::collections::VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    while let Some(walk) = walks.pop_front() {
        for next in walk.last().and_then(|last| edges.get(last)).into_iter().flatten() {
            let walk: Vec<Module> = walk.iter().cloned().chain([next.clone()]).collect();
            if next == start {
                return Some(walk);
            }
            if seen.insert(next.clone()) {
                walks.push_back(walk);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let modules: BTreeMap<Module, Source> =
            files.iter().map(|(file, text)| (module_of(Path::new(file)), parse(text))).collect();
        let edges =
            modules.iter().map(|(module, source)| (module.clone(), dependencies(module, source, &modules)));
        circles(&edges.collect())
    }

    #[test]
    fn circles_are_found_through_groups_re_exports_and_paths_in_code() {
        let root = ("lib.rs", "mod a;\nmod b;\npub use b::*;\npub use a::Thing;");
        let a = ("a.rs", "use crate::{b::{Other, more}, c};\npub struct Thing;");
        assert_eq!(
            found(&[root, a, ("b.rs", "pub struct Other;\nfn f() { super::Thing }")]),
            ["a → b → a"],
            "a re-export leads to the module of the item"
        );
        assert!(found(&[root, a, ("b.rs", "// use super::a;\nuse std::fmt;")]).is_empty());
        assert_eq!(
            found(&[
                ("lib.rs", "mod a;"),
                ("a/mod.rs", "mod b;\nfn f() { b::g() }\nstruct T;"),
                ("a/b.rs", "use super::T;")
            ]),
            ["a → a::b → a"],
            "a folder depends on a module of it that it calls"
        );
        assert!(
            found(&[
                ("a/mod.rs", "mod b;\nmod c;\npub use b::T;"),
                ("a/b.rs", ""),
                ("a/c.rs", "use super::T;")
            ])
            .is_empty(),
            "a list of what a folder offers is no dependency"
        );
    }

    #[test]
    fn tests_are_left_out() {
        let source =
            parse("#[cfg(test)]\nmod golden;\nuse a::b;\n#[cfg(test)]\nmod tests {\n    use super::c;\n}\n");
        assert_eq!(source.test_only, ["golden"]);
        assert!(source.paths.iter().all(|path| path.first().is_some_and(|first| first == "a")));
    }
}
