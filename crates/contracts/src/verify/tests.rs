use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNED_AT: i64 = 1_614_265_330;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn check(signature: &str, at: i64, expect: Result<(), Refusal>) {
    let received = Received {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signature,
        body: br#"{"test": 2432232314}"#,
    };
    let keys = [VerifyingKey::parse(SECRET).expect("valid")];
    let now = Timestamp::from_unix_seconds(at);
    assert_eq!(verify(received, &keys, now), expect, "{signature} at {at}");
}

#[test]
fn the_tolerance_is_five_minutes_in_both_directions() {
    for (offset, expect) in [
        (0, Ok(())),
        (300, Ok(())),
        (301, Err(Refusal::TooOld)),
        (-300, Ok(())),
        (-301, Err(Refusal::TooNew)),
        (i64::MAX - SIGNED_AT, Err(Refusal::TooOld)),
        (i64::MIN, Err(Refusal::TooNew)),
    ] {
        check(SIGNATURE, SIGNED_AT.saturating_add(offset), expect);
    }
}

#[test]
fn one_matching_signature_of_a_list_is_enough() {
    check(&format!("v1,AAAA v2,xyz {SIGNATURE}"), SIGNED_AT, Ok(()));
    for wrong in [
        "",
        "v1,",
        "v1",
        " ",
        "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "V1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ] {
        check(wrong, SIGNED_AT, Err(Refusal::Signature));
    }
}

#[test]
fn the_timestamp_is_a_number_of_seconds() {
    for timestamp in ["", "now", "1614265330.5", "99999999999999999999"] {
        let received = Received {
            id: "a",
            timestamp,
            signature: SIGNATURE,
            body: b"",
        };
        assert_eq!(
            verify(received, &[], Timestamp::EPOCH),
            Err(Refusal::Timestamp)
        );
    }
}

#[test]
fn keys_are_read_in_all_three_forms() {
    let private = crate::signature::tests::ED25519_SECRET;
    let public = SigningKey::parse(private).expect("valid").shareable();
    for text in [SECRET, private, &public] {
        assert!(VerifyingKey::parse(text).is_ok(), "{text}");
    }
    assert_eq!(
        VerifyingKey::parse("whpk_AAAA").err(),
        Some(InvalidSecret::Ed25519Length)
    );
    assert_eq!(
        VerifyingKey::parse("whsec_").err(),
        Some(InvalidSecret::SymmetricLength)
    );
}
