use proptest::prelude::*;

use super::*;
use crate::verify::{Received, Refusal, VerifyingKey, verify};
use watchfire_domain::time::Timestamp;

pub(crate) const ED25519_SECRET: &str =
    "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn signer(secret: &str) -> Signer {
    Signer::new(&SigningKey::parse(secret).expect("valid")).expect("halves belong together")
}

fn check(content: Content<'_>, secrets: &[&str], expect: &str) {
    let signers: Vec<_> = secrets.iter().map(|secret| signer(secret)).collect();
    assert_eq!(sign(signers.iter(), content), expect);
}

#[test]
fn the_vector_of_the_specification_s_libraries_is_met() {
    //= https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
    //# a symmetric signature will be v1, followed by a comma (`,`), followed by the base64 encoded signature
    let content = Content {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        body: br#"{"test": 2432232314}"#,
    };
    let expect = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    check(content, &[SECRET], expect);
}

#[test]
fn several_keys_sign_in_their_order_separated_by_spaces() {
    //= https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#webhook-headers-sending-metadata-to-consumers
    //# The signature header is a space delimited list of signatures associated with this webhook.
    let content = Content {
        id: "a",
        timestamp: "1",
        body: b"{}",
    };
    let signers = [signer(SECRET), signer(ED25519_SECRET)];
    let header = sign(signers.iter(), content);
    let versions: Vec<_> = header
        .split(' ')
        .map(|entry| entry.split_once(',').expect("versioned").0)
        .collect();
    assert_eq!(versions, ["v1", "v1a"]);
}

#[test]
fn halves_of_different_keys_are_refused() {
    let SigningKey::Ed25519(mut bytes) = SigningKey::parse(ED25519_SECRET).expect("valid") else {
        panic!("an ed25519 key");
    };
    bytes[40] ^= 1;
    assert_eq!(
        Signer::new(&SigningKey::Ed25519(bytes)).err(),
        Some(KeyMismatch)
    );
}

#[test]
fn no_key_is_shown_in_debug() {
    assert_eq!(format!("{:?}", signer(SECRET)), "[symmetric signer]");
    assert_eq!(format!("{:?}", signer(ED25519_SECRET)), "[ed25519 signer]");
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_one_flipped_bit_does_not(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        id in "[A-Za-z0-9_]{1,40}",
        bit in 0usize..4096,
        asymmetric in any::<bool>(),
    ) {
        let secret = if asymmetric { ED25519_SECRET } else { SECRET };
        let keys = [VerifyingKey::parse(secret).expect("valid")];
        let timestamp = "1700000000";
        let signature = sign([signer(secret)].iter(), Content { id: &id, timestamp, body: &body });
        let now = Timestamp::from_unix_seconds(1_700_000_000);
        let received = |body| Received { id: &id, timestamp, signature: &signature, body };
        prop_assert_eq!(verify(received(&body), &keys, now), Ok(()));
        if !body.is_empty() {
            let mut body = body.clone();
            let bit = bit % (body.len() * 8);
            body[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verify(received(&body), &keys, now), Err(Refusal::Signature));
        }
    }

    #[test]
    fn no_part_of_a_signature_verifies(cut in 0usize..88, asymmetric in any::<bool>()) {
        let secret = if asymmetric { ED25519_SECRET } else { SECRET };
        let keys = [VerifyingKey::parse(secret).expect("valid")];
        let content = Content { id: "a", timestamp: "1700000000", body: b"{}" };
        let full = sign([signer(secret)].iter(), content);
        let part = &full[..full.len().saturating_sub(1 + cut)];
        let received = Received { id: "a", timestamp: "1700000000", signature: part, body: b"{}" };
        let now = Timestamp::from_unix_seconds(1_700_000_000);
        prop_assert_eq!(verify(received, &keys, now), Err(Refusal::Signature));
    }
}
