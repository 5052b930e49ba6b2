//! What of a request is the same for every message to an endpoint, made ready once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use watchfire_domain::endpoint::{self, Auth};
use watchfire_domain::secret::SecretText;
use watchfire_domain::time::Timestamp;

use super::body::Body;
use super::{Destination, Event, RenderError, Rendered, SIGNATURE, SignatureHeaders};
use crate::contract::Contract;
use crate::header::{HeaderFault, check_header, parse_name, printable, sensitive};
use crate::manifest::AuthKind;
use crate::signature::{Content, Signer, sign};
use crate::text::{Occasion, Surroundings, Text};

/// The user agent of contracts that name none.
const OUR_USER_AGENT: &str = concat!("Watchfire/", env!("CARGO_PKG_VERSION"));

const WEBHOOK: [HeaderName; 3] = [
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("webhook-timestamp"),
    SIGNATURE,
];
const SVIX: [HeaderName; 3] = [
    HeaderName::from_static("svix-id"),
    HeaderName::from_static("svix-timestamp"),
    HeaderName::from_static("svix-signature"),
];

/// A destination, ready to render messages. Made once per version of an endpoint.
#[derive(Debug)]
pub struct Prepared {
    pub(super) method: http::Method,
    pub(super) content_type: HeaderValue,
    pub(super) body: Body,
    /// Ready as they are.
    pub(super) fixed: Vec<(HeaderName, HeaderValue)>,
    /// Dependent on the message.
    pub(super) varying: Vec<(HeaderName, Text)>,
    /// Names that somebody wrote with capital letters, as they were written.
    pub(super) spelled: Vec<String>,
    pub(super) signers: Vec<DatedSigner>,
    pub(super) signature_headers: SignatureHeaders,
}

/// A signer, and when it stops if it was replaced.
#[derive(Debug)]
pub(super) struct DatedSigner {
    signer: Signer,
    expires_at: Option<Timestamp>,
}

impl Prepared {
    /// # Errors
    ///
    /// Where the contract does not allow what the endpoint asks for, which is refused when an
    /// endpoint is saved but may come about when a contract changes later.
    pub fn new(destination: Destination<'_>) -> Result<Self, RenderError> {
        let contract = destination.contract;
        let request = &contract.manifest().request;
        let instance = destination.instance.or(&contract.manifest().instance);
        let around = Surroundings {
            instance: &instance,
            settings: destination.settings,
        };
        let mut headers = Headers::default();
        headers.add_contract(contract, around)?;
        headers.add_auth(contract, &destination.secrets.auth)?;
        headers.add_custom(&destination.secrets.headers)?;
        Ok(Self {
            method: method(contract, destination.settings.method)?,
            content_type: contract_value("content-type", &request.content_type)?,
            body: Body::new(&request.body, around),
            fixed: headers.fixed,
            varying: headers.varying,
            spelled: headers.spelled,
            signers: signers(destination.secrets)?,
            signature_headers: destination.signature_headers,
        })
    }

    /// Header names that somebody wrote with capital letters. Names are case-insensitive, but not
    /// every receiver knows.
    pub fn spelled_names(&self) -> impl Iterator<Item = &str> {
        self.spelled.iter().map(String::as_str)
    }

    /// A header's name as it was written.
    pub fn name_as_written<'n>(&'n self, name: &'n HeaderName) -> &'n str {
        let written = self.spelled_names();
        let mut written = written.filter(|written| name.as_str().eq_ignore_ascii_case(written));
        written.next().unwrap_or(name.as_str())
    }

    /// The request for one message, signed for an attempt at `event.now`.
    pub fn render(&self, event: &Event<'_>) -> Result<Rendered, RenderError> {
        self.compose(event, |content| {
            let live = |dated: &&DatedSigner| dated.expires_at.is_none_or(|at| at > event.now);
            let signers = self.signers.iter().filter(live).map(|dated| &dated.signer);
            ascii(sign(signers, content))
        })
    }

    /// The request that an attempt at `event.now` made, with the signature that it carried.
    pub fn render_again(
        &self,
        event: &Event<'_>,
        signature: HeaderValue,
    ) -> Result<Rendered, RenderError> {
        self.compose(event, |_| signature)
    }

