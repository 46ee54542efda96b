//! The service of one port: its routes and the middleware in front of them.
//!
//! The middleware wraps the router and is no layer of it: a layer costs every request three boxes and a copy of all below it.
//! Four layers of axum's `from_fn` in a `ServiceBuilder` around the router take 4,200 instructions, these four functions 450:
//! about 2 % of a request.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use tower::ServiceExt as _;

use super::middleware::{self, Port, RequestId};
use super::{Shared, compress, cors};

/// One of the two ports. Cheap to clone.
#[derive(Clone)]
pub struct PortService(Arc<Parts>);

struct Parts {
    shared: Shared,
    port: Port,
    paths: Paths,
    routes: Router,
}

impl PortService {
    /// Wraps the routes of a router. `paths` names all of them.
    pub(super) fn new(
        shared: &Shared,
        port: Port,
        paths: impl IntoIterator<Item = &'static str>,
        routes: Router,
    ) -> Self {
        Self(Arc::new(Parts { shared: shared.clone(), port, paths: Paths::new(paths), routes }))
    }

    /// Answers a request. The outermost middleware sees the request first and the response last.
    pub async fn answer(&self, request: Request) -> Response {
        let Parts { shared, port, paths, routes } = &*self.0;
        let (port, route) = (*port, paths.find(request.uri().path()));
        let routed =
            async |request| routes.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let guarded = async |request, id: &RequestId| {
            compress::compress(request, async |request| {
                middleware::guard(shared, port, route, request, id, routed).await
            })
            .await
        };
        let shared_out = async |request, id: &RequestId| match port {
            Port::Public => {
                cors::share(&shared.config.clients, request, async |request| guarded(request, id).await).await
            }
            Port::Admin => guarded(request, id).await,
        };
        middleware::observe(shared, port, route, request, shared_out).await
    }
}

impl fmt::Debug for PortService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PortService").field(&self.0.port).finish()
    }
}

/// The path patterns of a router, to find the route of a request before the router does.
struct Paths(Vec<&'static str>);

impl Paths {
    fn new(paths: impl IntoIterator<Item = &'static str>) -> Self {
        let mut paths: Vec<_> = paths.into_iter().collect();
        // Patterns without a variable first: they win over patterns with one.
        paths.sort_unstable_by_key(|path| (path.contains('{'), *path));
        paths.dedup();
        Self(paths)
    }

    fn find(&self, path: &str) -> Option<&'static str> {
        self.0.iter().copied().find(|pattern| *pattern == path || fits(pattern, path))
    }
}

/// Returns whether a path matches a pattern with one variable.
fn fits(pattern: &str, path: &str) -> bool {
    let Some((before, variable)) = pattern.split_once('{') else { return false };
    let (Some(rest), Some((_, after))) = (path.strip_prefix(before), variable.split_once('}')) else {
        return false;
    };
    rest.strip_suffix(after).is_some_and(|value| !value.is_empty() && !value.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_found_that_the_router_finds() {
        let paths = Paths::new(["/a/{id}", "/a", "/a/{id}", "/a/first", "/a/{id}/more", "/"]);
        assert_eq!(paths.0.len(), 5);
        for (path, expected) in [
            ("/a", Some("/a")),
            ("/a/first", Some("/a/first")),
            ("/a/firs", Some("/a/{id}")),
            ("/a/%2F", Some("/a/{id}")),
            ("/a/first/more", Some("/a/{id}/more")),
            ("/", Some("/")),
            ("/a/", None),
            ("/a//more", None),
            ("/a/b/c", None),
            ("/a/b/more/", None),
            ("", None),
            ("/b", None),
        ] {
            assert_eq!(paths.find(path), expected, "{path}");
        }
    }
}
