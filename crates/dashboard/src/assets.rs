//! The files pages refer to: part of the binary but for the portal's logo, named by what is in
//! them, kept by browsers for ever.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use ring::digest::{SHA256, digest};

use crate::state::DashboardState;
use crate::ui::brand::Logo;

/// Digits of the hash in a file's name: no two files of one build meet by chance.
const HASH_DIGITS: usize = 12;
/// The name in the address changes with the content, so nobody has to ask again.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const STYLE: &str = concat!(
    include_str!("../assets/base.css"),
    include_str!("../assets/layout.css"),
    include_str!("../assets/components.css"),
    include_str!("../assets/history.css"),
);

/// A file.
#[derive(Clone, Debug)]
pub(crate) struct Asset {
    /// Where it is served.
    pub(crate) path: String,
    tag: HeaderValue,
    kind: HeaderValue,
    content: Bytes,
}

/// All files.
#[derive(Debug)]
pub(crate) struct Assets {
    pub(crate) style: Asset,
    pub(crate) script: Asset,
    pub(crate) icon: Asset,
    /// At the head of the portal, where the operator set one.
    pub(crate) logo: Option<Asset>,
    face: Asset,
}

impl Assets {
    pub(crate) fn with(logo: Option<&Logo>) -> Self {
        let face = Asset::new(
            ("inter", "woff2"),
            "font/woff2",
            Bytes::from_static(include_bytes!("../assets/inter.woff2")),
        );
        // The one address within the stylesheet.
        let style = STYLE.replace("url(inter.woff2)", &format!("url({})", face.path));
        Self {
            style: Asset::new(
                ("watchfire", "css"),
                "text/css; charset=utf-8",
                Bytes::from(style),
            ),
            script: Asset::new(
                ("watchfire", "js"),
                "text/javascript; charset=utf-8",
                Bytes::from_static(include_bytes!("../assets/watchfire.js")),
            ),
            icon: Asset::new(
                ("icon", "svg"),
                "image/svg+xml",
                Bytes::from_static(include_bytes!("../assets/icon.svg")),
            ),
            logo: logo
                .map(|logo| Asset::new(("logo", logo.extension), logo.kind, logo.content.clone())),
            face,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Asset> {
        let embedded = [&self.style, &self.script, &self.icon, &self.face];
        embedded.into_iter().chain(&self.logo)
    }
}

impl Asset {
    fn new((name, extension): (&str, &str), kind: &'static str, content: Bytes) -> Self {
        let mut hash = BASE64.encode(digest(&SHA256, &content));
        hash.truncate(HASH_DIGITS);
        let tag = HeaderValue::try_from(format!("\"{hash}\"")).expect("base64 is visible ASCII");
        Self {
            path: format!("/assets/{name}-{hash}.{extension}"),
            tag,
            kind: HeaderValue::from_static(kind),
            content,
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let lasting = [
            (header::ETAG, self.tag.clone()),
            (header::CACHE_CONTROL, FOR_EVER),
        ];
        if headers.get(header::IF_NONE_MATCH) == Some(&self.tag) {
            return (StatusCode::NOT_MODIFIED, lasting).into_response();
        }
        let kind = [(header::CONTENT_TYPE, self.kind.clone())];
        (lasting, kind, Body::from(self.content.clone())).into_response()
    }
}

pub(crate) async fn serve(
    State(state): State<DashboardState>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let path = format!("/assets/{name}");
    let found = state.assets().all().find(|asset| asset.path == path);
    match found {
        Some(asset) => asset.answer(&headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
