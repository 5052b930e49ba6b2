//! Moving everything from one back end to another: what there is, and how a row is written down on
//! the way.
//!
//! Both back ends hold the same tables with the same columns ([`TABLES`]), so a row travels as the
//! cells of its columns. Where the two keep a value differently, [`Kind`] says so, and the cell on
//! the way is the same for both. [`Digest`] tells whether what arrived is what was sent.
//!
//! The words of the ledger are not interpreted on the way: what one version stored, the same
//! version reads at the other end.

mod tables;

pub use tables::TABLES;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64 bits.
    Integer,
    /// 32 bits.
    Status,
    /// 16 bits: one of our numbers for an enumeration.
    Code,
    /// 0 or 1.
    Flag,
    Text,
    /// Text that a stranger wrote, which may hold a zero byte. Bytes on the way.
    FreeText,
    Bytes,
    /// A message's place. Back ends draw places differently, so the target makes its own of it, in
    /// the same order.
    Place,
}

/// A column and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

/// A table, its key's columns first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// So many columns are the key that the table is walked by.
    pub key: usize,
}

impl Table {
    /// The columns' names, with commas.
    pub fn column_list(&self) -> String {
        list(self.columns)
    }

    /// The names of the key's columns, with commas.
    pub fn key_list(&self) -> String {
        list(&self.columns[..self.key])
    }

    /// Where a column stands.
    ///
    /// # Panics
    ///
    /// If the table has none of that name.
    pub fn place_of(&self, name: &str) -> usize {
        let found = self.columns.iter().position(|column| column.name == name);
        found.expect("the table has the column")
    }
}

fn list(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    names.join(", ")
}

/// A value on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Cell {
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Null | Self::Text(_) | Self::Bytes(_) => None,
        }
    }

    /// About what it takes in memory.
    pub fn size(&self) -> usize {
        let held = match self {
            Self::Null | Self::Integer(_) => 0,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        };
        size_of::<Self>() + held
    }

    /// Which variant it is, and its contents.
    fn parts(&self) -> (u8, std::borrow::Cow<'_, [u8]>) {
        match self {
            Self::Null => (0, (&[][..]).into()),
            Self::Integer(number) => (1, number.to_be_bytes().to_vec().into()),
            Self::Text(text) => (2, text.as_bytes().into()),
            Self::Bytes(bytes) => (3, bytes.as_slice().into()),
        }
    }
}

/// A row on the way, in the order of [`Table::columns`].
pub type Row = Vec<Cell>;

/// Writes cells one after the other: a byte for the variant, the length, the contents.
pub fn encode_cells(cells: &[Cell]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for cell in cells {
        let (variant, contents) = cell.parts();
        bytes.push(variant);
        bytes.extend_from_slice(&(contents.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&contents);
    }
    bytes
}

/// Bytes that [`encode_cells`] did not write.
#[derive(Debug, thiserror::Error)]
#[error("these bytes are not cells")]
pub struct NotCells;

pub fn decode_cells(mut bytes: &[u8]) -> Result<Vec<Cell>, NotCells> {
    let mut cells = Vec::new();
    while let Some((variant, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk().ok_or(NotCells)?;
        let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| NotCells)?;
        let (contents, rest) = rest.split_at_checked(length).ok_or(NotCells)?;
        let number = || <[u8; 8]>::try_from(contents).map(i64::from_be_bytes);
        let text = || String::from_utf8(contents.to_vec());
        cells.push(match variant {
            0 if contents.is_empty() => Cell::Null,
            1 => Cell::Integer(number().map_err(|_| NotCells)?),
            2 => Cell::Text(text().map_err(|_| NotCells)?),
            3 => Cell::Bytes(contents.to_vec()),
            _ => return Err(NotCells),
        });
        bytes = rest;
    }
    Ok(cells)
}

/// How many rows, and a sum over them that does not depend on their order.
///
/// Each row's cells are hashed (FNV-1a, 128 bits), and the hashes are added up. It tells rows that
/// were lost, doubled or changed by accident, and guards against nobody who means harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    pub rows: u64,
    pub sum: u128,
}

impl Digest {
    pub fn add(&mut self, row: &[Cell]) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash(row));
    }
}

fn hash(row: &[Cell]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut hash = OFFSET;
    let mut take = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    };
    for cell in row {
        let (variant, contents) = cell.parts();
        take(&[variant]);
        take(&(contents.len() as u64).to_be_bytes());
        take(&contents);
    }
    hash
}

/// How far a table has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The key of the last row that was written; `None` if none was.
    pub last: Option<Vec<Cell>>,
    /// All rows that were written.
    pub digest: Digest,
}

/// Numbers that must not be given twice: where the target goes on counting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Continues {
    /// The last place of a message, as the source counts them.
    pub place: i64,
    /// The last epoch of a life.
    pub epoch: i64,
    /// The last token of a claim.
    pub token: i64,
    /// How far payloads were removed, a place.
    pub payloads_pruned_to: i64,
    /// The last keys that were drawn, by table.
    pub keys: Vec<(String, i64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        vec![
            Cell::Null,
            Cell::Integer(-7),
            Cell::Text("a\u{0}b".to_owned()),
            Cell::Bytes(vec![0, 255]),
            Cell::Text(String::new()),
        ]
    }

    #[test]
    fn cells_are_read_as_they_were_written() {
        let bytes = encode_cells(&row());
        assert_eq!(decode_cells(&bytes).expect("cells"), row());
        for length in 0..bytes.len() {
            let cut = decode_cells(&bytes[..length]);
            assert!(cut.is_err() || cut.expect("cells").len() < row().len());
        }
    }

    #[test]
    fn a_digest_tells_what_was_lost_doubled_or_changed() {
        let digest = |rows: &[Row]| {
            let mut digest = Digest::default();
            for row in rows {
                digest.add(row);
            }
            digest
        };
        let other = vec![Cell::Integer(1)];
        let whole = digest(&[row(), other.clone()]);
        assert_eq!(whole, digest(&[other.clone(), row()]), "in any order");
        assert_ne!(whole, digest(&[row()]));
        assert_ne!(whole, digest(&[row(), row(), other.clone()]));
        let mut changed = row();
        changed[4] = Cell::Null;
        assert_ne!(whole, digest(&[changed, other]), "nothing is not empty");
    }

    #[test]
    fn no_value_can_pose_as_two() {
        let joined = [Cell::Text("ab".to_owned()), Cell::Text("c".to_owned())];
        let parted = [Cell::Text("a".to_owned()), Cell::Text("bc".to_owned())];
        assert_ne!(hash(&joined), hash(&parted));
    }
}
