//! Short keys a back end gives to rows. They never leave the server; ids do.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! key_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

key_type!(
    /// The key of an application's row.
    AppKey
);
key_type!(
    /// The key of an endpoint's row; unique over all applications, never reused.
    EndpointKey
);
key_type!(
    /// A message's place in the ledger: rises with every accepted message.
    Seq
);
key_type!(
    /// Says which claim of an owed delivery a result belongs to. Each claim draws a larger one.
    FenceToken
);

/// The name of a running server process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub String);
