//! Targets whose addresses stand in files.

use std::path::Path;

use crate::{AddressSource, Check, FoundAddress, Target, load_with};

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
    // the agent watches the files by themselves: their change is no reload
    let [discovery] = config.discoveries.as_slice() else { panic!("{:?}", config.discoveries) };
    let AddressSource::Files(files) = &discovery.source else { panic!("{discovery:?}") };
    assert_eq!((discovery.name.as_str(), discovery.limit, discovery.refresh.as_secs()), ("shop", 3, 5));
    let (mut before, inputs) = (files.fingerprint(), found.inputs.fingerprint());
    for (name, text) in [("a.yaml", "- targets: [\"10.0.0.9:1\"]\n"), ("c.yaml", "- targets: []\n")] {
        write(&folder.path().join("targets"), name, text);
        let after = files.fingerprint();
        assert_ne!(before, after, "{name}");
        before = after;
    }
    assert_eq!(found.inputs.fingerprint(), inputs);
    let addresses: Vec<String> = files.read().unwrap().into_iter().map(|found| found.address).collect();
    assert_eq!(addresses, ["10.0.0.9:1", "10.0.0.2:8443", "10.0.0.1:8443"]);
}

#[test]
fn a_template_is_filled_while_the_agent_runs_with_the_variables_of_before() {
    let folder = folder(&[("a.yaml", "- targets: [a:1]\n")]);
    let template = r#"
slos: []
targets:
  - name: shop
    http: { url: "{{url}}", headers: { Host: "${NAME}", X-Peer: "{{host}}", Authorization: "Bearer ${TOKEN}" } }
    discover: { dns: { names: [shop.internal], type: A, port: 80 }, limit: 2 }
"#;
    write(folder.path(), "lookout.yaml", template);
    let (config, _) = load_with(folder.path(), &|name| Some(format!("hunter2-{name}"))).unwrap();
    assert!(config.targets.is_empty(), "no address is known before the first answer");
    let discovery = &config.discoveries[0];
    assert!(!format!("{config:?}").contains("hunter2-TOKEN"));
    let address = |address: &str| FoundAddress { address: address.to_owned(), labels: Vec::new() };
    let urls = |found: &[&str]| {
        let found: Vec<_> = found.iter().map(|text| address(text)).collect();
        let shown = |target: &Target| {
            let Check::Http(http) = &target.check else { panic!() };
            let headers: Vec<&str> = http.headers.iter().map(|(_, value)| value.reveal()).collect();
            assert_eq!(headers, ["hunter2-NAME", "a", "Bearer hunter2-TOKEN"]);
            http.url.to_string()
        };
        discovery.targets(&found).map(|targets| targets.iter().map(shown).collect::<Vec<_>>())
    };
    assert_eq!(urls(&["a:1", "a:1", "https://a/health"]).unwrap(), ["http://a:1/", "https://a/health"]);
    assert_eq!(urls(&[]).unwrap_err(), "no address was found");
    assert_eq!(urls(&["a:1", "a:2", "a:3"]).unwrap_err(), "3 addresses were found, more than `limit: 2`");
    let told = urls(&["a:99999"]).unwrap_err();
    assert_eq!(told, "the address a:99999 does not fit: this is not a URL: invalid port number");
}

#[test]
fn what_cannot_be_used_is_refused_as_a_whole() {
    for (text, expected) in [
        ("- targets: []\n", "no address was found"),
        ("- targets: [a:1, b:1, c:1, d:1]\n", "4 addresses were found, more than `limit: 3`"),
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
