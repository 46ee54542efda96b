//! Questions of rollouts to the gate: each one carries a token, whose secret the build makes.

use super::object::{items, text};
use super::render::Build;

/// Faults of the templates that ask the gate: an answer to a client without a token is not recorded.
pub(super) fn faults(build: &Build) -> Vec<String> {
    let mut faults = Vec::new();
    for template in build.of_kind("AnalysisTemplate") {
        let asks = items(template.value(), "/spec/metrics")
            .filter(|metric| text(metric, "/provider/web/url").contains("/api/v1/gate"));
        for metric in asks {
            let sent =
                items(metric, "/provider/web/headers").find(|one| text(one, "/key") == "Authorization");
            if sent.is_none_or(|header| text(header, "/value") != "Bearer {{args.token}}") {
                faults.push(format!("{} asks the gate without its token", template.shown()));
            }
            let token = items(template.value(), "/spec/args").find(|arg| text(arg, "/name") == "token");
            let secret = token.map(|arg| text(arg, "/valueFrom/secretKeyRef/name")).unwrap_or_default();
            let makes = |name: &str| {
                build.of_kind("ExternalSecret").any(|made| made.text("/spec/target/name") == name)
                    || build.of_kind("Secret").any(|made| made.name() == name)
            };
            if !makes(secret) {
                faults
                    .push(format!("{}: nothing makes the secret {secret:?} of its token", template.shown()));
            }
        }
    }
    faults
}
