//! A letter as the bytes that travel: headers, and the text twice, plain and as HTML.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use watchfire_domain::mail::Mailbox;
use watchfire_domain::time::Timestamp;

use super::Letter;

//= https://www.rfc-editor.org/rfc/rfc2045#section-6.7
//# The Quoted-Printable encoding REQUIRES that encoded lines be no more than 76 characters long.
const LINE_CHARS_MAX: usize = 76;
/// Characters of a subject: more is shown nowhere.
const SUBJECT_CHARS_MAX: usize = 200;
/// Bytes of text in one encoded word: with its frame and base64 it stays under the 75 characters
/// that RFC 2047 allows.
const WORD_BYTES_MAX: usize = 42;

/// The whole message, every line ended by CRLF.
pub(super) fn compose(letter: &Letter, from: &Mailbox) -> String {
    let mut message = String::new();
    let boundary = format!("=_{}", letter.id);
    let headers = [
        ("Date", date(letter.at)),
        ("From", mailbox(from)),
        ("To", letter.to.to_string()),
        ("Subject", unstructured(&letter.subject)),
        (
            "Message-ID",
            format!("<{}@{}>", letter.id, from.address.domain()),
        ),
        //= https://www.rfc-editor.org/rfc/rfc3834#section-5
        //# The Auto-Submitted field, when supplied with any value other than "no", indicates that
        //# this message should not be automatically responded to by automatic responders.
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("MIME-Version", "1.0".to_owned()),
        (
            "Content-Type",
            format!("multipart/alternative;\r\n boundary=\"{boundary}\""),
        ),
    ];
    for (name, value) in headers {
        push(&mut message, format_args!("{name}: {value}\r\n"));
    }
    for (kind, text) in [("plain", &letter.text), ("html", &letter.html)] {
        push(
            &mut message,
            format_args!(
                "\r\n--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n\
                 Content-Transfer-Encoding: quoted-printable\r\n\r\n"
            ),
        );
        quoted_printable(text, &mut message);
    }
    push(&mut message, format_args!("\r\n--{boundary}--\r\n"));
    message
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string grows");
}

//= https://www.rfc-editor.org/rfc/rfc5322#section-3.3
//# date-time       =   [ day-of-week "," ] date time [CFWS]
fn date(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = at.to_string();
    let month: usize = text[5..7].parse().expect("RFC 3339 has a month there");
    let days = at.unix_seconds().div_euclid(24 * 60 * 60).rem_euclid(7);
    let day = DAYS[usize::try_from(days).expect("a remainder of 7")];
    format!(
        "{day}, {} {} {} {} +0000",
        &text[8..10],
        MONTHS[month - 1],
        &text[..4],
        &text[11..19]
    )
}

fn mailbox(mailbox: &Mailbox) -> String {
    match &mailbox.name {
        None => mailbox.address.to_string(),
        Some(name) => format!("{} <{}>", phrase(name), mailbox.address),
    }
}

/// A name before an address: quoted, or encoded if it is not ASCII.
fn phrase(name: &str) -> String {
    let name = one_line(name);
    if name.is_ascii() {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        encoded_words(&name)
    }
}

fn unstructured(text: &str) -> String {
    let text: String = one_line(text).chars().take(SUBJECT_CHARS_MAX).collect();
    // What looks like an encoded word would be read as one.
    if text.is_ascii() && text.len() <= LINE_CHARS_MAX && !text.contains("=?") {
        text
    } else {
        encoded_words(&text)
    }
}

/// Nothing that ends a header survives: control characters become spaces.
fn one_line(text: &str) -> String {
    let plain = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char });
    let plain: String = plain.collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

//= https://www.rfc-editor.org/rfc/rfc2047#section-2
//# An 'encoded-word' may not be more than 75 characters long, including 'charset', 'encoding',
//# 'encoded-text', and delimiters.
fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut word = String::new();
    for char in text.chars() {
        if word.len() + char.len_utf8() > WORD_BYTES_MAX {
            words.push(std::mem::take(&mut word));
        }
        word.push(char);
    }
    words.push(word);
    let words = words
        .iter()
        .map(|word| format!("=?utf-8?B?{}?=", BASE64.encode(word)));
    words.collect::<Vec<_>>().join("\r\n ")
}

/// Encodes a text; whatever ends its lines, they end by CRLF.
fn quoted_printable(text: &str, into: &mut String) {
    for line in text.lines() {
        let mut column = 0;
        let bytes = line.as_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            let is_last = index + 1 == bytes.len();
            // Spaces at the end of a line may be lost on the way.
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~')
                || (matches!(byte, b' ' | b'\t') && !is_last);
            let width = if plain { 1 } else { 3 };
            if column + width > LINE_CHARS_MAX - 1 {
                into.push_str("=\r\n");
                column = 0;
            }
            if plain {
                into.push(char::from(*byte));
            } else {
                push(into, format_args!("={byte:02X}"));
            }
            column += width;
        }
        into.push_str("\r\n");
    }
}

