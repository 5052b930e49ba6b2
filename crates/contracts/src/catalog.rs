//! All contracts, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::contract::Contract;
use crate::error::LoadError;
use crate::source::{self, Source};

/// The contracts a server knows.
#[derive(Clone, Debug)]
pub struct Catalog {
    contracts: BTreeMap<String, Arc<Contract>>,
}

impl Catalog {
    /// The contract of endpoints and applications that name none.
    pub const DEFAULT: &'static str = "standard";

    /// The contracts that are part of the binary.
    pub fn embedded() -> Self {
        let sources: Vec<_> = source::embedded().collect();
        let empty = Self {
            contracts: BTreeMap::new(),
        };
        empty
            .added(&sources)
            .expect("the embedded contracts are loaded by a test")
            .0
    }

    /// This catalog with the contracts of these files added. A contract of the same name is
    /// replaced as a whole.
    ///
    /// # Errors
    ///
    /// The first fault found; nothing is added then.
    pub fn with_sources(self, sources: &[Source]) -> Result<Self, LoadError> {
        let (catalog, added) = self.added(sources)?;
        for contract in added {
            contract.check()?;
        }
        Ok(catalog)
    }

    /// With the contracts that were added, whose schemas and samples are yet to be checked.
    fn added(mut self, sources: &[Source]) -> Result<(Self, Vec<Arc<Contract>>), LoadError> {
        let mut folders: BTreeMap<&str, BTreeMap<&str, &Source>> = BTreeMap::new();
        for source in sources {
            let (name, path) = source.split().ok_or_else(|| LoadError::Outside {
                path: source.path.to_string(),
            })?;
            folders.entry(name).or_default().insert(path, source);
        }
        let mut added = Vec::new();
        for (name, files) in folders {
            let contract = Arc::new(Contract::load(name, &files)?);
            self.contracts.insert(name.to_owned(), contract.clone());
            added.push(contract);
        }
        Ok((self, added))
    }

    /// This catalog with some keys of one contract overridden, as `[contracts.<name>]` of the
    /// configuration file does.
    pub fn with_overrides(
        mut self,
        file: &str,
        name: &str,
        overrides: &toml::Table,
    ) -> Result<Self, LoadError> {
        let contract = self.contracts.get(name).ok_or_else(|| LoadError::Key {
            file: file.to_owned(),
            key: format!("contracts.{name}"),
            problem: format!("there is no such contract; known are {}", self.names()),
        })?;
        let contract = contract.with_overrides(file, overrides)?;
        self.contracts.insert(name.to_owned(), Arc::new(contract));
        Ok(self)
    }

    pub fn contract(&self, name: &str) -> Option<&Arc<Contract>> {
        self.contracts.get(name)
    }

    /// Our own contract, which is always there.
    pub fn standard(&self) -> &Arc<Contract> {
        self.contract(Self::DEFAULT)
            .expect("the standard contract is embedded and can only be replaced")
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Contract>> {
        self.contracts.values()
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.contracts.keys().map(String::as_str).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests;
