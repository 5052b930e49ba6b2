//! The typed result of an attempt. It is not an error: refusing, hanging and hanging up are what
//! receivers do, and every decision is made on these variants, never on a text.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The result of one attempt; exactly one per attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// The answer meets the contract's success rule.
    Accepted { status: u16 },
    /// An answer came and does not meet it.
    Refused {
        status: u16,
        /// What the receiver's `Retry-After` asked for, already bounded.
        retry_after: Option<Duration>,
    },
    /// The deadline over the whole attempt passed in this phase.
    TimedOut { phase: Phase },
    /// No answer, because of this.
    Unreachable { cause: Cause },
    /// We refused to send, because of where the URL leads.
    Blocked { verdict: Verdict },
    /// The head of the answer was larger than we read.
    Oversize,
    /// The answer was not HTTP.
    Malformed,
    /// No request was made: the delivery was settled without one.
    Skipped { reason: SkipReason },
}

/// Where an attempt was when its deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Resolve,
    Connect,
    Tls,
    Send,
    /// Waiting for the head of the answer.
    FirstByte,
    Body,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The name has no address.
    NameNotFound,
    /// The name server did not answer, or failed.
    NameServerFailed,
    ConnectionRefused,
    /// The network or host can't be reached.
    HostUnreachable,
    /// The peer reset or closed the connection before its answer was complete.
    ConnectionClosed,
    /// A kept-alive connection turned out to be closed before any byte of an answer.
    StaleConnection,
    /// The certificate is for another name.
    TlsNameMismatch,
    TlsCertificateExpired,
    /// The certificate was signed by an authority that is not trusted.
    TlsUnknownIssuer,
    /// Any other fault of the certificate.
    TlsCertificateInvalid,
    /// No protocol version or cipher suite in common.
    TlsNoCommonCipher,
    /// Any other failure of the handshake.
    TlsHandshake,
    /// The URL can't be requested at all.
    InvalidUrl,
    /// Another input or output fault.
    Other,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Loopback,
    Private,
    LinkLocal,
    SharedCarrier,
    Metadata,
    Multicast,
    Documentation,
    Benchmarking,
    Reserved,
    Unspecified,
    /// IPv4-mapped, -compatible or -translated, NAT64, 6to4, Teredo, ISATAP.
    Transition,
    UniqueLocal,
    SiteLocal,
    /// Not global unicast.
    Unallocated,
    /// A name that only means something inside a network, such as `localhost`.
    InternalName,
    Port,
    /// The server itself.
    OwnAddress,
    /// The contract asks for https.
    InsecureScheme,
}

/// Why a delivery was settled without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    EndpointDisabled,
    EndpointDeleted,
    EndpointSuspended,
    /// The endpoint no longer subscribes to the message's event type or channel.
    Unsubscribed,
    PayloadExpired,
    /// The payload can't be rendered in the endpoint's contract: our fault, never the endpoint's.
    RenderFailed,
    /// A person cancelled it.
    Cancelled,
    /// A person skipped it, so that later messages about its record go on.
    ByOperator,
}

impl Outcome {
    /// The status of the answer, where one came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Accepted { status } | Self::Refused { status, .. } => Some(*status),
            Self::TimedOut { .. }
            | Self::Unreachable { .. }
            | Self::Blocked { .. }
            | Self::Oversize
            | Self::Malformed
            | Self::Skipped { .. } => None,
        }
    }

    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

/// Which answers count as success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuccessRule {
    /// 200 to 299.
    #[default]
    #[serde(rename = "2xx")]
    Success2xx,
    /// Anything below 400.
    Below400,
    /// Any answer at all.
    AnyResponse,
}

impl SuccessRule {
    pub fn accepts(self, status: u16) -> bool {
        match self {
            Self::Success2xx => (200..300).contains(&status),
            Self::Below400 => status < 400,
            Self::AnyResponse => true,
        }
    }

    /// The outcome of an answer with this status.
    pub fn judge(self, status: u16, retry_after: Option<Duration>) -> Outcome {
        if self.accepts(status) {
            Outcome::Accepted { status }
        } else {
            Outcome::Refused {
                status,
                retry_after,
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { status } => write!(f, "accepted with status {status}"),
            Self::Refused { status, .. } => write!(f, "refused with status {status}"),
            Self::TimedOut { phase } => write!(f, "timed out while {phase}"),
            Self::Unreachable { cause } => write!(f, "unreachable: {cause}"),
            Self::Blocked { verdict } => write!(f, "blocked: {verdict}"),
            Self::Oversize => f.write_str("the head of the answer was too large"),
            Self::Malformed => f.write_str("the answer was not valid HTTP"),
            Self::Skipped { reason } => write!(f, "skipped: {reason}"),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Tls => "setting up TLS",
            Self::Send => "sending the request",
            Self::FirstByte => "waiting for the answer",
            Self::Body => "reading the answer",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameNotFound => "the name has no address",
            Self::NameServerFailed => "the name server failed",
            Self::ConnectionRefused => "the connection was refused",
            Self::HostUnreachable => "the host or its network can't be reached",
            Self::ConnectionClosed => "the connection was closed before the answer was complete",
            Self::StaleConnection => "a kept-alive connection had been closed by the receiver",
            Self::TlsNameMismatch => "the certificate is for another name",
            Self::TlsCertificateExpired => "the certificate has expired or is not valid yet",
            Self::TlsUnknownIssuer => "the certificate's issuer is not trusted",
            Self::TlsCertificateInvalid => "the certificate is not valid",
            Self::TlsNoCommonCipher => "no TLS version or cipher suite in common",
            Self::TlsHandshake => "the TLS handshake failed",
            Self::InvalidUrl => "the URL can't be requested",
            Self::Other => "the connection failed",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "the address is a loopback address",
            Self::Private => "the address is in a private network",
            Self::LinkLocal => "the address is link-local",
            Self::SharedCarrier => "the address is in the carrier-grade NAT range",
            Self::Metadata => "the address belongs to a cloud metadata service",
            Self::Multicast => "the address is a multicast address",
            Self::Documentation => "the address is reserved for documentation",
            Self::Benchmarking => "the address is reserved for benchmarks",
            Self::Reserved => "the address is reserved",
            Self::Unspecified => "the address is unspecified",
            Self::Transition => "the address embeds another one (mapped, NAT64, 6to4 or Teredo)",
            Self::UniqueLocal => "the address is a unique local address",
            Self::SiteLocal => "the address is site-local",
            Self::Unallocated => "the address is not public unicast",
            Self::InternalName => "the host name is internal",
            Self::Port => "the port is not allowed",
            Self::OwnAddress => "the address is the server's own",
            Self::InsecureScheme => "the contract allows https only",
        })
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointDisabled => "the endpoint is disabled",
            Self::EndpointDeleted => "the endpoint was deleted",
            Self::EndpointSuspended => "the endpoint is suspended",
            Self::Unsubscribed => "the endpoint no longer subscribes to it",
            Self::PayloadExpired => "the payload was removed",
            Self::RenderFailed => "the payload can't be rendered in the endpoint's contract",
            Self::Cancelled => "a person cancelled it",
            Self::ByOperator => "a person skipped it, so that its record goes on",
        })
    }
}