    fn compose(
        &self,
        event: &Event<'_>,
        signature: impl FnOnce(Content<'_>) -> HeaderValue,
    ) -> Result<Rendered, RenderError> {
        let occasion = Occasion {
            message_id: event.message_id,
            event_type: event.event_type,
        };
        let (body, content_type) = match event.raw_body {
            Some(raw) => (
                Bytes::copy_from_slice(raw.body.as_bytes()),
                self.raw_content_type(raw.content_type.as_deref())?,
            ),
            None => (
                self.body.render(occasion, event.payload),
                self.content_type.clone(),
            ),
        };
        let mut headers = Vec::with_capacity(self.fixed.len() + self.varying.len() + 7);
        headers.extend_from_slice(&self.fixed);
        for (name, text) in &self.varying {
            let mut value = String::new();
            text.write(occasion, &mut value);
            headers.push((name.clone(), contract_value(name.as_str(), &value)?));
        }
        headers.push((CONTENT_TYPE, content_type));
        self.add_signature(event, &body, signature, &mut headers);
        Ok(Rendered {
            method: self.method.clone(),
            headers,
            body,
        })
    }

    fn raw_content_type(&self, given: Option<&str>) -> Result<HeaderValue, RenderError> {
        match given {
            Some(text) => printable(text).ok_or(RenderError::ContentType),
            None => Ok(self.content_type.clone()),
        }
    }

    fn add_signature(
        &self,
        event: &Event<'_>,
        body: &Bytes,
        signature: impl FnOnce(Content<'_>) -> HeaderValue,
        headers: &mut Vec<(HeaderName, HeaderValue)>,
    ) {
        let id = event.message_id.to_string();
        let timestamp = event.now.unix_seconds().to_string();
        let signature = signature(Content {
            id: &id,
            timestamp: &timestamp,
            body,
        });
        let values = [ascii(id), ascii(timestamp), signature];
        if self.signature_headers == SignatureHeaders::WebhookAndSvix {
            headers.extend(SVIX.into_iter().zip(values.clone()));
        }
        headers.extend(WEBHOOK.into_iter().zip(values));
    }
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("ids, digits and base64 are printable ASCII")
}

/// Header fields as they are collected.
#[derive(Default)]
struct Headers {
    fixed: Vec<(HeaderName, HeaderValue)>,
    varying: Vec<(HeaderName, Text)>,
    spelled: Vec<String>,
}

impl Headers {
    fn add_contract(
        &mut self,
        contract: &Contract,
        around: Surroundings<'_>,
    ) -> Result<(), RenderError> {
        let request = &contract.manifest().request;
        match &request.user_agent {
            Some(text) => self.add_text(USER_AGENT, text, around)?,
            None => self
                .fixed
                .push((USER_AGENT, HeaderValue::from_static(OUR_USER_AGENT))),
        }
        for header in &request.headers {
            self.note_spelling(&header.name);
            self.add_text(parse_name(&header.name)?, &header.value, around)?;
        }
        Ok(())
    }

    fn add_text(
        &mut self,
        name: HeaderName,
        text: &Text,
        around: Surroundings<'_>,
    ) -> Result<(), RenderError> {
        let Some(text) = text.settle(around) else {
            return Ok(());
        };
        match text.as_literal() {
            Some(value) => {
                let value = contract_value(name.as_str(), value)?;
                self.fixed.push((name, value));
            }
            None => self.varying.push((name, text)),
        }
        Ok(())
    }

    fn add_auth(&mut self, contract: &Contract, auth: &Auth) -> Result<(), RenderError> {
        let kind = AuthKind::of(auth);
        if kind != AuthKind::None && !contract.manifest().endpoint.auth.contains(&kind) {
            return Err(RenderError::Auth(kind));
        }
        if let Auth::Header { name, .. } = auth {
            self.note_spelling(name);
        }
        if let Some((name, value)) = auth_header(auth)? {
            if self.has(&name) {
                let name = name.to_string();
                return Err(HeaderFault::Reserved { name }.into());
            }
            self.fixed.push((name, value));
        }
        Ok(())
    }

    /// Custom headers come last and never replace what the contract or the authentication says.
    fn add_custom(&mut self, headers: &[(String, SecretText)]) -> Result<(), RenderError> {
        for (name, value) in headers {
            self.note_spelling(name);
            let (name, value) = check_header(name, value.expose())?;
            if !self.has(&name) {
                self.fixed.push((name, value));
            }
        }
        Ok(())
    }

    fn note_spelling(&mut self, name: &str) {
        if has_capitals(name) {
            self.spelled.push(name.to_owned());
        }
    }

    fn has(&self, name: &HeaderName) -> bool {
        self.fixed.iter().any(|(taken, _)| taken == name)
            || self.varying.iter().any(|(taken, _)| taken == name)
    }
}

pub(super) fn has_capitals(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The header that tells the receiver who is calling; none for an empty token.
fn auth_header(auth: &Auth) -> Result<Option<(HeaderName, HeaderValue)>, RenderError> {
    let value = |text: &str| sensitive(text).ok_or(RenderError::Credentials);
    Ok(Some(match auth {
        Auth::None => return Ok(None),
        Auth::Bearer { token } if token.expose().is_empty() => return Ok(None),
        Auth::Bearer { token } => {
            let text = zeroizing(format!("Bearer {}", token.expose()));
            (AUTHORIZATION, value(text.expose())?)
        }
        Auth::Basic { username, password } => {
            //= https://www.rfc-editor.org/rfc/rfc7617#section-2
            //# a user-id containing a colon character is invalid
            if username.contains(':') {
                return Err(RenderError::Credentials);
            }
            let pair = zeroizing(format!("{username}:{}", password.expose()));
            let text = zeroizing(format!("Basic {}", BASE64.encode(pair.expose())));
            (AUTHORIZATION, value(text.expose())?)
        }
        Auth::Header { name, value } => check_header(name, value.expose())?,
    }))
}

/// A secret text is cleared from memory when it is dropped.
fn zeroizing(text: String) -> SecretText {
    SecretText::new(text)
}

fn method(
    contract: &Contract,
    chosen: Option<endpoint::Method>,
) -> Result<http::Method, RenderError> {
    let request = &contract.manifest().request;
    let method = chosen.unwrap_or(request.method);
    if method != request.method && !request.methods.contains(&method) {
        return Err(RenderError::Method(method.as_str()));
    }
    Ok(match method {
        endpoint::Method::Post => http::Method::POST,
        endpoint::Method::Put => http::Method::PUT,
        endpoint::Method::Patch => http::Method::PATCH,
        endpoint::Method::Get => http::Method::GET,
    })
}

pub(super) fn contract_value(name: &str, text: &str) -> Result<HeaderValue, RenderError> {
    printable(text).ok_or_else(|| RenderError::ContractHeader {
        name: name.to_owned(),
    })
}

fn signers(secrets: &endpoint::Secrets) -> Result<Vec<DatedSigner>, RenderError> {
    let dated = |key, expires_at| {
        Ok(DatedSigner {
            signer: Signer::new(key)?,
            expires_at,
        })
    };
    let old = secrets
        .old_keys
        .iter()
        .map(|old| dated(&old.key, Some(old.expires_at)));
    std::iter::once(dated(&secrets.key, None))
        .chain(old)
        .collect()
}
