//! The data folder's secrets: made at the first start, readable by the owner alone.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use watchfire_domain::ambient::Entropy;
use watchfire_domain::secret::SecretText;

/// The secret that API tokens are signed with.
pub(crate) const JWT_SECRET: &str = "jwt.secret";
/// The key that endpoints' secrets are sealed with.
pub(crate) const MASTER_KEY: &str = "master.key";
/// What this node is called among others.
const NODE_NAME: &str = "node.name";
const KEY_BYTES: usize = 32;

/// The data folder, made if it is missing.
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path.exists() && !path.is_dir() {
            bail!("data folder {}: it is not a folder", path.display());
        }
        std::fs::create_dir_all(path)
            .with_context(|| format!("data folder {}: can't be made", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The signing secret of API tokens; made if there is none.
    pub(crate) fn jwt_secret(&self, entropy: &dyn Entropy) -> Result<SecretText> {
        let text = self.read_or_make(JWT_SECRET, entropy)?;
        Ok(SecretText::new(text))
    }

    /// The key that secrets are sealed with; made if there is none.
    pub(crate) fn master_key(&self, entropy: &dyn Entropy) -> Result<[u8; KEY_BYTES]> {
        let text = self.read_or_make(MASTER_KEY, entropy)?;
        decode_key(&text).with_context(|| {
            format!(
                "{}: is not a key of {KEY_BYTES} bytes in base64",
                self.0.join(MASTER_KEY).display()
            )
        })
    }

    /// The name of a node that keeps its secrets here; made if there is none.
    pub(crate) fn node_name(&self, entropy: &dyn Entropy) -> Result<String> {
        let random = self.read_or_make(NODE_NAME, entropy)?;
        let plain = random.chars().filter(char::is_ascii_alphanumeric);
        let short: String = plain.take(NODE_NAME_CHARS).collect();
        Ok(format!("node-{}", short.to_ascii_lowercase()))
    }

    fn read_or_make(&self, name: &str, entropy: &dyn Entropy) -> Result<String> {
        let path = self.0.join(name);
        match File::open(&path) {
            Ok(file) => read_secret(file, &path),
            Err(error) if error.kind() == ErrorKind::NotFound => make_secret(&path, entropy),
            Err(error) => Err(error).with_context(|| format!("{}: can't be read", path.display())),
        }
    }
}

/// The key that a folder's secrets are sealed with, if it holds one. Makes none.
pub(crate) fn read_master_key(folder: &Path) -> Result<Option<[u8; KEY_BYTES]>> {
    let path = folder.join(MASTER_KEY);
    if !path.exists() {
        return Ok(None);
    }
    let file = File::open(&path).with_context(|| format!("{}: can't be read", path.display()))?;
    let key = decode_key(&read_secret(file, &path)?);
    let wrong = || format!("{}: is not a key", path.display());
    key.map(Some).with_context(wrong)
}

/// So many of 36 characters are not drawn twice.
const NODE_NAME_CHARS: usize = 10;

/// A key as it is written down.
pub(crate) fn decode_key(text: &str) -> Option<[u8; KEY_BYTES]> {
    let bytes = BASE64.decode(text.trim().as_bytes()).ok()?;
    bytes.try_into().ok()
}

fn read_secret(mut file: File, path: &Path) -> Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!(
            "{}: others may read it (mode {mode:o}); run chmod 600 on it",
            path.display()
        );
    }
    let mut text = String::new();
    file.read_to_string(&mut text)
        .with_context(|| format!("{}: can't be read", path.display()))?;
    let text = text.trim().to_owned();
    if text.is_empty() {
        bail!("{}: is empty; restore it from a backup", path.display());
    }
    Ok(text)
}

/// Writes to a temporary name first, so that a crash leaves a whole secret or none.
fn make_secret(path: &Path, entropy: &dyn Entropy) -> Result<String> {
    let mut key = [0; KEY_BYTES];
    entropy.fill(&mut key);
    let text = BASE64.encode(key);
    let unfinished = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("{}: can't be written", path.display()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::ambient::SystemEntropy;

    #[test]
    fn secrets_are_made_once_and_kept_from_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(&dir.path().join("new")).expect("made");
        let first = data.master_key(&SystemEntropy).expect("made");
        assert_eq!(data.master_key(&SystemEntropy).expect("read"), first);
        let path = data.path().join(MASTER_KEY);
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("changed");
        let refused = data
            .master_key(&SystemEntropy)
            .expect_err("too open")
            .to_string();
        assert!(refused.contains("mode 644"), "{refused}");
    }

    #[test]
    fn a_damaged_key_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(dir.path()).expect("there");
        data.master_key(&SystemEntropy).expect("made");
        std::fs::write(data.path().join(MASTER_KEY), "AAAA").expect("written");
        assert!(data.master_key(&SystemEntropy).is_err());
        std::fs::write(data.path().join(MASTER_KEY), "").expect("written");
        assert!(data.master_key(&SystemEntropy).is_err());
    }
}
