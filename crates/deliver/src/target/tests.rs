use super::*;

fn parse(text: &str) -> Target {
    Target::parse(text).unwrap_or_else(|fault| panic!("{text:?}: {fault}"))
}

fn fault(text: &str) -> UrlFault {
    match Target::parse(text) {
        Ok(target) => panic!("{text:?} became {}", target.url()),
        Err(fault) => fault,
    }
}

#[test]
fn a_url_becomes_the_parts_of_a_request() {
    let target = parse("HTTPS://Example.COM:8443/a/../b%20c?x=1&y=%2F");
    assert_eq!(target.url(), "https://example.com:8443/b%20c?x=1&y=%2F");
    assert_eq!(target.host(), &Host::Name("example.com".into()));
    assert_eq!(target.port(), 8443);
    assert_eq!(target.request_uri().to_string(), "/b%20c?x=1&y=%2F");
    assert_eq!(target.host_field(), "example.com:8443");
    assert_eq!(target.origin().to_string(), "https://example.com:8443");
    assert_eq!(target.server_name().to_str(), "example.com");
}

#[test]
fn default_ports_are_left_out_of_the_host_field_but_not_of_the_origin() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-4.2.3
    //# If the port is equal to the default port for a scheme, the normal form is to omit the port
    //# subcomponent.
    for (url, host_field, origin) in [
        (
            "http://example.com:80",
            "example.com",
            "http://example.com:80",
        ),
        (
            "https://example.com:443/",
            "example.com",
            "https://example.com:443",
        ),
        (
            "http://example.com:443/",
            "example.com:443",
            "http://example.com:443",
        ),
        (
            "https://[2606:4700::1]/",
            "[2606:4700::1]",
            "https://[2606:4700::1]:443",
        ),
        (
            "http://93.184.215.14:8080/",
            "93.184.215.14:8080",
            "http://93.184.215.14:8080",
        ),
    ] {
        let target = parse(url);
        assert_eq!(target.host_field(), host_field, "{url}");
        assert_eq!(target.origin().to_string(), origin, "{url}");
        assert_eq!(parse(target.url()).url(), target.url(), "{url}");
    }
}

#[test]
fn case_and_a_trailing_dot_make_no_other_host() {
    for url in [
        "https://example.com/x",
        "https://EXAMPLE.com/x",
        "https://example.com./x",
        "https://Example.Com.:443/x",
    ] {
        let target = parse(url);
        assert_eq!(target.url(), "https://example.com/x", "{url}");
        assert_eq!(
            target.origin(),
            parse("https://example.com/").origin(),
            "{url}"
        );
    }
    assert_eq!(fault("https://example.com../"), UrlFault::Host);
    assert_eq!(fault("https://.example.com/"), UrlFault::Host);
    assert_eq!(fault("https://a..example.com/"), UrlFault::Host);
}

