//! The pages, one file a screen. A screen asks the engine's services and puts components of `ui`
//! together; it decides nothing.

pub(crate) mod activity;
pub(crate) mod applications;
pub(crate) mod audit;
pub(crate) mod components;
pub(crate) mod deliveries;
pub(crate) mod delivery;
pub(crate) mod endpoints;
pub(crate) mod events;
pub(crate) mod keys;
pub(crate) mod message;
pub(crate) mod notices;
pub(crate) mod overview;
pub(crate) mod portal;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod sign_in;
pub(crate) mod start;
pub(crate) mod system;
