//! Whose pages these are: ours, or the operator's portal for customers, with its name and logo.

use std::fmt;

use bytes::Bytes;
use maud::{Markup, html};
use watchfire_domain::limit;

use super::icon::mark;
use crate::state::DashboardState;

/// An image at the head of the portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    pub(crate) extension: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) content: Bytes,
}

/// Why a file is no logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidLogo {
    /// Larger than [`limit::PORTAL_LOGO_BYTES_MAX`].
    TooLarge,
    /// No image that browsers show.
    Unknown,
}

impl fmt::Display for InvalidLogo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "it has more than {} bytes", limit::PORTAL_LOGO_BYTES_MAX),
            Self::Unknown => f.write_str("it is no SVG, PNG, JPEG or WebP image"),
        }
    }
}

impl std::error::Error for InvalidLogo {}

impl Logo {
    /// Takes a file's content; what it is, is told by how it begins.
    ///
    /// # Errors
    ///
    /// [`InvalidLogo`] if no page could show it.
    pub fn read(content: Bytes) -> Result<Self, InvalidLogo> {
        if content.len() > limit::PORTAL_LOGO_BYTES_MAX {
            return Err(InvalidLogo::TooLarge);
        }
        let text = std::str::from_utf8(&content).unwrap_or_default();
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let is_svg = text.starts_with('<') && text.contains("<svg");
        let (extension, kind) = match &content[..] {
            [0x89, b'P', b'N', b'G', ..] => ("png", "image/png"),
            [0xff, 0xd8, 0xff, ..] => ("jpg", "image/jpeg"),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => ("webp", "image/webp"),
            _ if is_svg => ("svg", "image/svg+xml"),
            _ => return Err(InvalidLogo::Unknown),
        };
        Ok(Self {
            extension,
            kind,
            content,
        })
    }
}

/// Whose name a page bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brand {
    Dashboard,
    Portal,
}

impl Brand {
    pub(crate) fn name(self, state: &DashboardState) -> &str {
        match self {
            Self::Dashboard => "Watchfire",
            Self::Portal => state.portal_look().title.as_deref().unwrap_or("Webhooks"),
        }
    }

    /// The mark and the name; a logo stands for both.
    pub(crate) fn show(self, state: &DashboardState) -> Markup {
        let name = self.name(state);
        let logo = state.assets().logo.as_ref();
        html! {
            @match (self, logo) {
                (Self::Dashboard, _) => { (mark()) span { (name) } }
                (Self::Portal, Some(logo)) => { img.logo src=(logo.path) alt=(name); }
                (Self::Portal, None) => { span { (name) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_told_by_how_it_begins() {
        let kind = |content: &'static [u8]| {
            let read = Logo::read(Bytes::from_static(content));
            read.map(|logo| logo.kind)
        };
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n"), Ok("image/png"));
        assert_eq!(kind(b"\xff\xd8\xff\xe0"), Ok("image/jpeg"));
        assert_eq!(kind(b"RIFF\0\0\0\0WEBPVP8 "), Ok("image/webp"));
        assert_eq!(kind(b"<svg xmlns='x'/>"), Ok("image/svg+xml"));
        assert_eq!(kind(b"\n<?xml version='1.0'?><svg/>"), Ok("image/svg+xml"));
        for other in [&b""[..], b"GIF89a", b"<html></html>", b"svg <svg"] {
            assert_eq!(kind(other), Err(InvalidLogo::Unknown), "{other:?}");
        }
    }

    #[test]
    fn a_logo_has_a_largest_size() {
        let svg = |size| {
            let mut content = b"<svg/>".to_vec();
            content.resize(size, b' ');
            Logo::read(Bytes::from(content)).map(|logo| logo.content.len())
        };
        let most = limit::PORTAL_LOGO_BYTES_MAX;
        assert_eq!(svg(most), Ok(most));
        assert_eq!(svg(most + 1), Err(InvalidLogo::TooLarge));
    }
}
