//! What shapes the requests to a destination, written down, so that a request can be made again
//! after the endpoint or the contract has changed.
//!
//! A request is made of a message, the time of the attempt, a signature, and this: method, header
//! fields and what stands around the payload, with everything filled in that the contract, the
//! product's instance and the endpoint say. Values that are secrets are not part of it, only their
//! fingerprints: another secret makes another recipe, and no recipe gives one away.

use http::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::prepare::{Prepared, contract_value, has_capitals};
use super::{RenderError, SignatureHeaders};
use crate::header::parse_name;
use crate::text::Text;

/// Of the way in which requests are made of a recipe. Another way, say another order of the header
/// fields, needs another number, and the old way stays for the old one.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipe {
    version: u8,
    method: String,
    content_type: String,
    /// In their order.
    headers: Vec<Header>,
    body: Body,
    signature_headers: SignatureHeaders,
}

/// A header, its name as it was written.
#[derive(Serialize, Deserialize)]
struct Header {
    name: String,
    #[serde(flatten)]
    value: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Value {
    Text(Text),
    /// The fingerprint of a value that is not kept.
    Secret(String),
}

/// A text that is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecipe {
    #[error("it is not written as one")]
    Json(#[from] serde_json::Error),
    #[error("it is of version {0}, this server knows {VERSION}")]
    Version(u8),
    #[error("its method {0:?} is none")]
    Method(String),
    #[error(transparent)]
    Header(#[from] RenderError),
}

impl Prepared {
    /// Writes down how requests are made. `fingerprint` is asked for a short text that tells one
    /// secret value from another and nothing about either.
    pub fn recipe(&self, fingerprint: impl Fn(&HeaderValue) -> String) -> String {
        let fixed = self.fixed.iter().map(|(name, value)| {
            let text = value.to_str().ok().filter(|_| !value.is_sensitive());
            let value = text.map_or_else(
                || Value::Secret(fingerprint(value)),
                |text| Value::Text(Text::literal(text)),
            );
            (name, value)
        });
        let varying = self.varying.iter();
        let varying = varying.map(|(name, text)| (name, Value::Text(text.clone())));
        let header = |(name, value): (&HeaderName, Value)| Header {
            name: self.name_as_written(name).to_owned(),
            value,
        };
        let recipe = Recipe {
            version: VERSION,
            method: self.method.to_string(),
            content_type: String::from_utf8_lossy(self.content_type.as_bytes()).into_owned(),
            headers: fixed.chain(varying).map(header).collect(),
            body: self.body.clone(),
            signature_headers: self.signature_headers,
        };
        serde_json::to_string(&recipe).expect("a recipe is plain data with text keys")
    }

    /// Takes up a recipe. Secret values are empty and marked sensitive, and there are no keys:
    /// it is for [`Prepared::render_again`].
    pub fn from_recipe(text: &str) -> Result<Self, InvalidRecipe> {
        let recipe: Recipe = serde_json::from_str(text)?;
        if recipe.version != VERSION {
            return Err(InvalidRecipe::Version(recipe.version));
        }
        let method = http::Method::try_from(recipe.method.as_str());
        let mut prepared = Self {
            method: method.map_err(|_| InvalidRecipe::Method(recipe.method))?,
            content_type: contract_value("content-type", &recipe.content_type)?,
            body: recipe.body,
            fixed: Vec::new(),
            varying: Vec::new(),
            spelled: Vec::new(),
            signers: Vec::new(),
            signature_headers: recipe.signature_headers,
        };
        for Header { name, value } in recipe.headers {
            prepared.add_header(&name, value)?;
            if has_capitals(&name) {
                prepared.spelled.push(name);
            }
        }
        Ok(prepared)
    }

    fn add_header(&mut self, written: &str, value: Value) -> Result<(), RenderError> {
        let name = parse_name(written)?;
        let text = match value {
            Value::Text(text) => text,
            Value::Secret(_) => {
                let mut hidden = HeaderValue::from_static("");
                hidden.set_sensitive(true);
                self.fixed.push((name, hidden));
                return Ok(());
            }
        };
        match text.as_literal() {
            Some(value) => {
                let value = contract_value(written, value)?;
                self.fixed.push((name, value));
            }
            None => self.varying.push((name, text)),
        }
        Ok(())
    }
}
