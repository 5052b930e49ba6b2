//! What is wrong with a contract's folder, or with an override of it.

/// Why a contract can't be loaded. Each says which file, which key and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: expected a file in a contract's folder, such as NAME/contract.toml")]
    Outside { path: String },
    #[error(
        "{name}: a contract's folder is named with the letters a-z, digits and '-', at most 64"
    )]
    Name { name: String },
    #[error("{name}/contract.toml is missing; every contract's folder needs one")]
    NoManifest { name: String },
    /// The text is not TOML.
    #[error("{file}: {problem}")]
    Syntax { file: String, problem: String },
    /// A value is missing, unknown or wrong.
    #[error("{file}: {key}: {problem}")]
    Key {
        file: String,
        key: String,
        problem: String,
    },
    #[error("{file}: {key}: the file {wanted} is missing")]
    NoFile {
        file: String,
        key: String,
        wanted: String,
    },
    #[error("{file} is not used by contract.toml; remove it or name it there")]
    Unused { file: String },
    #[error("{file} is not JSON: {problem}")]
    Json { file: String, problem: String },
}
