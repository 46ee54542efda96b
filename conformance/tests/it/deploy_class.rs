//! The class of a change on Kubernetes, as the script of the workflow `gitops` writes it.

use std::path::Path;
use std::process::Command;

use conformance::kubernetes;
use conformance::tree::Tree;
use programs::workspace;

const SITE: &str = "k8s/overlays/prod/site.yaml";
const BASE: &str = "k8s/base/deployment.yaml";

fn bump(tree: &Tree, arguments: &[&str]) {
    let mut script = Command::new("bash");
    script.arg(".github/scripts/bump.sh").args(arguments).current_dir(tree.root());
    workspace::must_succeed(&mut script).unwrap();
}

#[test]
fn an_undo_passes_easily_once_and_the_next_change_says_anew_what_it_is() {
    let mut tree = Tree::copy_of(&workspace::root()).unwrap();
    let site = |tree: &Tree| tree.read(Path::new(SITE)).unwrap();
    let image = format!("ghcr.io/lookout-dev/titanic@sha256:{}", "a".repeat(64));
    for round in 0..2 {
        bump(&tree, &["prod", "rollback", &image]);
        assert!(site(&tree).contains("  DEPLOY_CLASS: rollback\n  DEPLOY_CLASS_OF: "), "{}", site(&tree));
        kubernetes::deploy_class(&tree).unwrap();

        // another template of the pods with the same image, which would ask the gate as an undo
        let before = tree.read(Path::new(BASE)).unwrap();
        let after = before.replacen("memory: 128Mi", "memory: 256Mi", 1);
        assert_ne!(before, after);
        tree.write(BASE, &after).unwrap();
        let refused = format!("{:#}", kubernetes::deploy_class(&tree).unwrap_err());
        assert!(refused.contains("rollback was written for other manifests"), "round {round}: {refused}");

        bump(&tree, &["prod", "feature"]);
        assert!(!site(&tree).contains("DEPLOY_CLASS_OF"), "{}", site(&tree));
        kubernetes::deploy_class(&tree).unwrap();
        tree.write(BASE, &before).unwrap();
    }
    let images = tree.read(Path::new("k8s/images/prod/kustomization.yaml")).unwrap();
    assert!(images.contains(&"a".repeat(64)), "an image that is not named stays: {images}");
}
