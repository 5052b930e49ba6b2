//! A form on its way: what was typed, and what is wrong with it.

use watchfire_engine::service::{Error, Fault};

use crate::failure::{Failure, explain};
use crate::params::Fields;

/// What was typed so far, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    fields: Fields,
    faults: Vec<Fault>,
    /// What is wrong with the whole.
    general: Option<String>,
}

impl Draft {
    /// A form as it is shown first.
    pub(crate) fn of(values: &[(&str, &str)]) -> Self {
        let empty = Fields::default();
        let with = |fields: Fields, (name, text): &(&str, &str)| fields.with(name, Some(text));
        Self {
            fields: values.iter().fold(empty, with),
            ..Self::default()
        }
    }

    /// A form as it was typed, with nothing wrong so far.
    pub(crate) fn typed(fields: Fields) -> Self {
        Self {
            fields,
            ..Self::default()
        }
    }

    /// A form that was refused: shown again with what is wrong.
    ///
    /// # Errors
    ///
    /// What no field can mend is the page's failure.
    pub(crate) fn refused(fields: Fields, error: Error) -> Result<Self, Failure> {
        let (faults, general) = match error {
            Error::Invalid(faults) => (faults, None),
            error @ (Error::Exists(_) | Error::LimitReached { .. } | Error::Contended) => {
                (Vec::new(), Some(explain(&error)))
            }
            error => return Err(error.into()),
        };
        Ok(Self {
            fields,
            faults,
            general,
        })
    }

    /// The same with a fault of one field.
    pub(crate) fn wrong(fields: Fields, field: &'static str, reason: impl Into<String>) -> Self {
        let fault = Fault {
            field: vec![field.into()],
            reason: reason.into(),
        };
        Self {
            fields,
            faults: vec![fault],
            general: None,
        }
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_default()
    }

    /// What is wrong with a field; `name` is the input's name in the service.
    pub(crate) fn fault(&self, name: &str) -> Option<String> {
        let about = |fault: &&Fault| fault.field.first().is_some_and(|first| first == name);
        let text = |fault: &Fault| match fault.field.get(1..) {
            Some([]) | None => fault.reason.clone(),
            Some(rest) => format!("{}: {}", rest.join(" "), fault.reason),
        };
        let faults: Vec<_> = self.faults.iter().filter(about).map(text).collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    /// What is wrong and belongs to none of these fields.
    pub(crate) fn others(&self, shown: &[&str]) -> Vec<String> {
        let is_other = |fault: &&Fault| {
            let first = fault.field.first();
            !first.is_some_and(|first| shown.contains(&first.as_ref()))
        };
        let others = self.faults.iter().filter(is_other);
        let others = others.map(|fault| format!("{}: {}", fault.field.join(" "), fault.reason));
        self.general.iter().cloned().chain(others).collect()
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.general.is_some() || !self.faults.is_empty()
    }
}
