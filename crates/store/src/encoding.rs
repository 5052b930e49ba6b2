//! How our words are written down in a database: numbers for enumerations, compact blobs for
//! lists. Every back end writes the same ones, so that rows can move from one to another.

mod blob;
mod cells;
mod changed;
mod code;
mod rollup;

pub use blob::{InvalidBlob, decode_keys, decode_timing, encode_keys, encode_timing};
pub use cells::{
    Inconsistent, NextCells, OutcomeCells, StateCells, SubjectCells, count_cell, hour_of,
    is_accepted, is_unwell, sent_of,
};
pub use changed::ChangedCells;
pub use code::{Code, UnknownCode};
pub use rollup::{ACTIVITY_CELLS, HourCells, Tally, activity_cells, activity_of, owner_cell};
