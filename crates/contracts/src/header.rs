//! Which header fields an endpoint's owner may add.

use http::header::{HeaderName, HeaderValue};
use watchfire_domain::limit;
use watchfire_domain::secret::SecretText;

/// Names that belong to the connection, to the body's form, to caches and proxies, or to us.
const FORBIDDEN: &[&str] = &[
    "age",
    "cache-control",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-type",
    "expect",
    "expires",
    "forwarded",
    "host",
    "keep-alive",
    "pragma",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "warning",
];

/// Name spaces of proxies, of clouds that trust their own headers, and of the signature.
const FORBIDDEN_PREFIXES: &[&str] = &[
    "proxy-",
    "svix-",
    "webhook-",
    "x-amz-",
    "x-amzn-",
    "x-azure-",
    "x-fd-",
    "x-forwarded-",
    "x-gfe",
    "x-goog-",
    "x-google",
    "x-svix-",
];

/// Why a header can't be added to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    #[error("{name:?} is not a header name: letters, digits and !#$%&'*+-.^_`|~ only")]
    Name { name: String },
    #[error("the header {name:?} is set by the server or reserved and can't be overridden")]
    Reserved { name: String },
    #[error("the value of header {name:?} may hold only printable ASCII, without line breaks")]
    Value { name: String },
    #[error(
        "the value of header {name:?} has more than {max} characters",
        max = limit::HEADER_VALUE_CHARS_MAX
    )]
    ValueLength { name: String },
    #[error("the header {name:?} is given twice")]
    Repeated { name: String },
    #[error("at most {max} headers are allowed", max = limit::HEADERS_PER_ENDPOINT_MAX)]
    TooMany,
    #[error("all headers together have more than {max} bytes", max = limit::HEADERS_BYTES_MAX)]
    TooLarge,
}

/// Checks one custom header; the value it returns is marked sensitive.
pub fn check_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HeaderFault> {
    let owned = || name.to_owned();
    let parsed = parse_name(name)?;
    if is_reserved(parsed.as_str()) {
        return Err(HeaderFault::Reserved { name: owned() });
    }
    if value.len() > limit::HEADER_VALUE_CHARS_MAX {
        return Err(HeaderFault::ValueLength { name: owned() });
    }
    let value = sensitive(value).ok_or_else(|| HeaderFault::Value { name: owned() })?;
    Ok((parsed, value))
}

/// Checks all custom headers of an endpoint: each, their number and their size.
pub fn check_headers(headers: &[(String, SecretText)]) -> Result<(), HeaderFault> {
    if headers.len() > limit::HEADERS_PER_ENDPOINT_MAX {
        return Err(HeaderFault::TooMany);
    }
    let mut seen: Vec<HeaderName> = Vec::with_capacity(headers.len());
    let mut bytes = 0;
    for (name, value) in headers {
        let (parsed, _) = check_header(name, value.expose())?;
        if seen.contains(&parsed) {
            return Err(HeaderFault::Repeated { name: name.clone() });
        }
        seen.push(parsed);
        bytes += name.len() + value.expose().len();
    }
    if bytes > limit::HEADERS_BYTES_MAX {
        return Err(HeaderFault::TooLarge);
    }
    Ok(())
}

/// Reads a header name.
pub(crate) fn parse_name(name: &str) -> Result<HeaderName, HeaderFault> {
    HeaderName::try_from(name).map_err(|_| HeaderFault::Name {
        name: name.to_owned(),
    })
}

/// Whether a header, in lower case, is not its owner's to set.
pub(crate) fn is_reserved(name: &str) -> bool {
    FORBIDDEN.contains(&name)
        || FORBIDDEN_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// A header value, if it is printable ASCII. The `http` crate would let bytes beyond ASCII pass,
/// which receivers read in different ways.
pub(crate) fn printable(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(value)
        .ok()
        .filter(|_| value.is_ascii())
}

/// A header value that no `Debug` shows.
pub(crate) fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = printable(value)?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;
