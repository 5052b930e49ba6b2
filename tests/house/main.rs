//! The house rules that no compiler checks: who may depend on whom, what may stand where, and
//! that generated pages are fresh. Each failure says what is wrong and how to mend it.
//!
//! The rules and their reasons: `docs/contributing/style.md`.

mod arrows;
mod generated;
mod manifests;
mod prose;
mod repository;
mod sources;
