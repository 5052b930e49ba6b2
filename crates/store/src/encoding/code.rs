//! The numbers that stand for our enums in the database. A number never changes its meaning; new
//! variants take new numbers.

use watchfire_domain::attempt::{Settlement, Trigger};
use watchfire_domain::message::Urgency;
use watchfire_domain::notice::NoticeKind;
use watchfire_domain::outcome::{Cause, Phase, SkipReason, Verdict};

use crate::{OwedReason, TaskFailure, TaskKind};

/// A value that is stored as a number.
pub trait Code: Sized {
    fn code(self) -> i64;
    fn from_code(code: i64) -> Option<Self>;
}

/// A number that stands for nothing this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a value this version knows")]
pub struct UnknownCode(pub i64);

macro_rules! codes {
    ($($type:ident { $($variant:ident = $code:literal),+ $(,)? })+) => {$(
        impl Code for $type {
            fn code(self) -> i64 {
                match self { $(Self::$variant => $code),+ }
            }

            fn from_code(code: i64) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    )+};
}

codes! {
    Trigger { Scheduled = 0, Manual = 1, Probe = 2 }
    Settlement { Delivered = 0, Exhausted = 1, Skipped = 2, Cancelled = 3 }
    NoticeKind {
        EndpointCreated = 0,
        EndpointUpdated = 1,
        EndpointDeleted = 2,
        EndpointDisabled = 3,
        EndpointSuspended = 4,
        EndpointFailing = 5,
        EndpointRecovered = 6,
        AttemptFailing = 7,
        AttemptExhausted = 8,
        AttemptRecovered = 9,
    }
    Urgency { Ordinary = 0, Urgent = 1 }
    OwedReason { Retry = 0, Turn = 1, Spilled = 2, Held = 3, Scheduled = 4, Requested = 5 }
    TaskKind {
        Recover = 0,
        ReplayMissing = 1,
        BulkReplay = 2,
        CancelMessages = 3,
        PurgeContent = 4,
        Usage = 5,
        Subscriptions = 6,
    }
    TaskFailure { EndpointDeleted = 0, ReportTooLarge = 1 }
    Phase { Resolve = 0, Connect = 1, Tls = 2, Send = 3, FirstByte = 4, Body = 5 }
    Cause {
        NameNotFound = 0,
        NameServerFailed = 1,
        ConnectionRefused = 2,
        HostUnreachable = 3,
        ConnectionClosed = 4,
        StaleConnection = 5,
        TlsNameMismatch = 6,
        TlsCertificateExpired = 7,
        TlsUnknownIssuer = 8,
        TlsCertificateInvalid = 9,
        TlsNoCommonCipher = 10,
        TlsHandshake = 11,
        InvalidUrl = 12,
        Other = 13,
    }
    Verdict {
        Loopback = 0,
        Private = 1,
        LinkLocal = 2,
        SharedCarrier = 3,
        Metadata = 4,
        Multicast = 5,
        Documentation = 6,
        Benchmarking = 7,
        Reserved = 8,
        Unspecified = 9,
        Transition = 10,
        UniqueLocal = 11,
        SiteLocal = 12,
        Unallocated = 13,
        InternalName = 14,
        Port = 15,
        OwnAddress = 16,
        InsecureScheme = 17,
    }
    SkipReason {
        EndpointDisabled = 0,
        EndpointDeleted = 1,
        EndpointSuspended = 2,
        Unsubscribed = 3,
        PayloadExpired = 4,
        RenderFailed = 5,
        Cancelled = 6,
        ByOperator = 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<C: Code + Copy + PartialEq + std::fmt::Debug>(count: i64) {
        for code in 0..count {
            let value = C::from_code(code).expect("codes are dense");
            assert_eq!(value.code(), code);
        }
        assert_eq!(C::from_code(count), None, "the test knows all variants");
        assert_eq!(C::from_code(-1), None);
    }

    #[test]
    fn every_number_stands_for_one_variant() {
        check::<Trigger>(3);
        check::<Settlement>(4);
        check::<Urgency>(2);
        check::<OwedReason>(6);
        check::<TaskKind>(7);
        check::<TaskFailure>(2);
        check::<Phase>(6);
        check::<Cause>(14);
        check::<Verdict>(18);
        check::<SkipReason>(8);
    }
}
