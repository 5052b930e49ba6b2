//! Checks of what somebody typed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

use watchfire_contracts::schema::{self, FaultKind};
use watchfire_domain::id::Uid;
use watchfire_domain::limit;
use watchfire_domain::mail::Address;

use super::error::{Error, Result};

/// What is wrong with one field of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The way to the field, outermost first.
    pub field: Vec<Cow<'static, str>>,
    /// What is wrong, and where it can be said, what would be right.
    pub reason: String,
}

impl From<schema::Fault> for Fault {
    fn from(fault: schema::Fault) -> Self {
        let field = match fault.kind {
            FaultKind::UnknownEventType => vec!["eventType".into()],
            FaultKind::Schema | FaultKind::UnknownValue => {
                let way = fault
                    .path
                    .split('/')
                    .skip(1)
                    .map(|step| Cow::Owned(step.to_owned()));
                std::iter::once("payload".into()).chain(way).collect()
            }
        };
        Self {
            field,
            reason: fault.message,
        }
    }
}

/// Collects what is wrong with an input, so that a caller learns all of it at once.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, field: &'static str, reason: impl Display) {
        self.0.push(Fault {
            field: vec![field.into()],
            reason: reason.to_string(),
        });
    }

    pub(super) fn add_at(
        &mut self,
        field: &'static str,
        item: impl Into<Cow<'static, str>>,
        reason: impl Display,
    ) {
        self.0.push(Fault {
            field: vec![field.into(), item.into()],
            reason: reason.to_string(),
        });
    }

    /// The value, or `None` after noting what is wrong.
    pub(super) fn keep<T, E: Display>(
        &mut self,
        field: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|reason| self.add(field, reason)).ok()
    }

    pub(super) fn finish(self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.into_error())
        }
    }

    pub(super) fn into_error(self) -> Error {
        Error::Invalid(self.0)
    }

    pub(super) fn uid(
        &mut self,
        field: &'static str,
        uid: Option<String>,
        prefix: &'static str,
    ) -> Option<Uid> {
        uid.and_then(|text| self.keep(field, Uid::for_prefix(text, prefix)))
    }

    pub(super) fn chars(&mut self, field: &'static str, text: &str, min: usize, max: usize) {
        let chars = text.chars().count();
        if chars < min || chars > max {
            self.add(field, format_args!("must have {min} to {max} characters"));
        }
    }

    /// A rate of zero would mean "never"; whoever wants that disables the endpoint.
    pub(super) fn rate(&mut self, field: &'static str, rate: Option<u32>) {
        if rate.is_some_and(|rate| rate == 0 || rate > RATE_MAX) {
            self.add(field, format_args!("must be between 1 and {RATE_MAX}"));
        }
    }

    pub(super) fn texts(&mut self, field: &'static str, texts: &BTreeMap<String, String>) {
        if texts.len() > limit::METADATA_ENTRIES_MAX {
            let max = limit::METADATA_ENTRIES_MAX;
            self.add(field, format_args!("may have at most {max} entries"));
        }
        for (name, value) in texts {
            if name.is_empty() || name.chars().count() > limit::NAME_CHARS_MAX {
                let max = limit::NAME_CHARS_MAX;
                self.add(
                    field,
                    format_args!("a name must have 1 to {max} characters"),
                );
            }
            if value.chars().count() > limit::METADATA_VALUE_CHARS_MAX {
                let max = limit::METADATA_VALUE_CHARS_MAX;
                self.add_at(
                    field,
                    name.clone(),
                    format_args!("may have at most {max} characters"),
                );
            }
        }
    }

    /// Addresses of people, each once.
    pub(super) fn addresses(&mut self, field: &'static str, texts: &[String]) -> Vec<Address> {
        if texts.len() > limit::ADMINISTRATORS_MAX {
            let max = limit::ADMINISTRATORS_MAX;
            self.add(field, format_args!("may have at most {max} items"));
        }
        let mut addresses = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match text.parse::<Address>() {
                Ok(address) if addresses.contains(&address) => {}
                Ok(address) => addresses.push(address),
                Err(reason) => self.add_at(field, format!("[{index}]"), reason),
            }
        }
        addresses
    }

    /// Channels or tags, at most `max`.
    pub(super) fn labels(&mut self, kind: Label, labels: &[String], max: usize) {
        let field = kind.field();
        if labels.len() > max {
            self.add(field, format_args!("may have at most {max} items"));
        }
        for (index, label) in labels.iter().enumerate() {
            let place = || format!("[{index}]");
            if label.is_empty() || label.len() > limit::CHANNEL_CHARS_MAX {
                let max = limit::CHANNEL_CHARS_MAX;
                self.add_at(
                    field,
                    place(),
                    format_args!("must have 1 to {max} characters"),
                );
            } else if !label.bytes().all(|byte| kind.allows(byte)) {
                self.add_at(field, place(), kind.charset());
            }
        }
    }
}

/// What messages carry to be told apart by.
#[derive(Clone, Copy)]
pub(super) enum Label {
    Channel,
    Tag,
}

impl Label {
    fn field(self) -> &'static str {
        match self {
            Self::Channel => "channels",
            Self::Tag => "tags",
        }
    }

    /// The charset of the document behind Svix's SDKs, which has more than their open server's.
    fn allows(self, byte: u8) -> bool {
        let marks: &[u8] = match self {
            Self::Channel => b"-_.:+",
            Self::Tag => b"-_./\\#",
        };
        byte.is_ascii_alphanumeric() || marks.contains(&byte)
    }

    fn charset(self) -> &'static str {
        match self {
            Self::Channel => "may hold only letters, digits, '-', '_', '.', ':' and '+'",
            Self::Tag => "may hold only letters, digits, '-', '_', '.', '/', '\\' and '#'",
        }
    }
}

/// A list as a set, in the order given: what is listed twice counts once.
pub(super) fn deduplicated(list: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(list.len());
    list.into_iter()
        .filter(|item| seen.insert(item.clone()))
        .collect()
}

/// The largest rate, per second, that Svix's clients can name (16 bits).
const RATE_MAX: u32 = 65_535;