//= https://www.rfc-editor.org/rfc/rfc5321#section-4.5.2
//# Before sending a line of mail text, the SMTP client checks the first character of the line.  If
//# it is a period, one additional period is inserted at the beginning of the line.
pub(super) fn with_stuffed_dots(message: &str) -> String {
    let stuffed = message.replace("\r\n.", "\r\n..");
    if stuffed.starts_with('.') {
        format!(".{stuffed}")
    } else {
        stuffed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            id: "ntf_2".to_owned(),
            to: "admin@example.com".parse().expect("valid"),
            at: Timestamp::parse("2026-02-20T10:30:05.5Z").expect("valid"),
            subject: "An endpoint is disabled".to_owned(),
            text: "Hello\nWorld".to_owned(),
            html: "<p>Hello</p>".to_owned(),
        }
    }

    fn from() -> Mailbox {
        "Watchfire <watch@hooks.example.com>"
            .parse()
            .expect("valid")
    }

    #[test]
    fn a_letter_is_composed() {
        let expect = "Date: Fri, 20 Feb 2026 10:30:05 +0000\r\n\
            From: \"Watchfire\" <watch@hooks.example.com>\r\n\
            To: admin@example.com\r\n\
            Subject: An endpoint is disabled\r\n\
            Message-ID: <ntf_2@hooks.example.com>\r\n\
            Auto-Submitted: auto-generated\r\n\
            MIME-Version: 1.0\r\n\
            Content-Type: multipart/alternative;\r\n boundary=\"=_ntf_2\"\r\n\
            \r\n--=_ntf_2\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\nHello\r\nWorld\r\n\
            \r\n--=_ntf_2\r\nContent-Type: text/html; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>Hello</p>\r\n\
            \r\n--=_ntf_2--\r\n";
        assert_eq!(compose(&letter(), &from()), expect);
    }

    #[test]
    fn no_text_becomes_a_header_or_ends_the_message() {
        let hostile = Letter {
            subject: "x\r\nBcc: victim@example.com\r\n\r\n.\r\nMAIL FROM:<a@b>\u{0}".to_owned(),
            text: ".\n..\n--=_ntf_2\nline\r.\r\nend".to_owned(),
            html: "\n.\n".to_owned(),
            ..letter()
        };
        let hostile_from: Mailbox = "\"; Bcc\\\" <a@b.c>".parse().expect("valid");
        let sent = with_stuffed_dots(&compose(&hostile, &hostile_from));
        let (head, body) = sent.split_once("\r\n\r\n").expect("a head and a body");
        let names: Vec<_> = head
            .split("\r\n")
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split_once(':').map(|(name, _)| name))
            .collect();
        let expect = [
            "Date",
            "From",
            "To",
            "Subject",
            "Message-ID",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
        ];
        assert_eq!(names, expect);
        assert!(
            !body.split("\r\n").any(|line| line == "."),
            "nothing ends it early"
        );
        assert_eq!(
            body.matches("--=_ntf_2").count(),
            3,
            "nobody else ends a part"
        );
        assert!(
            sent.split("\r\n")
                .all(|line| !line.contains(['\r', '\n', '\0']))
        );
    }

    #[test]
    fn lines_stay_short_and_what_they_say_survives() {
        let text = format!("{}\n{} \nÄ=\t", "ä".repeat(100), "a b ".repeat(60));
        let mut encoded = String::new();
        quoted_printable(&text, &mut encoded);
        assert!(encoded.is_ascii());
        assert!(
            encoded
                .split("\r\n")
                .all(|line| line.len() <= LINE_CHARS_MAX)
        );
        assert!(
            encoded
                .split("\r\n")
                .all(|line| !line.ends_with([' ', '\t']))
        );
        assert_eq!(decoded(&encoded), text.replace('\n', "\r\n") + "\r\n");
    }

    /// What any reader of mail does.
    fn decoded(encoded: &str) -> String {
        let joined = encoded.replace("=\r\n", "");
        let mut bytes = Vec::new();
        let mut rest = joined.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'=' {
                let digits = [rest.next().expect("digit"), rest.next().expect("digit")];
                let digits = std::str::from_utf8(&digits).expect("ASCII");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_subject_beyond_ascii_is_encoded_in_short_words() {
        let subject = unstructured(&"Störung — ☃ ".repeat(30));
        assert!(subject.is_ascii());
        let mut text = String::new();
        for word in subject.split("\r\n ") {
            assert!(word.len() <= 75, "{word}");
            let word = word
                .strip_prefix("=?utf-8?B?")
                .and_then(|word| word.strip_suffix("?="));
            let bytes = BASE64
                .decode(word.expect("an encoded word"))
                .expect("base64");
            text.push_str(std::str::from_utf8(&bytes).expect("whole characters"));
        }
        assert_eq!(text.chars().count(), SUBJECT_CHARS_MAX);
        assert!("Störung — ☃ ".repeat(30).starts_with(&text));
        assert!(unstructured("=?utf-8?Q?x?=").starts_with("=?utf-8?B?"));
    }

    #[test]
    fn dates_are_written_as_mail_has_them() {
        let check = |at: &str, expect: &str| {
            assert_eq!(date(Timestamp::parse(at).expect("valid")), expect);
        };
        check("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 +0000");
        check("2026-11-21T15:30:10Z", "Sat, 21 Nov 2026 15:30:10 +0000");
        check(
            "2024-02-29T23:59:59.999999Z",
            "Thu, 29 Feb 2024 23:59:59 +0000",
        );
    }
}
