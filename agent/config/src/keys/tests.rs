//! The declarations against what the readers ask for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Key, Object, SPEC_DOCUMENTS, agent, reads};
use crate::{Format, ImportOptions, check_with, import};

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
        let base = object.base.is_some_and(|base| reads::was_read(base, key.name));
        base || reads::was_read(object, key.name)
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
