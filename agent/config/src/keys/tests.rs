//! The declarations against what the readers ask for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Key, Object, SPEC_DOCUMENTS, Shape, agent, reads_tests};
use crate::pointer_tests::{below, with_entry};
use crate::{Format, ImportOptions, check_with, import, load_with};

/// Every mapping that is declared, by its path.
fn all() -> BTreeMap<&'static str, &'static Object> {
    let mut all = BTreeMap::new();
    let mut open: Vec<&Object> = SPEC_DOCUMENTS.into_iter().chain([agent::agent::OBJECT]).collect();
    while let Some(object) = open.pop() {
        if all.insert(object.path, object).is_none() {
            open.extend(object.keys.iter().flat_map(|key| key.shape.objects()));
        }
    }
    all
}

fn entries(folder: &str) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Reads every file of the tests, good and bad.
fn read_everything() {
    let mut paths = entries("tests/spec/bad");
    paths.extend(["good", "composite", "foreign", "slices"].map(|name| Path::new("tests/spec").join(name)));
    for path in paths {
        let _ = check_with(&[path], &|_| Some("x".to_owned()));
    }
    for (format, folder) in [(Format::Sloth, "sloth"), (Format::OpenSlo, "openslo"), (Format::Pyrra, "pyrra")]
    {
        let options = ImportOptions { format, period: None, service: None, source: "main".to_owned() };
        let _ = import(&entries(&format!("tests/import/{folder}")), &options);
    }
}

#[test]
fn every_declared_key_is_read_where_it_is_declared_and_no_other() {
    read_everything();
    let all = all();
    assert!(all.len() > 60, "only {} mappings", all.len());
    let was_read = |object: &Object, key: &Key| {
        let base = object.base.is_some_and(|base| reads_tests::was_read(base, key.name));
        base || reads_tests::was_read(object, key.name)
    };
    let wrong = |(path, object): (&&str, &&'static Object)| {
        let keys = object.keys.iter().filter(|key| was_read(object, key) == key.unread);
        keys.map(|key| format!("{path}: `{}` (declared unread: {})", key.name, key.unread))
            .collect::<Vec<_>>()
    };
    let wrong: Vec<String> = all.iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "declared and never read, or read and declared unread: {wrong:#?}");
}

#[test]
fn a_declared_key_has_a_sentence_and_stands_once() {
    for (path, object) in all() {
        assert!(!object.about.is_empty(), "{path}");
        for (n, key) in object.keys.iter().enumerate() {
            assert!(
                object.keys.iter().skip(n + 1).all(|other| other.name != key.name),
                "{path} {}",
                key.name
            );
        }
    }
}

#[test]
#[should_panic(expected = "has no key `folder`")]
fn a_read_of_a_key_that_the_mapping_does_not_declare_fails() {
    agent::gate::OBJECT.expect_key(agent::rules::FOLDER);
}

/// Set `UPDATE_EXPECT=1` to rewrite the committed reference, and read what changed.
#[test]
fn the_committed_reference_is_the_printed_one() {
    let file = std::path::absolute("../../docs/keys.md").unwrap();
    expect_test::expect_file![file].assert_eq(&crate::key_reference());
}

/// Returns whether a value may be of a mapping: one of several that stand in one place.
fn fits(value: &Value, object: &Object) -> bool {
    let Some(entries) = value.as_object() else { return false };
    let known = entries.keys().all(|name| object.open || object.has(name));
    known
        && object.keys.iter().all(|key| match (entries.get(key.name), key.shape) {
            (None, _) => !key.required,
            (Some(written), Shape::Const(word)) => written == word,
            (Some(written), Shape::Word(words)) => words.iter().any(|word| written == word),
            _ => true,
        })
}

