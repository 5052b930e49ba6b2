//! How a key looks: `wfk_`, its id, its secret and a checksum.
//!
//! ```text
//! wfk_3NqZOt10o6VMFawza7aGJejMKjo_0uj3VZw0zAmeZMIWWDRhfpb7eqnnhhKoXN1Uq1f0At8_28E0xl
//!     27 digits: the id           43 digits: 32 random bytes                  6 digits: CRC-32
//! ```
//!
//! Secret scanners know it by `wfk_[0-9A-Za-z]{27}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}`, and by the
//! checksum of what stands before the last `_`, that it is none of a thousand look-alikes. The
//! checksum proves nothing; it also spares the store look-ups of keys that were cut or mistyped.

use watchfire_domain::ambient::Entropy;
use watchfire_domain::id::KeyId;
use watchfire_domain::secret::SecretText;
use zeroize::Zeroizing;

/// What every key begins with.
pub const PREFIX: &str = "wfk_";
const ID_DIGITS: usize = 27;
const SECRET_BYTES: usize = 32;
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A text that has the form of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Presented {
    pub(super) id: KeyId,
}

/// A new key.
pub(super) fn draw(id: KeyId, entropy: &dyn Entropy) -> SecretText {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    entropy.fill(&mut *secret);
    let digits = Zeroizing::new(base62(&mut *secret, SECRET_DIGITS));
    let id = id.ksuid();
    // Long enough from the start: growing would leave copies behind.
    let length = PREFIX.len() + ID_DIGITS + 1 + SECRET_DIGITS + 1 + CHECKSUM_DIGITS;
    let mut text = String::with_capacity(length);
    text.push_str(PREFIX);
    text.push_str(&id.to_string());
    text.push('_');
    text.push_str(&digits);
    let checksum = checksum(&text);
    text.push('_');
    text.push_str(&checksum);
    SecretText::new(text)
}

/// Reads a key's id; nothing is known of its secret yet.
pub(super) fn parse(text: &str) -> Option<Presented> {
    let (head, given) = text.rsplit_once('_')?;
    let (id, secret) = head.strip_prefix(PREFIX)?.split_once('_')?;
    if secret.len() != SECRET_DIGITS || given != checksum(head) {
        return None;
    }
    let id = id.parse().ok().map(KeyId::from_ksuid)?;
    Some(Presented { id })
}

fn checksum(head: &str) -> String {
    base62(&mut crc32(head.as_bytes()).to_be_bytes(), CHECKSUM_DIGITS)
}

/// A large number in base 62, most significant digit first. Uses up the number.
fn base62(number: &mut [u8], digits: usize) -> String {
    let mut out = vec![b'0'; digits];
    for digit in out.iter_mut().rev() {
        let mut rest = 0u16;
        for byte in number.iter_mut() {
            let value = (rest << 8) | u16::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or_default();
            rest = value % 62;
        }
        *digit = DIGITS[usize::from(rest)];
    }
    String::from_utf8(out).expect("base62 digits are ASCII")
}

/// CRC-32 as in zlib and PNG.
fn crc32(bytes: &[u8]) -> u32 {
    let fold = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    };
    !bytes.iter().fold(!0, fold)
}

#[cfg(test)]
mod tests {
    use watchfire_domain::id::Ksuid;

    use super::*;

    struct Bytes(u8);

    impl Entropy for Bytes {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn id() -> KeyId {
        KeyId::from_ksuid(Ksuid::from_bytes([7; 20]))
    }

    //= https://reveng.sourceforge.io/crc-catalogue/17plus.htm#crc.cat.crc-32-iso-hdlc
    //# check=0xcbf43926
    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn numbers_keep_their_width() {
        assert_eq!(base62(&mut [0, 0], 3), "000");
        assert_eq!(base62(&mut [0, 62], 3), "010");
        assert_eq!(base62(&mut [255, 255], 3), "H31");
        let largest = base62(&mut [255; 32], SECRET_DIGITS);
        assert_eq!(largest.len(), SECRET_DIGITS);
        assert_eq!(base62(&mut [255; 4], CHECKSUM_DIGITS), "4gfFC3");
    }

    #[test]
    fn a_drawn_key_is_read_back() {
        for byte in [0, 1, 255] {
            let text = draw(id(), &Bytes(byte));
            assert_eq!(parse(text.expose()), Some(Presented { id: id() }));
            assert_eq!(text.expose().len(), 82);
        }
    }

    #[test]
    fn the_documented_example_has_the_form_of_a_key() {
        let page = include_str!("text.rs");
        let example = page
            .lines()
            .find_map(|line| line.strip_prefix("//! wfk_"))
            .expect("an example");
        assert!(parse(&format!("wfk_{example}")).is_some());
    }

    #[test]
    fn whatever_is_not_quite_a_key_is_none() {
        let text = draw(id(), &Bytes(3));
        let text = text.expose();
        for place in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(parse(&changed), None, "byte {place}");
            assert_eq!(parse(&text[..place]), None, "cut at {place}");
        }
        let spaced = format!("{text} ");
        for text in ["", "wfk_", "wfk___", "wfk_a_b_c", &spaced] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
