//! The preview of a pull request: the script of the workflow, run over two commits.

use std::path::Path;
use std::process::Command;

use conformance::tree::Tree;
use programs::fetched::{self, KUBECTL};
use programs::workspace;

use crate::checks::unless_missing;

const TEST: &str = "preview::a_pull_request_shows_what_it_changes_in_each_environment";

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=test", "-c", "user.email=test@example.org"]).args(arguments);
    workspace::must_succeed(git.current_dir(folder)).unwrap();
}

#[test]
fn a_pull_request_shows_what_it_changes_in_each_environment() {
    let Some(kubectl) = unless_missing(TEST, fetched::program(&KUBECTL)) else { return };
    let kubectl = kubectl.unwrap();
    let mut tree = Tree::copy_of(&workspace::root()).unwrap();
    git(tree.root(), &["init", "--quiet"]);
    git(tree.root(), &["add", "--all"]);
    git(tree.root(), &["commit", "--quiet", "--message", "before"]);
    let preview = |tree: &Tree| {
        let path = format!("{}:{}", kubectl.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut script = Command::new("bash");
        script.args([".github/scripts/preview.sh", "HEAD"]).current_dir(tree.root()).env("PATH", path);
        let output = script.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let nothing = preview(&tree);
    assert_eq!(nothing.matches(": nothing changes").count(), 3, "{nothing}");

    let file = "k8s/overlays/prod/site.yaml";
    let site = tree.read(Path::new(file)).unwrap();
    tree.write(file, &site.replace("HOST: titanic.example.org", "HOST: ships.example.org")).unwrap();
    let changed = preview(&tree);
    assert!(changed.contains("### dev: nothing changes\n"), "{changed}");
    assert!(changed.contains("### staging: nothing changes\n"), "{changed}");
    let (_, prod) = changed.split_once("### prod: ").unwrap();
    assert!(prod.contains("    -    hostname: titanic.example.org\n"), "{prod}");
    assert!(prod.contains("    +    hostname: ships.example.org\n"), "{prod}");
    // each line of it is inside the block
    assert!(prod.lines().skip(1).all(|line| line.is_empty() || line.starts_with("    ")), "{prod}");

    // a manifest that cannot be built fails the preview
    tree.write(file, &site.replace("LOOKOUT_HOST: ", "LOOKOUT_HOSTS: ")).unwrap();
    let mut script = Command::new("bash");
    script.args([".github/scripts/preview.sh", "HEAD"]).current_dir(tree.root());
    assert!(!script.output().unwrap().status.success());
}
