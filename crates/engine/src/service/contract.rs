//! The contract an application follows.

use std::sync::Arc;

use watchfire_contracts::Contract;

use crate::{Engine, Snapshot};

/// The contract the application names, else the configured default.
pub(super) fn contract_of(engine: &Engine, app: &Snapshot) -> Arc<Contract> {
    let named = app.stored.application.settings.contract.as_deref();
    let name = named.unwrap_or(&engine.config().default_contract);
    let contracts = engine.contracts();
    Arc::clone(
        contracts
            .contract(name)
            .unwrap_or_else(|| contracts.standard()),
    )
}
