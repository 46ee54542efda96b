//! Files that are written while they are watched.

use std::path::Path;

use lookout_config::{AddressSource, load_with};

use super::Files;
use crate::discover::{Discoverer as _, DiscoveryError};

const CONFIG: &str = r#"
slos: []
targets:
  - { name: shop, tcp: { address: "{{address}}" }, discover: { files: ["shop-*.yaml"] } }
"#;

fn files(folder: &Path) -> Files {
    std::fs::write(folder.join("lookout.yaml"), CONFIG).unwrap();
    let (config, _) = load_with(folder, &|_| None).unwrap();
    let AddressSource::Files(source) = &config.discoveries[0].source else { panic!() };
    Files::new(source.clone())
}

/// The addresses at the next look, if it says something.
async fn look(files: &Files) -> Option<Result<Vec<String>, DiscoveryError>> {
    let found = files.discover().await.transpose()?;
    Some(found.map(|found| found.into_iter().map(|one| one.address).collect()))
}

#[tokio::test]
async fn a_file_counts_when_it_rests_and_what_is_wrong_is_told_until_it_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("shop-a.yaml", "- targets: [a:1]\n");
    let files = files(folder.path());
    for _ in 0..2 {
        assert_eq!(look(&files).await, Some(Ok(vec!["a:1".to_owned()])));
    }
    for wrong in ["- targets: [a:1\n", "- target: [a:1, b:1]\n"] {
        write("shop-a.yaml", wrong);
        assert_eq!(look(&files).await, None, "somebody may be writing it");
        for _ in 0..2 {
            let told = look(&files).await.unwrap().unwrap_err();
            assert!(told.to_string().contains("shop-a.yaml"), "{told}");
            assert_eq!(told.reason(), "file");
        }
    }
    write("shop-a.yaml", "- targets: [a:1, b:10]\n");
    write("shop-b.yaml", "- targets: [c:1]\n");
    assert_eq!(look(&files).await, None);
    let healed = ["a:1", "b:10", "c:1"].map(str::to_owned).to_vec();
    assert_eq!(look(&files).await, Some(Ok(healed)));
    for name in ["shop-a.yaml", "shop-b.yaml"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    assert_eq!(look(&files).await, None);
    let told = look(&files).await.unwrap().unwrap_err();
    assert_eq!(told.to_string(), "no file matches `shop-*.yaml`");
}
