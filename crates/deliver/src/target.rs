//! An endpoint's URL, parsed once and kept in the parts every attempt needs.
//!
//! Problem: parsers disagree. `2130706433`, `0x7f.1` and `127.1` are 127.0.0.1 to some and a name
//! to others, and text that one parser strips is a host to the next.
//! Idea: one parser (WHATWG, the `url` crate) decides, its serialized form is the only one used
//! from then on, and a URL whose host is *written* differently from what it *means* is refused
//! with the meaning shown, so that nobody is surprised by where requests go.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;
use url::{Position, Url};
use watchfire_domain::limit;
use watchfire_domain::outcome::Verdict;

/// Where a request goes. Its path may hold a token, so `Debug` shows the origin only.
pub struct Target {
    url: String,
    host: Host,
    port: u16,
    origin: Origin,
    request_uri: Uri,
    host_field: HeaderValue,
    server_name: ServerName<'static>,
}

/// Scheme, host and port: what a kept-alive connection can be used for again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    /// `host:port`, the port always written.
    authority: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

/// The host of a URL, normalized.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// Lower-case ASCII, without a trailing dot.
    Name(Box<str>),
    Address(IpAddr),
}

/// Why a URL can't be an endpoint's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    #[error("a URL has at most {chars_max} characters")]
    TooLong { chars_max: usize },
    #[error("a URL can't contain {found:?}")]
    Character { found: char },
    #[error("only http and https URLs can be called")]
    Scheme,
    #[error("the URL must look like https://example.com/path")]
    Syntax,
    #[error("a URL can't contain a user name or password; use the endpoint's authentication")]
    Userinfo,
    #[error("a URL can't contain a fragment, it is never sent")]
    Fragment,
    #[error("the host is not a valid name or address")]
    Host,
    /// The host is spelled in a way that programs read differently.
    #[error("the host {typed:?} means {means:?}; write it that way")]
    HostMeans { typed: String, means: String },
    #[error("the URL leads where requests are not allowed to go: {verdict}")]
    Blocked { verdict: Verdict },
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Target {
    /// Reads a URL, without asking any policy about it; see [`crate::Policy::check_url`].
    pub fn parse(text: &str) -> Result<Self, UrlFault> {
        let typed = typed_host(text)?;
        let mut url = Url::parse(text).map_err(|_| UrlFault::Syntax)?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(UrlFault::Scheme),
        };
        if url.fragment().is_some() {
            return Err(UrlFault::Fragment);
        }
        let means = url.host_str().ok_or(UrlFault::Host)?;
        if !typed.eq_ignore_ascii_case(means) {
            return Err(UrlFault::HostMeans {
                typed: typed.to_owned(),
                means: means.to_owned(),
            });
        }
        let host = drop_trailing_dot(&mut url)?;
        Self::assemble(&url, scheme, host)
    }

    fn assemble(url: &Url, scheme: Scheme, host: Host) -> Result<Self, UrlFault> {
        let port = url.port_or_known_default().ok_or(UrlFault::Syntax)?;
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let path = PathAndQuery::try_from(path).map_err(|_| UrlFault::Syntax)?;
        let server_name = match &host {
            Host::Name(name) => ServerName::try_from(name.to_string()),
            Host::Address(ip) => Ok(ServerName::from(*ip)),
        };
        //= https://www.rfc-editor.org/rfc/rfc9110#section-4.2.3
        //# If the port is equal to the default port for a scheme, the normal form is to omit the
        //# port subcomponent.
        let host_field = match url.port() {
            None => host.to_string(),
            Some(port) => format!("{host}:{port}"),
        };
        Ok(Self {
            url: url.as_str().to_owned(),
            port,
            origin: Origin {
                scheme,
                authority: format!("{host}:{port}").into(),
            },
            request_uri: Uri::from(path),
            host_field: HeaderValue::try_from(host_field).map_err(|_| UrlFault::Host)?,
            server_name: server_name.map_err(|_| UrlFault::Host)?,
            host,
        })
    }

    /// The serialized form: what is stored, shown and parsed again.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn scheme(&self) -> Scheme {
        self.origin.scheme
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Path and query, in origin form.
    pub(crate) fn request_uri(&self) -> &Uri {
        &self.request_uri
    }

    /// The value of the `Host` field.
    pub(crate) fn host_field(&self) -> &HeaderValue {
        &self.host_field
    }

    /// The name the certificate must be for, and the SNI: never the address that was dialled.
    pub(crate) fn server_name(&self) -> &ServerName<'static> {
        &self.server_name
    }
}

/// Takes one trailing dot off a name: `example.com.` and `example.com` are the same host, and a
/// deny-list that sees two can be passed by.
fn drop_trailing_dot(url: &mut Url) -> Result<Host, UrlFault> {
    let name = match url.host().ok_or(UrlFault::Host)? {
        url::Host::Ipv4(ip) => return Ok(Host::Address(ip.into())),
        url::Host::Ipv6(ip) => return Ok(Host::Address(ip.into())),
        url::Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_owned(),
    };
    if name.split('.').any(str::is_empty) {
        return Err(UrlFault::Host);
    }
    url.set_host(Some(&name)).map_err(|_| UrlFault::Host)?;
    Ok(Host::Name(name.into()))
}

/// The host as it was typed. Whatever the `url` crate would strip, turn round or read into the
/// text is refused here, before it does.
fn typed_host(text: &str) -> Result<&str, UrlFault> {
    if text.chars().nth(limit::URL_CHARS_MAX).is_some() {
        return Err(UrlFault::TooLong {
            chars_max: limit::URL_CHARS_MAX,
        });
    }
    let stray = |c: &char| c.is_control() || c.is_whitespace() || *c == '\\';
    if let Some(found) = text.chars().find(stray) {
        return Err(UrlFault::Character { found });
    }
    let (scheme, rest) = text.split_once(':').ok_or(UrlFault::Syntax)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(UrlFault::Scheme);
    }
    let rest = rest.strip_prefix("//").ok_or(UrlFault::Syntax)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return Err(UrlFault::Userinfo);
    }
    if authority.is_empty() {
        return Err(UrlFault::Host);
    }
    Ok(without_port(authority))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) | None => authority,
    }
}

impl fmt::Display for Host {
    /// As in a URL: IPv6 addresses in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}/…)", self.origin)
    }
}

#[cfg(test)]
mod tests;
