//! Several servers on one PostgreSQL, under load, and everything that can happen to them: what
//! was accepted arrives, in order per record, and comes twice only if it was in flight.

mod cut;
mod database;
mod doubt;
mod losses;
mod nodes;
mod pooler;
mod rolling;
mod told;
