//! The API from outside: requests go through the whole router into an engine with the embedded
//! store in memory, and answers are held against snapshots of status, headers and body.

mod applications;
mod attempts;
mod audit;
mod authorization;
mod batch;
mod contracts;
mod document;
mod endpoint_health;
mod endpoints;
mod event_types;
mod harness;
mod health;
mod idempotency;
mod keys;
mod limits;
mod messages;
mod notices;
mod options;
mod paging;
mod portal;
mod records;
mod reports;
mod shell;
mod tasks;
mod tokens;
