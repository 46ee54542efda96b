//! The direction of dependencies between the modules of the service: no part knows one that stands above it.

use std::path::{Path, PathBuf};

/// A folder or file, and the modules that it must not name.
const LAYERS: [(&str, &[&str]); 11] = [
    ("http", &["passengers", "voyages", "api", "run"]),
    ("backup", &["http", "passengers", "voyages", "api", "run"]),
    ("database", &["backup", "http", "passengers", "voyages", "api", "run"]),
    ("telemetry", &["database", "http", "passengers", "voyages", "api", "run"]),
    ("config", &["telemetry", "database", "http", "passengers", "voyages", "api", "run"]),
    ("config.rs", &["telemetry", "database", "http", "passengers", "voyages", "api", "run"]),
    ("passengers/domain", &["database", "http", "api", "run", "passengers::store", "passengers::http"]),
    ("passengers/store", &["http", "api", "run", "passengers::http"]),
    ("passengers/http", &["api", "run", "voyages"]),
    (
        "voyages/domain.rs",
        &["database", "http", "api", "run", "passengers", "voyages::store", "voyages::http"],
    ),
    ("voyages", &["api", "run", "passengers"]),
];

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|entry| files(&entry)).collect()
}

#[test]
fn no_module_knows_one_above_it() {
    let mut wrong = Vec::new();
    for (part, above) in LAYERS {
        for file in files(&Path::new("src").join(part)) {
            let text = std::fs::read_to_string(&file).unwrap();
            for module in above {
                let named =
                    [format!("crate::{module}::"), format!("crate::{module};"), format!("crate::{{{module}")];
                if named.iter().any(|named| text.contains(named)) {
                    wrong.push(format!("{} names `{module}`", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
