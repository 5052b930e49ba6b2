//! Compact blobs: lists of endpoint keys and timings, in LEB128 (seven bits a byte, low ones first).

use std::time::Duration;

use watchfire_domain::attempt::Timing;

use crate::EndpointKey;

/// A blob that does not hold what its column promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlob {
    #[error("the blob ends within a number")]
    Short,
    #[error("a number in the blob is out of range")]
    Range,
    #[error("the blob goes on after its last number")]
    Long,
}

/// Writes ascending endpoint keys as differences: a byte or two for each.
pub fn encode_keys(keys: &[EndpointKey]) -> Vec<u8> {
    debug_assert!(keys.is_sorted(), "matched endpoints are ascending");
    let mut bytes = Vec::with_capacity(keys.len() * 2);
    let mut last = 0;
    for key in keys {
        push(&mut bytes, key.0.wrapping_sub(last).cast_unsigned());
        last = key.0;
    }
    bytes
}

pub fn decode_keys(mut bytes: &[u8]) -> Result<Vec<EndpointKey>, InvalidBlob> {
    let mut keys = Vec::with_capacity(bytes.len());
    let mut last = 0_i64;
    while !bytes.is_empty() {
        let step = i64::try_from(pull(&mut bytes)?).map_err(|_| InvalidBlob::Range)?;
        last = last.checked_add(step).ok_or(InvalidBlob::Range)?;
        keys.push(EndpointKey(last));
    }
    Ok(keys)
}

/// Writes a byte with a bit for each part that happened, then the parts and the total.
pub fn encode_timing(timing: &Timing) -> Vec<u8> {
    let parts = [
        timing.resolve,
        timing.connect,
        timing.tls,
        timing.first_byte,
    ];
    let mut bytes = Vec::with_capacity(12);
    bytes.push(0);
    for (place, part) in parts.iter().enumerate() {
        if let Some(part) = part {
            bytes[0] |= 1 << place;
            push(&mut bytes, nanoseconds(*part));
        }
    }
    push(&mut bytes, nanoseconds(timing.total));
    bytes
}

pub fn decode_timing(bytes: &[u8]) -> Result<Timing, InvalidBlob> {
    let (flags, mut rest) = bytes.split_first().ok_or(InvalidBlob::Short)?;
    let mut part = |place: u8| {
        if flags & (1 << place) == 0 {
            return Ok(None);
        }
        pull(&mut rest).map(|nanoseconds| Some(Duration::from_nanos(nanoseconds)))
    };
    let timing = Timing {
        resolve: part(0)?,
        connect: part(1)?,
        tls: part(2)?,
        first_byte: part(3)?,
        total: Duration::from_nanos(pull(&mut rest)?),
    };
    if rest.is_empty() {
        Ok(timing)
    } else {
        Err(InvalidBlob::Long)
    }
}

/// Saturates after 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn push(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn pull(bytes: &mut &[u8]) -> Result<u64, InvalidBlob> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(InvalidBlob::Short)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(InvalidBlob::Range);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(InvalidBlob::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip() {
        let check = |keys: &[i64]| {
            let keys: Vec<_> = keys.iter().copied().map(EndpointKey).collect();
            assert_eq!(decode_keys(&encode_keys(&keys)).expect("valid"), keys);
        };
        check(&[]);
        check(&[0]);
        check(&[1, 2, 3, 127, 128, 300, 1_000_000, i64::MAX]);
        let thousand: Vec<i64> = (1..=1_000).collect();
        check(&thousand);
    }

    #[test]
    fn damaged_keys_are_named() {
        assert_eq!(decode_keys(&[0x80]), Err(InvalidBlob::Short));
        assert_eq!(decode_keys(&[0xff; 11]), Err(InvalidBlob::Range));
        let mut beyond = encode_keys(&[EndpointKey(i64::MAX)]);
        beyond.push(1);
        assert_eq!(decode_keys(&beyond), Err(InvalidBlob::Range));
    }

    #[test]
    fn timings_round_trip() {
        let full = Timing {
            resolve: Some(Duration::from_nanos(1)),
            connect: Some(Duration::from_micros(300)),
            tls: Some(Duration::from_millis(20)),
            first_byte: Some(Duration::from_secs(30)),
            total: Duration::from_secs(31),
        };
        let reused = Timing {
            first_byte: Some(Duration::ZERO),
            total: Duration::from_nanos(123_456_789),
            ..Timing::default()
        };
        for timing in [Timing::default(), full, reused] {
            assert_eq!(decode_timing(&encode_timing(&timing)), Ok(timing));
        }
        assert_eq!(decode_timing(&[]), Err(InvalidBlob::Short));
        assert_eq!(decode_timing(&[1, 5]), Err(InvalidBlob::Short));
        assert_eq!(decode_timing(&[0, 5, 5]), Err(InvalidBlob::Long));
    }
}
