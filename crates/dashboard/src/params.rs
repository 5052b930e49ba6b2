//! Named texts: the query of an address, or the fields of a form.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use url::form_urlencoded::{self, Serializer};
use watchfire_domain::limit;

/// Named texts in their order; a name may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads what browsers send; `None` if there are too many.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let pairs = form_urlencoded::parse(bytes).into_owned();
        let fields: Vec<_> = pairs.take(limit::FORM_FIELDS_MAX + 1).collect();
        (fields.len() <= limit::FORM_FIELDS_MAX).then_some(Self(fields))
    }

    /// The first text of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| text.as_str())
    }

    /// The first text of that name without spaces around it; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default().trim()
    }

    /// The text of that name, unless it is blank.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// All texts of that name that are not blank.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named
            .map(|(_, text)| text.trim())
            .filter(|text| !text.is_empty())
    }

    /// The same texts with one replaced, or taken away if `text` is `None`.
    #[must_use]
    pub(crate) fn with(&self, name: &str, text: Option<&str>) -> Self {
        let others = self.0.iter().filter(|(known, _)| known != name).cloned();
        let new = text.map(|text| (name.to_owned(), text.to_owned()));
        Self(others.chain(new).collect())
    }

    /// As the end of an address: `?a=1&b=2`, or nothing.
    pub(crate) fn query(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut query = Serializer::new(String::new());
        query.extend_pairs(&self.0);
        format!("?{}", query.finish())
    }
}

impl<S: Sync> FromRequestParts<S> for Fields {
    type Rejection = Infallible;

    /// The query of the address; one with too many parts counts as none.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self::read(query.as_bytes()).unwrap_or_default())
    }
}

/// A text as it may stand in a query.
pub(crate) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let fields = Fields::read(b"a=1+2%26&type=x&type=&type=+y+&box").expect("few");
        assert_eq!(fields.get("a"), Some("1 2&"));
        assert_eq!(fields.all("type").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(fields.filled("box"), None);
        assert_eq!(fields.with("type", None).query(), "?a=1+2%26&box=");
        assert_eq!(Fields::default().query(), "");
    }

    #[test]
    fn too_many_fields_are_refused() {
        let fields = |count: usize| "a=1&".repeat(count);
        let max = limit::FORM_FIELDS_MAX;
        assert!(Fields::read(fields(max).as_bytes()).is_some());
        assert!(Fields::read(fields(max + 1).as_bytes()).is_none());
    }
}
