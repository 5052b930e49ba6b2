use proptest::prelude::*;

use super::*;

fn fault(name: &str, value: &str) -> HeaderFault {
    check_header(name, value).expect_err("refused")
}

#[test]
fn every_reserved_name_is_refused_in_any_case() {
    for name in FORBIDDEN {
        for name in [(*name).to_owned(), name.to_uppercase()] {
            assert_eq!(fault(&name, "x"), HeaderFault::Reserved { name });
        }
    }
    for prefix in FORBIDDEN_PREFIXES {
        let name = format!("{prefix}id");
        assert_eq!(fault(&name, "x"), HeaderFault::Reserved { name });
    }
    for name in [
        "Proxy-Authorization",
        "X-Forwarded-For",
        "Webhook-Signature",
        "Svix-Id",
    ] {
        assert!(
            matches!(fault(name, "x"), HeaderFault::Reserved { .. }),
            "{name}"
        );
    }
}

#[test]
fn ordinary_names_pass() {
    for name in [
        "X-Api-Key",
        "authorization",
        "cookie",
        "accept",
        "x-team",
        "Auth",
    ] {
        let (_, value) = check_header(name, "Token xyz").expect("allowed");
        assert!(value.is_sensitive());
    }
}

#[test]
fn a_name_is_a_token_and_a_value_one_printable_line() {
    for name in ["", "a b", "a:b", "ä", "a\r\n", "a\0"] {
        assert_eq!(
            fault(name, "x"),
            HeaderFault::Name {
                name: name.to_owned()
            }
        );
    }
    for value in ["a\r\nb: c", "a\nb", "a\0", "\u{7f}", "ä"] {
        assert_eq!(
            fault("x-a", value),
            HeaderFault::Value {
                name: "x-a".to_owned()
            }
        );
    }
    assert!(check_header("x-a", "").is_ok());
    assert!(check_header("x-a", "tab\tand space").is_ok());
}

#[test]
fn length_number_and_size_are_limited() {
    let value = |length: usize| "v".repeat(length);
    assert!(check_header("x-a", &value(limit::HEADER_VALUE_CHARS_MAX)).is_ok());
    assert!(matches!(
        fault("x-a", &value(limit::HEADER_VALUE_CHARS_MAX + 1)),
        HeaderFault::ValueLength { .. }
    ));

    let headers = |count: usize, length: usize| -> Vec<_> {
        (0..count)
            .map(|i| (format!("x-{i:02}"), SecretText::new(value(length))))
            .collect()
    };
    let max = limit::HEADERS_PER_ENDPOINT_MAX;
    assert_eq!(check_headers(&headers(max, 1)), Ok(()));
    assert_eq!(
        check_headers(&headers(max + 1, 1)),
        Err(HeaderFault::TooMany)
    );
    let half = limit::HEADERS_BYTES_MAX / 2 - "x-00".len();
    assert_eq!(check_headers(&headers(2, half)), Ok(()));
    assert_eq!(
        check_headers(&headers(2, half + 1)),
        Err(HeaderFault::TooLarge)
    );
}

#[test]
fn a_header_may_not_be_given_twice() {
    let headers = ["X-A", "x-a"].map(|name| (name.to_owned(), SecretText::new(String::new())));
    assert_eq!(
        check_headers(&headers),
        Err(HeaderFault::Repeated {
            name: "x-a".to_owned()
        })
    );
}

proptest! {
    #[test]
    fn what_passes_can_never_break_a_request(name in "\\PC{0,12}", value in any::<String>()) {
        if let Ok((name, value)) = check_header(&name, &value) {
            prop_assert!(!is_reserved(name.as_str()));
            prop_assert!(value.as_bytes().iter().all(|b| *b == b'\t' || (0x20..0x7f).contains(b)));
        }
    }
}
