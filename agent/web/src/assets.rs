//! The stylesheet and the icon. They are part of the binary and named by their content, so that browsers may cache
//! them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest as _, Sha256};

use super::error::Problem;

struct Asset {
    name: String,
    kind: &'static str,
    text: &'static str,
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::named("style", "css", "text/css; charset=utf-8", include_str!("../assets/style.css"))
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::named("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg")));

impl Asset {
    fn named(stem: &str, extension: &str, kind: &'static str, text: &'static str) -> Self {
        let hash: String = Sha256::digest(text).iter().take(5).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{stem}.{hash}.{extension}"), kind, text }
    }

    fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// Returns the path of the stylesheet.
pub(super) fn style_path() -> String {
    STYLE.path()
}

/// Returns the path of the icon.
pub(super) fn icon_path() -> String {
    ICON.path()
}

/// `GET /assets/{name}`
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let known = [&*STYLE, &*ICON];
    match known.into_iter().find(|asset| asset.name == name) {
        Some(asset) => {
            let headers =
                [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, asset.text).into_response()
        }
        None => Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such asset").into_response(),
    }
}
