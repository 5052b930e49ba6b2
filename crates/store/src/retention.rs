//! How long messages, their attempts and their payloads are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use watchfire_domain::id::OrganizationId;
use watchfire_domain::limit;

/// How long an organization's messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Age at which payloads go, unless the message says less.
    pub payloads: Duration,
    /// Age at which messages and their attempts go, once all their deliveries are settled. A back
    /// end that drops whole days keeps them up to a day longer.
    pub messages: Duration,
}

/// What holds for everybody, but for organizations that have times of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retentions {
    pub default: Retention,
    pub own: BTreeMap<OrganizationId, Retention>,
    /// Age at which lines of the audit log go.
    pub audit: Duration,
}

impl Retentions {
    /// The same for everybody.
    pub fn for_all(default: Retention) -> Self {
        Self {
            default,
            own: BTreeMap::new(),
            audit: limit::AUDIT_RETENTION,
        }
    }

    pub fn of(&self, org: &OrganizationId) -> Retention {
        self.own.get(org).copied().unwrap_or(self.default)
    }

    /// Age at which nobody's messages are kept any more.
    pub fn longest(&self) -> Duration {
        let own = self.own.values().map(|retention| retention.messages);
        own.fold(self.default.messages, Duration::max)
    }

    /// Differs, but for accident, when other organizations have other times; 0 if none has any.
    /// Walks that rely on them begin anew then.
    pub fn mark(&self) -> i64 {
        let mut hash = 0_u64;
        let mut take = |bytes: &[u8]| {
            for byte in bytes {
                // FNV-1a; it guards against nothing.
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for (org, retention) in &self.own {
            take(org.as_str().as_bytes());
            take(&[0xff]);
            take(&retention.payloads.as_secs().to_be_bytes());
            take(&retention.messages.as_secs().to_be_bytes());
        }
        hash.cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(payloads: u64, messages: u64) -> Retention {
        Retention {
            payloads: Duration::from_hours(24 * payloads),
            messages: Duration::from_hours(24 * messages),
        }
    }

    #[test]
    fn an_organization_has_its_own_times_or_everybodys() {
        let mut retentions = Retentions::for_all(days(5, 30));
        let org = |text: &str| text.parse::<OrganizationId>().expect("a name");
        assert_eq!(
            (retentions.mark(), retentions.longest()),
            (0, days(5, 30).messages)
        );
        retentions.own.insert(org("org_short"), days(1, 2));
        let short = retentions.mark();
        assert_eq!(retentions.longest(), days(5, 30).messages);
        retentions.own.insert(org("org_long"), days(90, 365));
        assert_eq!(retentions.longest(), days(90, 365).messages);
        assert_eq!(retentions.of(&org("org_short")), days(1, 2));
        assert_eq!(retentions.of(&org("org_other")), days(5, 30));
        assert!(![0, short].contains(&retentions.mark()));
    }
}
