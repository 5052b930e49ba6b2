//! The files contracts are made of, as text.

use std::borrow::Cow;

/// One file of a contract's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Begins with the contract's name, with `/` between parts: `dfend/contract.toml`.
    pub path: Cow<'static, str>,
    pub text: Cow<'static, str>,
}

impl Source {
    pub fn new(path: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    /// The contract's name and the path inside its folder.
    pub(crate) fn split(&self) -> Option<(&str, &str)> {
        self.path.split_once('/')
    }
}

const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The files of the contracts that are part of the binary.
pub fn embedded() -> impl Iterator<Item = Source> {
    EMBEDDED
        .iter()
        .map(|(path, text)| Source::new(*path, *text))
}
