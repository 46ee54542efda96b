//! Argo CD: every folder that is built for a cluster is a part, and every namespace of it a destination of the project.

use std::collections::BTreeSet;

use super::object::{Object, items, text};
use super::render::Build;

const CLUSTER: &str = "k8s/cluster";
const OVERLAYS: &str = "k8s/overlays/";

pub(super) fn faults(builds: &[Build]) -> Vec<String> {
    let of_kind = |kind: &'static str| builds.iter().flat_map(move |build| build.of_kind(kind));
    let destinations: BTreeSet<(&str, &str)> = of_kind("AppProject")
        .flat_map(|project| items(project.value(), "/spec/destinations"))
        .map(|destination| (text(destination, "/name"), text(destination, "/namespace")))
        .collect();
    let parts: BTreeSet<&str> = of_kind("ApplicationSet").flat_map(folders).collect();
    let once: Vec<&Build> = builds.iter().filter(|build| build.folder.starts_with(CLUSTER)).collect();
    let unnamed = once.iter().filter(|build| !parts.contains(build.folder.as_str()));
    let mut faults: Vec<String> =
        unnamed.map(|build| format!("no part of the ApplicationSet is {}", build.folder)).collect();
    for build in builds {
        let Some(environment) = build.folder.strip_prefix(OVERLAYS) else { continue };
        let objects = once.iter().copied().chain([build]).flat_map(|build| &build.objects);
        let namespaces: BTreeSet<&str> = objects
            .map(|object| object.text("/metadata/namespace"))
            .filter(|name| !name.is_empty())
            .collect();
        let missing = namespaces.into_iter().filter(|name| !destinations.contains(&(environment, *name)));
        faults
            .extend(missing.map(|name| format!("the AppProject has no destination {name} in {environment}")));
    }
    faults
}

/// The folders that the lists of a generator name, also inside a matrix.
fn folders(set: &Object) -> Vec<&str> {
    let generators = || items(set.value(), "/spec/generators");
    let inside = generators().flat_map(|generator| items(generator, "/matrix/generators"));
    let lists = generators().chain(inside).flat_map(|generator| items(generator, "/list/elements"));
    lists.map(|element| text(element, "/folder")).collect()
}
