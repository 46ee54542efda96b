//! The schemas against the files that are known to be good and bad, and against the readers themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::pointer_tests::{below, with_entry};
use crate::{check_with, config_schema, slo_schema};

/// A key that nobody means.
const UNKNOWN: &str = "zzz_unknown";

/// A mapping that takes only known keys: where it is, and which they are.
type Closed = (String, BTreeSet<String>);

/// Checks a value against the part of JSON Schema that is used here, and panics at any other keyword. Collects the
/// mappings that take known keys only.
fn validate(schema: &Value, value: &Value, at: &str, closed: &mut Vec<Closed>) -> Result<(), String> {
    let Value::Object(keywords) = schema else {
        return if schema == &json!(false) { Err(format!("nothing may be at {at:?}")) } else { Ok(()) };
    };
    for (keyword, wanted) in keywords {
        let holds = match keyword.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => match wanted {
                Value::Array(kinds) => kinds.iter().any(|kind| is_of_type(value, kind.as_str().unwrap())),
                kind => is_of_type(value, kind.as_str().unwrap()),
            },
            // what stands for a missing value has its shape
            "default" => {
                let others = keywords.iter().filter(|(name, _)| *name != "default");
                let others =
                    Value::Object(others.map(|(name, entry)| (name.clone(), entry.clone())).collect());
                validate(&others, wanted, at, &mut Vec::new()).is_ok()
            }
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "pattern" => {
                value.as_str().is_none_or(|text| Regex::new(wanted.as_str().unwrap()).unwrap().is_match(text))
            }
            "minLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 >= wanted.as_u64().unwrap())
            }
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "exclusiveMaximum" => value.as_f64().is_none_or(|number| number < wanted.as_f64().unwrap()),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap()),
            "required" => {
                let names = wanted.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                value.as_object().is_none_or(|entries| names.clone().all(|name| entries.contains_key(name)))
            }
            "not" => validate(wanted, value, at, &mut Vec::new()).is_err(),
            "oneOf" | "anyOf" => {
                let fitting = one_or_any(wanted.as_array().unwrap(), value, at, closed)?;
                fitting == 1 || (keyword == "anyOf" && fitting > 1)
            }
            "items" | "properties" | "additionalProperties" | "propertyNames" => true,
            other => panic!("`{other}` is not judged here: teach this test"),
        };
        if !holds {
            return Err(format!("{keyword} {wanted} at {at:?}: {value}"));
        }
    }
    validate_parts(keywords, value, at, closed)
}

fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        other => panic!("no type {other}"),
    }
}

/// Returns the number of choices that fit, or the reasons when none does.
fn one_or_any(choices: &[Value], value: &Value, at: &str, closed: &mut Vec<Closed>) -> Result<usize, String> {
    let mut reasons = Vec::new();
    let mut fitting = 0;
    for choice in choices {
        let mut found = Vec::new();
        match validate(choice, value, at, &mut found) {
            Ok(()) => {
                fitting += 1;
                closed.extend(found);
            }
            Err(reason) => reasons.push(reason),
        }
    }
    if fitting == 0 { Err(reasons.join("\n")) } else { Ok(fitting) }
}

fn validate_parts(
    keywords: &Map<String, Value>,
    value: &Value,
    at: &str,
    closed: &mut Vec<Closed>,
) -> Result<(), String> {
    if let (Some(items), Some(schema)) = (value.as_array(), keywords.get("items")) {
        for (n, item) in items.iter().enumerate() {
            validate(schema, item, &below(at, &n.to_string()), closed)?;
        }
    }
    let Some(entries) = value.as_object() else { return Ok(()) };
    let properties = keywords.get("properties").and_then(Value::as_object);
    let others = keywords.get("additionalProperties");
    if others == Some(&json!(false)) {
        closed.push((at.to_owned(), properties.unwrap().keys().cloned().collect()));
    }
    for (name, entry) in entries {
        let at = below(at, name);
        if let Some(schema) = keywords.get("propertyNames") {
            validate(schema, &name.as_str().into(), &at, &mut Vec::new())?;
        }
        if let Some(schema) = properties.and_then(|properties| properties.get(name)).or(others) {
            validate(schema, entry, &at, closed)?;
        }
    }
    Ok(())
}

fn schemas() -> (Value, Value) {
    (serde_json::from_str(&config_schema()).unwrap(), serde_json::from_str(&slo_schema()).unwrap())
}

/// The documents of a file, and the schema for them.
fn documents(file: &Path) -> Result<Vec<Value>, String> {
    let text = fs::read_to_string(file).unwrap();
    serde_saphyr::from_multiple(&text).map_err(|error| error.to_string())
}

fn schema_for(file: &Path) -> Value {
    let (config, slo) = schemas();
    let spec = documents(file).is_ok_and(|all| {
        all.iter().any(|document| ["apiVersion", "version"].iter().any(|key| document.get(key).is_some()))
    });
    if spec { slo } else { config }
}

