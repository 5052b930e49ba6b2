//! What to do about an outcome, in a sentence or two.

use watchfire_domain::outcome::{Cause, Outcome, Phase, SkipReason, Verdict};

/// What somebody can do about an outcome; nothing where nothing needs to be done.
pub(crate) fn advice(outcome: &Outcome) -> Option<&'static str> {
    Some(match outcome {
        Outcome::Accepted { .. } => return None,
        Outcome::Refused { status, .. } => refused(*status),
        Outcome::TimedOut { phase } => timed_out(*phase),
        Outcome::Unreachable { cause } => unreachable(*cause),
        Outcome::Blocked { verdict } => blocked(*verdict),
        Outcome::Oversize => {
            "The head of the answer is larger than is read. Have the receiver answer with fewer \
             or shorter headers; a plain 204 is enough."
        }
        Outcome::Malformed => {
            "What answers there does not speak HTTP. Check the port, and whether the address \
             needs https instead of http."
        }
        Outcome::Skipped { reason } => skipped(*reason),
    })
}

fn refused(status: u16) -> &'static str {
    match status {
        300..400 => {
            "Redirects are not followed, because they could lead anywhere. Put the final address \
             into the endpoint."
        }
        401 | 403 => {
            "The receiver wants other credentials. Check the endpoint's authentication and custom \
             headers, and whether the receiver verifies with the present secret."
        }
        404 => "The address has no such path any more. Check the endpoint's address.",
        405 => "The receiver does not take this method. Check the endpoint's method.",
        410 => {
            "The receiver says that it is gone for good. Delete the endpoint or change its address."
        }
        413 => "The receiver takes smaller bodies only. Have it take at least 1 MiB.",
        429 => {
            "The receiver gets too much at once. Set a rate limit on the endpoint; a Retry-After \
             in its answer is respected."
        }
        400 | 415 | 422 => {
            "The receiver does not understand the request. Compare the body with what it expects; \
             its answer often says what is missing."
        }
        500..600 => {
            "The receiver failed inside. Look at its log at the time of the attempt; the message \
             is sent again by itself."
        }
        _ => "The receiver refused it. Its answer may say why.",
    }
}

fn timed_out(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "The name server did not answer in time. Check the server's resolver.",
        Phase::Connect => {
            "Nothing answers at the address. Check that the receiver runs and that its firewall \
             lets this server in."
        }
        Phase::Tls => "The receiver began TLS and did not finish. Check its load and its proxy.",
        Phase::Send => "The receiver stopped reading the request. Check its proxy's limits.",
        Phase::FirstByte | Phase::Body => {
            "The receiver takes too long. Have it accept at once, answer 2xx, and work afterwards."
        }
    }
}

fn unreachable(cause: Cause) -> &'static str {
    match cause {
        Cause::NameNotFound => "The name has no address. Check its spelling and its DNS records.",
        Cause::NameServerFailed => "The name server failed. Check the server's resolver.",
        Cause::ConnectionRefused => "Nothing listens at that port. Check that the receiver runs.",
        Cause::HostUnreachable => "There is no way to the address. Check routes and firewalls.",
        Cause::ConnectionClosed | Cause::StaleConnection => {
            "The receiver hung up before it answered. Look at its log, and at its proxy's."
        }
        Cause::TlsNameMismatch => "The certificate is for another name. Install one for this name.",
        Cause::TlsCertificateExpired => "The certificate has expired. Renew it.",
        Cause::TlsUnknownIssuer => {
            "The certificate's issuer is not trusted. Use a public one, or send the chain with it."
        }
        Cause::TlsCertificateInvalid => "The certificate is not valid. Issue it anew.",
        Cause::TlsNoCommonCipher => {
            "The receiver speaks only old TLS. Have it offer TLS 1.2 or 1.3."
        }
        Cause::TlsHandshake => "TLS could not be set up. Check that the port speaks TLS.",
        Cause::InvalidUrl => "The address can't be requested. Correct it in the endpoint.",
        Cause::Other => "The connection failed. The server's log has the details.",
    }
}

fn blocked(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Metadata => "Addresses of cloud metadata services are never sent to.",
        Verdict::OwnAddress => "The endpoint leads back to this server. Give it another address.",
        Verdict::Port => "Only some ports are allowed. Use 443, or have the operator allow it.",
        Verdict::InsecureScheme => "This contract sends over https only. Change the address.",
        Verdict::Loopback
        | Verdict::Private
        | Verdict::LinkLocal
        | Verdict::SharedCarrier
        | Verdict::Multicast
        | Verdict::Documentation
        | Verdict::Benchmarking
        | Verdict::Reserved
        | Verdict::Unspecified
        | Verdict::Transition
        | Verdict::UniqueLocal
        | Verdict::SiteLocal
        | Verdict::Unallocated
        | Verdict::InternalName => {
            "The address is inside a network and nothing is sent there. If that is meant, the \
             operator can allow its range."
        }
    }
}

fn skipped(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::EndpointDisabled => "Activate the endpoint, then recover what it missed.",
        SkipReason::EndpointSuspended => {
            "It is asked again by itself; recover what it missed then."
        }
        SkipReason::EndpointDeleted => "The endpoint was deleted. Nothing is to be done.",
        SkipReason::Unsubscribed => "The endpoint does not ask for it any more.",
        SkipReason::PayloadExpired => "Its retention has passed; there is nothing left to send.",
        SkipReason::RenderFailed => {
            "The contract can't put this payload into a request. The server's log says why."
        }
        SkipReason::ByOperator => {
            "A person skipped it so that its record goes on. Send it again if it is still wanted."
        }
        SkipReason::Cancelled => "A person cancelled it. Send it again if that was a mistake.",
    }
}
