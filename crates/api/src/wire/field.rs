//! Fields that need more than a type to be read.

use std::fmt::Display;

use serde::{Deserialize, Deserializer};
use watchfire_engine::service::Edit;

use crate::error::{ApiError, ApiResult};

/// Reads a field of a patch: absent keeps (with `#[serde(default)]`), null clears.
pub(crate) fn edit<'de, D, T>(deserializer: D) -> Result<Edit<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let value = Option::<T>::deserialize(deserializer)?;
    Ok(value.map_or(Edit::Clear, Edit::Set))
}

/// Reads a field of a patch that always has a value: absent keeps (with `#[serde(default)]`), null
/// is a fault.
pub(crate) fn change<'de, D, T>(deserializer: D) -> Result<Edit<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Edit::Set)
}

/// A field that must be there. It is optional for the parser, so that its absence is reported with
/// its name.
pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> ApiResult<T> {
    value.ok_or_else(|| ApiError::body(field, "is required"))
}

/// A name that the caller chose. It is any text for the parser, so that a character it may not have
/// is a fault of the value and not of the JSON.
pub(crate) fn named<T>(field: &'static str, text: Option<String>) -> ApiResult<Option<T>>
where
    T: TryFrom<String, Error: Display>,
{
    text.map(T::try_from)
        .transpose()
        .map_err(|reason| ApiError::body(field, reason))
}

/// A list of such names.
pub(crate) fn all_named<T>(field: &'static str, texts: Option<Vec<String>>) -> ApiResult<Vec<T>>
where
    T: TryFrom<String, Error: Display>,
{
    let names = texts.unwrap_or_default().into_iter();
    names
        .map(T::try_from)
        .collect::<Result<_, _>>()
        .map_err(|reason| ApiError::body(field, reason))
}

/// A patch's value under its present or its older name; the present one counts.
pub(crate) fn either<T>(present: Edit<T>, older: Edit<T>) -> Edit<T> {
    match present {
        Edit::Keep => older,
        Edit::Clear | Edit::Set(_) => present,
    }
}
