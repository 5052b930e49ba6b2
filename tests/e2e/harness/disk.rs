//! A disk without room.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

const FILLER_PIECE: usize = 64 * 1024;

/// Takes all the room there is.
pub(crate) fn fill(filler: &Path) {
    let mut file = OpenOptions::new().append(true).create(true).open(filler);
    let file = file.as_mut().expect("the folder can be written to");
    for size in [FILLER_PIECE, 1] {
        let piece = vec![0; size];
        while write(file, &piece) {}
    }
}

/// Whether there was room.
fn write(file: &mut File, piece: &[u8]) -> bool {
    match file.write_all(piece) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::StorageFull => false,
        Err(error) => panic!("the disk is broken, not full: {error}"),
    }
}
