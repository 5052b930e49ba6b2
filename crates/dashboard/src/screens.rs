//! The pages, one file a screen. A screen asks the engine's services and puts components of `ui`
//! together; it decides nothing.

pub(crate) mod applications;
pub(crate) mod components;
pub(crate) mod endpoints;
pub(crate) mod overview;
pub(crate) mod portal;
pub(crate) mod sign_in;
