//! What is answered where there is no route.

use crate::error::{ApiError, Code};

pub(super) async fn unknown_path() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such path")
}

pub(super) async fn unsupported_method() -> ApiError {
    Code::MethodNotAllowed.into()
}
