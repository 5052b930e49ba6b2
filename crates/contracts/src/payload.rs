//! A payload as a tree, to look into. What is sent are always the posted bytes.
//!
//! JSON can say what a tree can't hold: numbers beyond 64 bits' range, and halves of surrogate
//! pairs. Such a payload is valid, so it is looked into with something near in their place.

use serde_json::Value;

/// The largest number a tree holds.
const LARGEST: &[u8] = b"1.7976931348623157e308";
/// What stands for half of a surrogate pair.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// The payload as a tree; `None` if it is not JSON.
pub fn read(payload: &[u8]) -> Option<Value> {
    let read = serde_json::from_slice(payload);
    read.or_else(|_| serde_json::from_slice(&tamed(payload)))
        .ok()
}

/// The payload with everything a tree can't hold replaced.
fn tamed(payload: &[u8]) -> Vec<u8> {
    let mut tamed = Vec::with_capacity(payload.len());
    let mut rest = payload;
    let mut in_text = false;
    while let [first, tail @ ..] = rest {
        let taken = match (in_text, first) {
            (true, b'\\') if is_surrogate(tail) => {
                tamed.extend_from_slice(REPLACEMENT);
                REPLACEMENT.len()
            }
            (true, b'\\') => copied(&mut tamed, rest, 2),
            (_, b'"') => {
                in_text = !in_text;
                copied(&mut tamed, rest, 1)
            }
            (false, b'0'..=b'9') => {
                let digits = number_length(rest);
                if is_too_large(&rest[..digits]) {
                    tamed.extend_from_slice(LARGEST);
                    digits
                } else {
                    copied(&mut tamed, rest, digits)
                }
            }
            _ => copied(&mut tamed, rest, 1),
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    tamed
}

fn copied(to: &mut Vec<u8>, from: &[u8], count: usize) -> usize {
    let count = count.min(from.len());
    to.extend_from_slice(&from[..count]);
    count
}

/// Whether an escape, after its backslash, is half of a pair.
fn is_surrogate(escape: &[u8]) -> bool {
    matches!(
        escape,
        [
            b'u',
            b'd' | b'D',
            b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F',
            _,
            _,
            ..,
        ]
    )
}

fn number_length(text: &[u8]) -> usize {
    let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    text.iter().take_while(is_part).count()
}

fn is_too_large(number: &[u8]) -> bool {
    let number = std::str::from_utf8(number).ok();
    let number = number.and_then(|text| text.parse::<f64>().ok());
    number.is_some_and(f64::is_infinite)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_tree_can_not_hold_does_not_hide_the_rest() {
        let check = |text: &str, expect: Value| {
            assert_eq!(read(text.as_bytes()), Some(expect), "{text}");
        };
        check(
            r#"{"a":1e400,"b":"1e400"}"#,
            json!({"a": f64::MAX, "b": "1e400"}),
        );
        check(r#"{"a":[-1e999,2]}"#, json!({"a": [f64::MIN, 2]}));
        check(
            r#"{"a":"x\ud800y","b":"\\ud800"}"#,
            json!({"a": "x\u{fffd}y", "b": "\\ud800"}),
        );
        check(
            r#"{"a":1e400,"b":"\"\ud83d\udd25"}"#,
            json!({"a": f64::MAX, "b": "\"\u{fffd}\u{fffd}"}),
        );
        check(r#"{"a":"\ud83d\udd25"}"#, json!({"a": "🔥"}));
        check(r#"{"a":1E-400}"#, json!({"a": 0.0}));
    }

    #[test]
    fn what_is_not_json_is_not_read() {
        for text in ["", "{", "{\"a\":1e400", "\"\\", "1e", "{\"a\":\"\\ud8\"}"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn taming_keeps_what_a_tree_holds(text in r#"[\[\]{}":,\\udD89a-f0-9eE.+-]{0,60}"#) {
            let plain: Option<Value> = serde_json::from_slice(text.as_bytes()).ok();
            if let Some(plain) = plain {
                prop_assert_eq!(read(text.as_bytes()), Some(plain));
            } else {
                read(text.as_bytes());
            }
        }
    }
}