#[test]
fn a_host_that_means_another_is_refused_with_its_meaning() {
    for (url, meaning) in [
        ("http://2130706433/", "127.0.0.1"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("http://0x7f000001/", "127.0.0.1"),
        ("http://127.1/", "127.0.0.1"),
        ("http://127.0.1/", "127.0.0.1"),
        ("http://0177.0.0.1/", "127.0.0.1"),
        ("http://127.0.0.1./", "127.0.0.1"),
        ("http://１２７.0.0.1/", "127.0.0.1"),
        ("http://127。0。0。1/", "127.0.0.1"),
        ("http://%31%32%37.0.0.1/", "127.0.0.1"),
        ("http://0/", "0.0.0.0"),
        ("http://[::127.0.0.1]/", "[::7f00:1]"),
        ("http://[::ffff:127.0.0.1]/", "[::ffff:7f00:1]"),
        ("http://[0:0:0:0:0:0:0:1]/", "[::1]"),
        ("http://[0000::1]/", "[::1]"),
        ("http://ⓛocalhost/", "localhost"),
        ("http://exam\u{ad}ple.com/", "example.com"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http://ex%61mple.com/", "example.com"),
        ("http:///example.com/", "example.com"),
        ("http:////example.com/", "example.com"),
    ] {
        let expected = meaning.to_owned();
        match fault(url) {
            UrlFault::HostMeans { means, .. } => assert_eq!(means, expected, "{url}"),
            UrlFault::Host if url.starts_with("http:///") => {}
            other => panic!("{url}: {other:?}"),
        }
    }
}

#[test]
fn characters_that_parsers_strip_or_turn_round_are_refused() {
    for (url, found) in [
        ("http://example.com/\r\nX: 1", '\r'),
        ("http://example.com/a\nb", '\n'),
        ("http://exa\tmple.com/", '\t'),
        ("http://example.com/a\0b", '\0'),
        (" http://example.com/", ' '),
        ("http://example.com/ ", ' '),
        ("http://example.com/a b", ' '),
        ("http://example.com\\@127.0.0.1/", '\\'),
        ("https:/\\127.0.0.1/", '\\'),
        ("http://example.com/\u{85}", '\u{85}'),
        ("http://example.com/\u{2028}", '\u{2028}'),
        ("http://example.com/\u{7f}", '\u{7f}'),
    ] {
        assert_eq!(fault(url), UrlFault::Character { found }, "{url:?}");
    }
}

#[test]
fn only_http_and_https_in_any_case_are_schemes() {
    parse("hTTp://example.com/");
    parse("HTTPS://example.com/");
    for url in [
        "FILE:///etc/passwd",
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "javascript:alert(1)",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
        "unix:/var/run/docker.sock",
        "data:text/plain,x",
        "ws://example.com/",
        "httpss://example.com/",
        "://example.com/",
    ] {
        assert_eq!(fault(url), UrlFault::Scheme, "{url}");
    }
}

#[test]
fn user_names_and_passwords_are_refused() {
    for url in [
        "http://good@127.0.0.1/",
        "http://user:pass@example.com/",
        "http://@example.com/",
        "http://:@example.com/",
        "http://example.com:80@127.0.0.1/",
        "http://example.com%2f@127.0.0.1/",
        "http://a@b@example.com/",
    ] {
        assert_eq!(fault(url), UrlFault::Userinfo, "{url}");
    }
    parse("http://example.com/a@b?c@d");
}

#[test]
fn fragments_are_refused() {
    assert_eq!(fault("http://example.com/#x"), UrlFault::Fragment);
    assert_eq!(fault("http://example.com/#"), UrlFault::Fragment);
    parse("http://example.com/%23x");
}

#[test]
fn what_is_no_url_or_has_no_host_is_refused() {
    for url in ["", "x", "example.com", "/path", "//example.com/"] {
        assert_eq!(fault(url), UrlFault::Syntax, "{url:?}");
    }
    for url in [
        "http:example.com",
        "http:/example.com",
        "http://example.com:99999/",
        "http://example.com:8x/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[example.com]/",
        "http://[::1/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://exa<mple.com/",
    ] {
        assert_eq!(fault(url), UrlFault::Syntax, "{url:?}");
    }
    for url in [
        "http://",
        "http://?x",
        "http:///",
        "http://-/",
        "http://*.example.com/",
    ] {
        let fault = fault(url);
        assert!(
            matches!(fault, UrlFault::Host | UrlFault::Syntax),
            "{url}: {fault}"
        );
    }
}

#[test]
fn a_url_has_a_longest_length() {
    let base = "https://example.com/";
    let fits = format!("{base}{}", "a".repeat(limit::URL_CHARS_MAX - base.len()));
    parse(&fits);
    let chars_max = limit::URL_CHARS_MAX;
    assert_eq!(fault(&format!("{fits}a")), UrlFault::TooLong { chars_max });
}

#[test]
fn debug_shows_no_path() {
    let shown = format!(
        "{:?}",
        parse("https://example.com/services/T000/secret?key=secret")
    );
    assert_eq!(shown, "Target(https://example.com:443/…)");
}

proptest::proptest! {
    #[test]
    fn a_parsed_url_parses_to_itself(text in "https?://[a-z0-9.%:\\[\\]-]{1,20}(/[ -~]{0,20})?") {
        if let Ok(target) = Target::parse(&text) {
            let again = Target::parse(target.url()).expect("what was serialized parses");
            proptest::prop_assert_eq!(again.url(), target.url());
            proptest::prop_assert_eq!(again.origin(), target.origin());
        }
    }

    #[test]
    fn no_text_panics(text in ".*") {
        if let Ok(target) = Target::parse(&text) {
            proptest::prop_assert!(target.url().is_ascii());
        }
    }

    /// Two parsers that were written apart agree on where the request would go.
    #[test]
    fn another_parser_sees_the_same_host(text in "https?://[a-z0-9.%:@/\\[\\]-]{1,20}(/[ -~]{0,9})?") {
        if let Ok(target) = Target::parse(&text) {
            let other: Uri = target.url().parse().expect("a URL for both");
            let host = target.host().to_string();
            proptest::prop_assert_eq!(other.host(), Some(host.as_str()));
        }
    }
}
