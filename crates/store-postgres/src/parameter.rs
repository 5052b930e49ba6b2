//! Parameters with their types said aloud, so that a statement needs no name and one round trip.

use tokio_postgres::types::{ToSql, Type};

/// A value whose column type is known from its own.
pub(crate) trait Parameter: Sync {
    /// As the driver wants it.
    fn typed(&self) -> (&(dyn ToSql + Sync), Type);
}

macro_rules! parameter {
    ($($type:ty = $one:ident, $many:ident;)+) => {$(
        parameter!(@one $type, $one);
        parameter!(@one Option<$type>, $one);
        parameter!(@one Vec<$type>, $many);
        parameter!(@one Vec<Option<$type>>, $many);
    )+};
    (@one $type:ty, $sql:ident) => {
        impl Parameter for $type {
            fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
                (self, Type::$sql)
            }
        }
    };
}

parameter! {
    bool = BOOL, BOOL_ARRAY;
    i16 = INT2, INT2_ARRAY;
    i32 = INT4, INT4_ARRAY;
    i64 = INT8, INT8_ARRAY;
    &str = TEXT, TEXT_ARRAY;
    String = TEXT, TEXT_ARRAY;
    &[u8] = BYTEA, BYTEA_ARRAY;
    Vec<u8> = BYTEA, BYTEA_ARRAY;
}

/// The parameters of a statement, in the order of their numbers.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::parameter::Parameter),*]
    };
}
pub(crate) use params;
