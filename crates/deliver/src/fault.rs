//! Causes behind the errors of sockets and of the HTTP library; never by their text.

use std::error::Error;
use std::io;

use watchfire_domain::outcome::Cause;

use crate::report::Failure;
use crate::tls;

/// What the system answers when it has no file or memory left for a connection of ours: ENFILE,
/// EMFILE, ENOMEM and ENOBUFS. The standard library has no names for them.
const EXHAUSTED: [i32; 4] = [23, 24, 12, 105];

/// Why a TCP connect failed.
pub(crate) fn connect_failure(error: &io::Error) -> Failure {
    let code = error.raw_os_error();
    if code.is_some_and(|code| EXHAUSTED.contains(&code)) {
        return Failure::Exhausted;
    }
    connect_cause(error).into()
}

fn connect_cause(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::ConnectionRefused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            Cause::ConnectionClosed
        }
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        // A firewall on this host, or the kernel that gave up.
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::TimedOut => Cause::HostUnreachable,
        _ => Cause::Other,
    }
}

/// The failure behind an error between the first byte sent and the last byte read.
pub(crate) fn exchange_failure(error: &hyper::Error) -> Failure {
    if error.is_parse_too_large() {
        return Failure::Oversize;
    }
    if error.is_parse() {
        return Failure::Malformed;
    }
    match io_source(error) {
        Some(error) => io_failure(error),
        // Hung up in the middle, before the request was taken, or with bytes nobody asked for.
        None => Cause::ConnectionClosed.into(),
    }
}

/// Whether the stream ended where TLS did not say it would.
pub(crate) fn is_unannounced_end(error: &hyper::Error) -> bool {
    io_source(error).is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

fn io_failure(error: &io::Error) -> Failure {
    if let Some(cause) = tls::cause_of(error) {
        return cause.into();
    }
    match error.kind() {
        // How the HTTP library says that chunks don't parse.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Failure::Malformed,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::WriteZero => Cause::ConnectionClosed.into(),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::TimedOut => Cause::HostUnreachable.into(),
        _ => Cause::Other.into(),
    }
}

fn io_source(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error);
        }
        source = error.source();
    }
    None
}
