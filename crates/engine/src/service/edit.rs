//! Changes of what is stored.

/// What a patch says about a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Edit<T> {
    /// It is not mentioned.
    #[default]
    Keep,
    /// It is to have no value, or its default.
    Clear,
    Set(T),
}

impl<T> Edit<T> {
    /// Applies the change to a field that may be absent.
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }

    /// Applies the change to a field that falls back to its default.
    pub fn apply_or_default(self, field: &mut T)
    where
        T: Default,
    {
        match self {
            Self::Keep => {}
            Self::Clear => *field = T::default(),
            Self::Set(value) => *field = value,
        }
    }

    /// A field of a replacement: what is absent is cleared.
    pub fn replace(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Edit<U> {
        match self {
            Self::Keep => Edit::Keep,
            Self::Clear => Edit::Clear,
            Self::Set(value) => Edit::Set(change(value)),
        }
    }
}

/// Whether a put made the object or replaced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Created,
    Updated,
}

/// Times a read-modify-write is tried again because somebody else wrote in between.
pub(super) const UPDATE_TRIES_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edit: Edit<u32>, expect: Option<u32>) {
        let mut field = Some(1);
        edit.apply(&mut field);
        assert_eq!(field, expect);
    }

    #[test]
    fn an_absent_field_is_kept_a_null_one_cleared() {
        check(Edit::Keep, Some(1));
        check(Edit::Clear, None);
        check(Edit::Set(2), Some(2));
        check(Edit::replace(None), None);
    }
}
