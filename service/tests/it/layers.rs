//! The direction of dependencies between the modules of the service, and the absence of entities from what copiers keep.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A folder or file, and the modules that it must not name.
const LAYERS: [(&str, &[&str]); 10] = [
    ("http", &["api", "run"]),
    ("backup", &["http", "api", "run"]),
    ("database", &["backup", "http", "api", "run"]),
    ("telemetry", &["database", "http", "api", "run"]),
    ("config", &["telemetry", "database", "http", "api", "run"]),
    ("passengers/domain", &["database", "http", "api", "run", "passengers::store", "passengers::http"]),
    ("passengers/store", &["http", "api", "run", "passengers::http"]),
    ("passengers/http", &["api", "run", "voyages"]),
    (
        "voyages/domain.rs",
        &["database", "http", "api", "run", "passengers", "voyages::store", "voyages::http"],
    ),
    ("voyages", &["api", "run", "passengers"]),
];

/// The entities.
const ENTITIES: [&str; 2] = ["passengers", "voyages"];
/// The files that say which entities there are.
const LISTS: [&str; 2] = ["api.rs", "lib.rs"];

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|entry| files(&entry)).collect()
}

/// The paths within the crate that a source names, from the root of the crate on. `use` lists are taken apart.
fn paths(module: &[&str], text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        if before.is_alphanumeric() || matches!(before, '_' | ':') {
            continue;
        }
        let mut depth = 0_i32;
        let end = code[at..].find(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth < 0 || depth == 0 && !(c.is_alphanumeric() || matches!(c, '_' | ':' | '*' | '}'))
        });
        for path in expand(&code[at..at + end.unwrap_or(code.len() - at)]) {
            let mut parts: Vec<&str> = path.split("::").map(str::trim).collect();
            let up = parts.iter().take_while(|part| **part == "super").count();
            let root = if up == 0 { &[] } else { &module[..module.len().saturating_sub(up)] };
            parts.drain(..up.max(1));
            found.insert([root, &parts[..]].concat().join("::"));
        }
    }
    found
}

/// The paths of `a::{b, c::{d, e}}`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, group)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let (mut depth, mut items) = (0, vec![String::new()]);
    for c in group.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            items.push(String::new());
        } else {
            items.last_mut().unwrap().push(c);
        }
    }
    let items = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
    items.flat_map(|item| expand(&format!("{prefix}{item}"))).collect()
}

fn is_below(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn no_module_knows_one_above_it() {
    let (mut wrong, mut named) = (Vec::new(), 0);
    for (part, above) in LAYERS {
        let mut all = files(&Path::new("src").join(part));
        all.extend(Some(Path::new("src").join(format!("{part}.rs"))).filter(|file| file.is_file()));
        for file in all {
            let module = file.with_extension("");
            let mut module: Vec<_> = module.iter().skip(1).map(|part| part.to_str().unwrap()).collect();
            module.retain(|part| *part != "mod");
            let paths = paths(&module, &std::fs::read_to_string(&file).unwrap());
            named += paths.len();
            for module in above {
                let below = paths.iter().filter(|path| is_below(path, module));
                wrong.extend(below.map(|path| format!("{} names `{path}`", file.display())));
            }
        }
    }
    assert!(named > 300, "{named} paths were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn paths_are_found_however_they_are_written() {
    let text = "use crate::{\n    config,\n    http::{self, error::Problem},\n};\n// use crate::no;\n\
        fn f() { super::super::run::g(crate::api::H); mycrate::x() }";
    let found = paths(&["database", "pool"], text);
    let expected = ["api::H", "config", "http::error::Problem", "http::self", "run::g"];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// A copy of the service replaces the entities, and nothing else: no other file has their names, in paths, types, texts or
/// comments.
#[test]
fn what_copiers_keep_names_no_entity() {
    let replaced: Vec<_> = ENTITIES.iter().chain(&LISTS).map(|part| Path::new("src").join(part)).collect();
    let nouns = ENTITIES.map(|entity| entity.trim_end_matches('s'));
    let mut kept = files(Path::new("src"));
    kept.retain(|file| !replaced.iter().any(|part| file.starts_with(part)));
    assert!(kept.len() > 60, "{} files", kept.len());
    let mut wrong = Vec::new();
    for file in kept {
        for (number, line) in std::fs::read_to_string(&file).unwrap().to_lowercase().lines().enumerate() {
            if nouns.iter().any(|noun| line.contains(noun)) {
                wrong.push(format!("{}:{}: {line}", file.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