/// Finds every declared mapping of a value.
fn find(value: &Value, shape: &Shape, at: &str, found: &mut Vec<(String, &'static Object)>) {
    match *shape {
        Shape::About(_, shape) => find(value, shape, at, found),
        Shape::AnyOf(shapes) | Shape::OneOf(shapes) => {
            shapes.iter().for_each(|shape| find(value, shape, at, found));
        }
        Shape::List(shape) | Shape::NonEmpty(shape) | Shape::Single(shape) => {
            let items = value.as_array().into_iter().flatten().enumerate();
            items.for_each(|(n, item)| find(item, shape, &below(at, &n.to_string()), found));
        }
        Shape::Map(shape) => {
            let entries = value.as_object().into_iter().flatten();
            entries.for_each(|(name, entry)| find(entry, shape, &below(at, name), found));
        }
        Shape::Object(object) if fits(value, object) => found_mapping(value, object, at, found),
        Shape::Annotations(Some(object)) if value.is_object() => found_mapping(value, object, at, found),
        _ => {}
    }
}

fn found_mapping(
    value: &Value,
    object: &'static Object,
    at: &str,
    found: &mut Vec<(String, &'static Object)>,
) {
    found.push((at.to_owned(), object));
    for key in object.keys {
        let at = below(at, key.name);
        value.get(key.name).into_iter().for_each(|value| find(value, &key.shape, &at, found));
    }
}

fn write(file: &Path, documents: &[Value]) {
    let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    std::fs::write(file, texts.join("\n---\n")).unwrap();
}

/// The model of a folder as text; `None` where it is refused.
fn model(folder: &Path) -> Option<String> {
    let environment = |name: &str| (name == "API_TOKEN").then(|| "x".to_owned());
    load_with(folder, &environment).ok().map(|(config, _)| format!("{config:#?}"))
}

fn copy(from: &Path, to: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            files.extend(copy(&path, &target));
        } else {
            std::fs::copy(&path, &target).unwrap();
            files.push(target);
        }
    }
    files
}

/// Writes each default into the mappings of a folder that lack it, and sees that the model stays the same.
fn try_defaults(folder: &str, proven: &mut BTreeMap<(&'static str, &'static str), usize>) {
    let root = tempfile::tempdir().unwrap();
    let files = copy(&Path::new("tests/spec").join(folder), root.path());
    let is_yaml = |file: &&PathBuf| file.extension().is_some_and(|extension| extension == "yaml");
    for file in files.iter().filter(is_yaml) {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&std::fs::read_to_string(file).unwrap()).unwrap();
        write(file, &documents);
        let usual = model(root.path()).unwrap();
        for (n, document) in documents.iter().enumerate() {
            let mut found = Vec::new();
            for shape in SPEC_DOCUMENTS.into_iter().chain([agent::agent::OBJECT]).map(Shape::Object) {
                find(document, &shape, "", &mut found);
            }
            for (at, object) in found {
                for key in object.keys.iter().filter(|key| !key.default.is_empty()) {
                    let times = proven.entry((object.path, key.name)).or_default();
                    let there = document.pointer(&at).unwrap();
                    if *times >= 2 || there.get(key.name).is_some() {
                        continue;
                    }
                    let mut changed = documents.clone();
                    changed[n] =
                        with_entry(document, &at, key.name, serde_saphyr::from_str(key.default).unwrap());
                    write(file, &changed);
                    // a default may be refused beside other keys, which then have no say in it
                    let Some(model) = model(root.path()) else { continue };
                    assert!(
                        model == usual,
                        "`{}: {}` is not the default of {}",
                        key.name,
                        key.default,
                        object.path
                    );
                    *times += 1;
                }
            }
        }
        write(file, &documents);
    }
}

#[test]
fn a_declared_default_is_what_a_missing_key_means() {
    let mut proven = BTreeMap::new();
    for folder in ["defaults", "good", "composite", "slices"] {
        try_defaults(folder, &mut proven);
    }
    let declared = all().into_values().flat_map(|object| object.keys.iter().map(move |key| (object, key)));
    let declared = declared.filter(|(_, key)| !key.default.is_empty());
    let unproven =
        declared.filter(|(object, key)| proven.get(&(object.path, key.name)).is_none_or(|times| *times == 0));
    let unproven: Vec<_> = unproven.map(|(object, key)| format!("{}: {}", object.path, key.name)).collect();
    assert!(unproven.is_empty(), "no file of the tests leaves these out: {unproven:#?}");
}