fn judge(file: &Path) -> Result<Vec<(usize, Closed)>, String> {
    let schema = schema_for(file);
    let mut all = Vec::new();
    for (n, document) in documents(file)?.iter().enumerate() {
        let mut closed = Vec::new();
        validate(&schema, document, "", &mut closed)?;
        all.extend(closed.into_iter().map(|closed| (n, closed)));
    }
    Ok(all)
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Set `UPDATE_EXPECT=1` to rewrite the committed schemas, and read what changed.
#[test]
fn the_committed_schemas_are_the_printed_ones() {
    for (name, text) in [("lookout", config_schema()), ("slo", slo_schema())] {
        let file = format!("../../docs/schema/{name}.schema.json");
        expect_test::expect_file![std::path::absolute(file).unwrap()].assert_eq(&text);
    }
}

#[test]
fn good_files_fit() {
    let mut files = yaml_files(Path::new("tests/spec/good"));
    files.extend(yaml_files(Path::new("tests/spec/composite")));
    files.extend(yaml_files(Path::new("tests/spec/foreign")));
    files.extend(yaml_files(Path::new("../../slo")));
    // kustomize carries the folder into clusters
    files.retain(|file| !file.ends_with("kustomization.yaml"));
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        if let Err(reason) = judge(&file) {
            panic!("{}: {reason}", file.display());
        }
    }
}

#[test]
fn unknown_keys_and_wrong_shapes_do_not_fit() {
    let bad = Path::new("tests/spec/bad");
    let mut misspelt = 0;
    for file in yaml_files(bad) {
        let said = file.with_extension("").with_extension("txt");
        let said = fs::read_to_string(said).unwrap_or_default();
        if said.contains("unknown key") || said.contains("unknown annotation") {
            assert!(judge(&file).is_err(), "{} fits", file.display());
            misspelt += 1;
        }
    }
    assert!(misspelt >= 4, "only {misspelt}");
    for name in ["wrong-types.yaml", "bad-destination.yaml", "bad-ratio.slo.yaml", "objective-twice.slo.yaml"]
    {
        assert!(judge(&bad.join(name)).is_err(), "{name} fits");
    }
}

/// The keys that the reader of a mapping knows, as it lists them for one that it does not know.
fn known_to_reader(folder: &Path) -> Option<BTreeSet<String>> {
    let environment = |name: &str| (name == "API_TOKEN").then(|| "x".to_owned());
    let found = check_with(&[folder.to_owned()], &environment);
    let message = format!("unknown key `{UNKNOWN}`");
    let help = found.list.iter().find(|finding| finding.message == message)?.help.clone()?;
    Some(help.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Each mapping of the good files gets an unknown key; what its reader knows there is what the schema allows.
#[test]
fn the_schemas_know_the_keys_that_the_readers_know() {
    let mut compared = 0;
    for (good, file) in ["tests/spec/good", "tests/spec/foreign"]
        .map(Path::new)
        .into_iter()
        .flat_map(|good| yaml_files(good).into_iter().map(move |file| (good, file)))
    {
        let all = documents(&file).unwrap();
        for (n, (at, keys)) in judge(&file).unwrap() {
            let folder = tempfile::tempdir().unwrap();
            copy(good, folder.path());
            let changed: Vec<String> = all
                .iter()
                .enumerate()
                .map(
                    |(m, document)| {
                        if m == n { with_entry(document, &at, UNKNOWN, json!(1)) } else { document.clone() }
                    },
                )
                .map(|document| document.to_string())
                .collect();
            fs::write(folder.path().join(file.strip_prefix(good).unwrap()), changed.join("\n---\n")).unwrap();
            let known = known_to_reader(folder.path());
            assert_eq!(known.as_ref(), Some(&keys), "{} {at:?}", file.display());
            compared += 1;
        }
    }
    assert!(compared > 150, "only {compared}");
}

/// All names of keys that a schema knows.
fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        found.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(entries) => entries.values().for_each(|entry| keys(entry, found)),
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

/// The page must say of every field how it is imported.
#[test]
fn the_document_says_of_every_field_what_becomes_of_it() {
    let text = fs::read_to_string("../../docs/importing.md").unwrap();
    let (_, rest) = text.split_once("<!-- fields -->").unwrap();
    let (table, _) = rest.split_once("<!-- end of fields -->").unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let named: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let mut known = BTreeSet::new();
    keys(&schemas().1, &mut known);
    let own = |key: &str| key.starts_with("lookout.dev/");
    let missing: Vec<&String> =
        known.iter().filter(|key| !own(key) && !named.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "docs/importing.md does not say what becomes of {missing:?}");
    let unknown: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "docs/importing.md names {unknown:?}, which nothing reads");
}
