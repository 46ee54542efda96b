//! Targets whose addresses stand in files.

use std::path::Path;

use crate::{Check, load_with};

const CONFIG: &str = r#"
slos: []
targets:
  - { name: api, http: { url: "http://api.test/" } }
  - name: shop
    labels: { team: shop, zone: none }
    http: { url: "https://{{address}}/health?at={{host}}", headers: { Host: shop.example.org } }
    discover: { files: ["targets/*"], limit: 3 }
"#;

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("targets")).unwrap();
    write(folder.path(), "lookout.yaml", CONFIG);
    files.iter().for_each(|(name, text)| write(&folder.path().join("targets"), name, text));
    folder
}

/// Name and URL of each target, or what is wrong.
fn loaded(folder: &Path) -> Result<Vec<(String, String)>, String> {
    let (config, _) =
        load_with(folder, &|_| Some("hunter2".to_owned())).map_err(|found| found.to_string())?;
    let shown = config.targets.iter().map(|target| {
        let Check::Http(http) = &target.check else { panic!() };
        (target.name.clone(), http.url.to_string())
    });
    Ok(shown.collect())
}

#[test]
fn every_address_of_the_files_is_a_target() {
    let folder = folder(&[
        (
            "b.json",
            r#"[{"targets": ["10.0.0.2:8443", "10.0.0.1:8443"], "labels": {"zone": "a", "__meta_x": "y"}}]"#,
        ),
        ("a.yaml", "- targets: [\"10.0.0.1:8443\"]\n- { targets: [\"[::1]:1\"], labels: { rank: 1 } }\n"),
    ]);
    let url = |address: &str, host: &str| format!("https://{address}/health?at={host}");
    assert_eq!(
        loaded(folder.path()).unwrap(),
        [
            ("api".to_owned(), "http://api.test/".to_owned()),
            ("shop@10.0.0.1:8443".to_owned(), url("10.0.0.1:8443", "10.0.0.1")),
            ("shop@::1-:1".to_owned(), url("[::1]:1", "::1")),
            ("shop@10.0.0.2:8443".to_owned(), url("10.0.0.2:8443", "10.0.0.2")),
        ]
    );
    let (config, found) = load_with(folder.path(), &|_| None).unwrap();
    let two = &config.targets[3];
    let labels = [("team".to_owned(), "shop".to_owned()), ("zone".to_owned(), "a".to_owned())];
    assert_eq!((two.group.as_deref(), two.labels.as_slice()), (Some("shop"), labels.as_slice()));
    assert!(two.is_of("shop") && two.is_of("shop@10.0.0.2:8443") && !two.is_of("api"));
    // a change of a file, and a new one, are seen
    let mut before = found.inputs.fingerprint();
    for (name, text) in [("a.yaml", "- targets: [\"10.0.0.9:1\"]\n"), ("c.yaml", "- targets: []\n")] {
        write(&folder.path().join("targets"), name, text);
        let after = found.inputs.fingerprint();
        assert_ne!(before, after, "{name}");
        before = after;
    }
}

#[test]
fn what_cannot_be_used_is_refused_as_a_whole() {
    for (text, expected) in [
        ("- targets: []\n", "these files list no address"),
        ("- targets: [a:1, b:1, c:1, d:1]\n", "these files list 4 addresses, more than 3"),
        ("targets: [a:1]\n", "is no list, line 1"),
        ("- targets: [a:1]\n- target: [b:1]\n", "line 2: unknown key `target`"),
        ("- targets: [\"${SECRET}:1\"]\n", "line 1: an address is a host with a port, or a URL"),
        ("- targets: [\"user@a:1\"]\n", "line 1: an address is a host with a port, or a URL"),
        ("- { targets: [a:1], labels: { target: x } }\n", "line 1: `target` cannot be a label"),
        ("- targets: [a:1, a-:1]\n  labels: []\n", "line 1: `labels` is of another kind"),
        ("- targets: [a:99999]\n", "this is not a URL: invalid port number"),
        ("- targets: [\"a.b/c\", \"a.b-c\"]\n", "two addresses make the target `shop@a.b-c`"),
        ("[", "is not YAML or JSON"),
    ] {
        let folder = folder(&[("a.yaml", text)]);
        let told = loaded(folder.path()).unwrap_err();
        assert!(told.contains(expected) && !told.contains("hunter2"), "{text}: {told}");
        // a file that is right again heals it
        write(&folder.path().join("targets"), "a.yaml", "- targets: [a:1]\n");
        assert_eq!(loaded(folder.path()).unwrap().len(), 2);
    }
    let empty = folder(&[]);
    let told = loaded(empty.path()).unwrap_err();
    assert!(told.contains("no file matches `targets/*`") && told.contains("lookout.yaml:8:"), "{told}");
}

#[test]
fn a_template_takes_the_address_somewhere() {
    let folder = folder(&[("a.yaml", "- targets: [a:1]\n")]);
    write(folder.path(), "lookout.yaml", &CONFIG.replace("{{address}}", "a.test").replace("{{host}}", "x"));
    assert!(loaded(folder.path()).unwrap_err().contains("nothing in this target takes the address"));
}
