//! What a credential may do: a set of scopes.

use std::fmt;
use std::str::FromStr;

/// One thing a credential may be allowed to do. Scopes do not include each other, except
/// [`Scope::Admin`], which stands for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Send messages.
    EventsWrite,
    /// Read everything but secrets: endpoints and their settings, messages, attempts.
    EndpointsRead,
    /// Create, change and delete endpoints, and replace their secrets.
    EndpointsWrite,
    /// Read the secrets that sign deliveries.
    SecretsRead,
    /// Have messages delivered again.
    Replay,
    /// Everything, and what no other scope allows: applications, event types, keys, removal of
    /// content.
    Admin,
}

/// A text that names no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected events:write, endpoints:read, endpoints:write, secrets:read, replay or admin")]
pub struct InvalidScope;

impl Scope {
    pub const ALL: [Self; 6] = [
        Self::EventsWrite,
        Self::EndpointsRead,
        Self::EndpointsWrite,
        Self::SecretsRead,
        Self::Replay,
        Self::Admin,
    ];

    /// The name in the API, in the store and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::EndpointsRead => "endpoints:read",
            Self::EndpointsWrite => "endpoints:write",
            Self::SecretsRead => "secrets:read",
            Self::Replay => "replay",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::EventsWrite => 1,
            Self::EndpointsRead => 1 << 1,
            Self::EndpointsWrite => 1 << 2,
            Self::SecretsRead => 1 << 3,
            Self::Replay => 1 << 4,
            Self::Admin => 1 << 5,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let named = Self::ALL.into_iter().find(|scope| scope.name() == text);
        named.ok_or(InvalidScope)
    }
}

/// A set of scopes; as text their names in a fixed order, separated by spaces.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    pub const NONE: Self = Self(0);

    /// The scopes that were granted by name.
    pub fn granted(self) -> impl Iterator<Item = Scope> {
        let holds = move |scope: &Scope| self.0 & scope.bit() != 0;
        Scope::ALL.into_iter().filter(holds)
    }

    /// Whether one of the scopes allows what `scope` stands for.
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let bits = scopes.into_iter().map(Scope::bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.granted().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.granted()).finish()
    }
}

impl FromStr for Scopes {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl TryFrom<String> for Scopes {
    type Error = InvalidScope;

    fn try_from(text: String) -> Result<Self, InvalidScope> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_allows_itself_and_admin_allows_all() {
        for granted in Scope::ALL {
            let scopes = Scopes::from_iter([granted]);
            for asked in Scope::ALL {
                let expect = granted == asked || granted == Scope::Admin;
                assert_eq!(scopes.allow(asked), expect, "{granted} for {asked}");
            }
            assert!(!Scopes::NONE.allow(granted));
        }
    }

    #[test]
    fn names_round_trip() {
        for count in 0..64u8 {
            let scopes = Scopes(count);
            assert_eq!(scopes.to_string().parse(), Ok(scopes));
            assert_eq!(scopes.granted().collect::<Scopes>(), scopes);
        }
        assert_eq!(
            "admin replay".parse::<Scopes>().expect("valid").to_string(),
            "replay admin"
        );
        assert_eq!("admin everything".parse::<Scopes>(), Err(InvalidScope));
        assert_eq!("".parse::<Scope>(), Err(InvalidScope));
    }

    #[test]
    fn the_refusal_names_every_scope() {
        let text = InvalidScope.to_string();
        for scope in Scope::ALL {
            assert!(text.contains(scope.name()), "{scope}");
        }
    }
}
