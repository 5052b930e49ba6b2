use proptest::prelude::*;

use super::*;

struct Fixed(u8);

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

#[test]
fn known_ksuid_reads_and_writes() {
    // The organisation id that tokens of Svix's server carry by default.
    let text = "23rb8YdGqMT0qIzpgGwdXfHirMu";
    let id: Ksuid = text.parse().expect("valid");
    assert_eq!(id.to_string(), text);
}

#[test]
fn largest_and_smallest_ids_have_the_documented_text() {
    assert_eq!(Ksuid::MIN.to_string(), "0".repeat(27));
    assert_eq!(Ksuid::MAX.to_string(), "aWgEPTl1tmebfsQzFP4bxwgy80V");
    assert_eq!(
        "aWgEPTl1tmebfsQzFP4bxwgy80W".parse::<Ksuid>(),
        Err(InvalidId::Range)
    );
}

#[test]
fn wrong_texts_are_named() {
    assert_eq!("ep_x".parse::<MessageId>(), Err(InvalidId::Prefix("msg_")));
    assert_eq!("msg_x".parse::<MessageId>(), Err(InvalidId::Length));
    let bad = format!("msg_{}", "!".repeat(27));
    assert_eq!(bad.parse::<MessageId>(), Err(InvalidId::Digit));
}

#[test]
fn uid_must_not_look_like_an_id() {
    let refused = Uid::for_prefix("app_mine".to_owned(), ApplicationId::PREFIX);
    assert_eq!(refused, Err(InvalidName::ReservedPrefix("app_")));
    assert!(Uid::for_prefix("mine".to_owned(), ApplicationId::PREFIX).is_ok());
}

#[test]
fn names_have_bounds() {
    assert!("a".repeat(256).parse::<Uid>().is_ok());
    assert_eq!("a".repeat(257).parse::<Uid>(), Err(InvalidName::Length));
    assert_eq!("".parse::<Uid>(), Err(InvalidName::Length));
    assert_eq!("a b".parse::<EventType>(), Err(InvalidName::Charset));
}

proptest! {
    #[test]
    fn bytes_round_trip_and_sort_like_text(a: [u8; 20], b: [u8; 20]) {
        let (a, b) = (Ksuid::from_bytes(a), Ksuid::from_bytes(b));
        prop_assert_eq!(a.to_string().parse::<Ksuid>(), Ok(a));
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn time_is_kept_to_four_milliseconds(micros in 1_400_000_000_000_000i64..3_000_000_000_000_000) {
        let at = Timestamp::from_unix_micros(micros);
        let id = Ksuid::new(at, &Fixed(7));
        prop_assert!(id.created_at() <= at);
        prop_assert!(at.since(id.created_at()).as_micros() < 3_907);
        prop_assert!(Ksuid::first_at(at) <= id);
    }

    #[test]
    fn any_text_is_refused_or_read(text in ".{0,40}") {
        if let Ok(id) = text.parse::<Ksuid>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}
