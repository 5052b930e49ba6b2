//! JSON Schemas: whether one may be used, and what a payload has wrong by it.
//!
//! # Problem
//!
//! A schema may be written by a tenant. It can name addresses to fetch, expressions that never stop
//! matching, and references that make one value take for ever or recurse until the stack ends.
//!
//! # Idea
//!
//! Nothing is fetched: references lead to places in the same schema only. Expressions run on an
//! engine whose time is linear, with a bound on its memory. And before a schema is compiled, the
//! work it can cause is counted.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;
use watchfire_domain::limit;

mod bounds;

pub use bounds::TooComplex;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema(Validator);

/// Why a schema can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchema {
    #[error(transparent)]
    TooComplex(#[from] TooComplex),
    /// It breaks the rules of its own draft.
    #[error("at {path:?}: {problem}")]
    Invalid { path: String, problem: String },
}

/// Something a payload has wrong. Never shows the payload's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer into the payload.
    pub path: String,
    pub message: String,
    pub kind: FaultKind,
}

/// How grave a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The event type is not one of the contract's.
    UnknownEventType,
    /// The payload is not what its schema says.
    Schema,
    /// A text the schema does not list: products add values, and say so.
    UnknownValue,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

impl Schema {
    pub fn compile(schema: &Value) -> Result<Self, InvalidSchema> {
        bounds::check(schema)?;
        let patterns = PatternOptions::regex()
            .size_limit(limit::SCHEMA_PATTERN_BYTES_MAX)
            .dfa_size_limit(limit::SCHEMA_PATTERN_BYTES_MAX);
        let options = jsonschema::options()
            .offline()
            .with_pattern_options(patterns);
        match options.build(schema) {
            Ok(validator) => Ok(Self(validator)),
            Err(error) => Err(InvalidSchema::Invalid {
                path: error.instance_path().to_string(),
                problem: error.to_string(),
            }),
        }
    }

    /// What `payload` has wrong, at most [`limit::SCHEMA_FAULTS_MAX`] faults.
    pub fn validate(&self, payload: &Value) -> Vec<Fault> {
        if self.0.is_valid(payload) {
            return Vec::new();
        }
        let errors = self.0.iter_errors(payload).take(limit::SCHEMA_FAULTS_MAX);
        errors.map(|error| fault(&error)).collect()
    }
}

/// Whether a schema may be used, without keeping what was compiled.
pub fn check_schema(schema: &Value) -> Result<(), InvalidSchema> {
    Schema::compile(schema).map(|_| ())
}

fn fault(error: &ValidationError<'_>) -> Fault {
    Fault {
        path: error.instance_path().to_string(),
        message: error.masked().to_string(),
        kind: if is_unknown_value(error) {
            FaultKind::UnknownValue
        } else {
            FaultKind::Schema
        },
    }
}

/// Whether a longer list of values in the schema would mend it.
fn is_unknown_value(error: &ValidationError<'_>) -> bool {
    match error.kind() {
        ValidationErrorKind::Enum { .. } => error.instance().is_string(),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let mends = |branch: &Vec<ValidationError<'_>>| {
                !branch.is_empty() && branch.iter().all(is_unknown_value)
            };
            context.iter().any(mends)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
