//! The operator's dashboard and the customers' portal: pages for people.
//!
//! # The players
//!
//! - [`router`] builds the routes; [`DashboardState`] is what they share.
//! - `session` remembers who signed in, in a sealed cookie; `access` turns it into what a page
//!   asks for ([`access::Operator`], [`access::InApp`]), with the scope its route names.
//! - `ui` is the design language: a small set of components, shown together at
//!   `/dashboard/components`, and the shell around every page.
//! - `screens` holds the pages, one file a screen. Those of one application serve the dashboard
//!   (`/dashboard/apps/{app}`) and the portal (`/portal/{app}`) alike.
//! - `form`, `params` and `paging` read what browsers send; `failure` is the page shown when it
//!   can't be done; `shield` sets the headers that keep a page to itself.
//!
//! Pages are whole without JavaScript. The one script refreshes what is live, copies, and moves
//! with the keyboard.
//!
//! # What this crate must never do
//!
//! Open an outbound connection, decide anything about a delivery, build SQL, or offer what the API
//! would refuse the same caller. No markup is put together from text: `maud` escapes all of it. No
//! script or style stands in a page.
//!
//! Start reading at `access.rs`, then `screens/applications.rs`.

mod access;
mod assets;
mod failure;
mod form;
mod live;
mod paging;
mod params;
mod routes;
mod screens;
mod session;
mod shield;
mod state;
mod throttle;
mod ui;

pub use routes::{router, routes_list};
pub use state::{DashboardConfig, DashboardState, PortalLook, SettingLine, frame_ancestor};
pub use ui::brand::{InvalidLogo, Logo};
pub use ui::theme::{Accent, InvalidAccent, InvalidMode, Mode};
