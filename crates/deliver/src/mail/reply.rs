//! What a mail server says, read line by line to a limit.

use std::fmt;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use watchfire_domain::limit;

/// Characters of a reply's text that are kept, for people.
const TEXT_CHARS_MAX: usize = 300;

/// A mail server's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    /// Its lines, without what could control a terminal or a log.
    lines: Vec<String>,
}

impl Reply {
    //= https://www.rfc-editor.org/rfc/rfc5321#section-4.2.1
    //# 5yz  Permanent Negative Completion reply
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// A keyword line of a reply to EHLO, such as `AUTH`, without the keyword.
    pub(super) fn offers(&self, keyword: &str) -> Option<&str> {
        let mut keywords = self.lines.iter().skip(1);
        keywords.find_map(|line| {
            let (word, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            word.eq_ignore_ascii_case(keyword).then_some(rest)
        })
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.lines.join(" ");
        let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
        write!(f, "{} {text}", self.code)
    }
}

/// Why no reply could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadFault {
    Closed,
    Malformed,
}

/// Reads replies; holds what came beyond the last.
#[derive(Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    /// Whether the server has said more than it was asked.
    pub(super) fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    //= https://www.rfc-editor.org/rfc/rfc5321#section-4.2
    //# Reply-line     = *( Reply-code "-" [ textstring ] CRLF )
    //#                  Reply-code [ SP textstring ] CRLF
    pub(super) async fn reply(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<Reply, ReadFault> {
        let mut lines = Vec::new();
        let mut first = None;
        while lines.len() < limit::MAIL_REPLY_LINES_MAX {
            let line = self.line(stream).await?;
            let (code, more, text) = parse(&line).ok_or(ReadFault::Malformed)?;
            if *first.get_or_insert(code) != code {
                return Err(ReadFault::Malformed);
            }
            lines.push(text);
            if !more {
                return Ok(Reply { code, lines });
            }
        }
        Err(ReadFault::Malformed)
    }

    async fn line(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, ReadFault> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                line.pop_if(|byte| *byte == b'\r');
                return Ok(line);
            }
            if self.buffer.len() > limit::MAIL_REPLY_LINE_BYTES_MAX {
                return Err(ReadFault::Malformed);
            }
            match stream.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Err(ReadFault::Closed),
            }
        }
    }
}

/// The code, whether another line follows, and the text.
fn parse(line: &[u8]) -> Option<(u16, bool, String)> {
    let (code, rest) = line.split_at_checked(3)?;
    let code: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
    let (more, text) = match rest.split_first() {
        None => (false, rest),
        Some((b' ', text)) => (false, text),
        Some((b'-', text)) => (true, text),
        Some(_) => return None,
    };
    let text = String::from_utf8_lossy(text);
    let text = text.chars().filter(|char| !char.is_control()).collect();
    (200..600).contains(&code).then_some((code, more, text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn read(bytes: &[u8]) -> Result<Reply, ReadFault> {
        Lines::default().reply(&mut &bytes[..]).await
    }

    #[tokio::test]
    async fn a_reply_may_have_several_lines() {
        let reply = read(b"250-mail.example.com hello\r\n250-AUTH LOGIN PLAIN\r\n250 STARTTLS\r\n");
        let reply = reply.await.expect("a reply");
        assert_eq!(reply.code, 250);
        assert_eq!(reply.offers("auth"), Some("LOGIN PLAIN"));
        assert_eq!(reply.offers("STARTTLS"), Some(""));
        assert_eq!(reply.offers("SIZE"), None);
        assert_eq!(
            reply.offers("mail.example.com"),
            None,
            "the greeting offers nothing"
        );
        assert_eq!(read(b"221\n").await.expect("bare").to_string(), "221 ");
    }

    #[tokio::test]
    async fn what_is_no_reply_is_told_apart() {
        for (bytes, fault) in [
            (&b""[..], ReadFault::Closed),
            (b"250-more\r\n", ReadFault::Closed),
            (b"HTTP/1.1 400 Bad Request\r\n", ReadFault::Malformed),
            (b"25\r\n", ReadFault::Malformed),
            (b"250+x\r\n", ReadFault::Malformed),
            (b"199 x\r\n", ReadFault::Malformed),
            (b"600 x\r\n", ReadFault::Malformed),
            (b"250-a\r\n251 b\r\n", ReadFault::Malformed),
        ] {
            assert_eq!(read(bytes).await, Err(fault), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_reply_ends_at_its_limits() {
        let line = |bytes: usize| format!("250 {}\r\n", "x".repeat(bytes));
        let max = limit::MAIL_REPLY_LINE_BYTES_MAX;
        assert!(read(line(max - 6).as_bytes()).await.is_ok());
        let endless = "2".repeat(max + 1);
        assert_eq!(read(endless.as_bytes()).await, Err(ReadFault::Malformed));
        let lines = |count: usize| "250-x\r\n".repeat(count - 1) + "250 x\r\n";
        let max = limit::MAIL_REPLY_LINES_MAX;
        assert!(read(lines(max).as_bytes()).await.is_ok());
        assert_eq!(
            read(lines(max + 1).as_bytes()).await,
            Err(ReadFault::Malformed)
        );
    }

    #[tokio::test]
    async fn a_reply_controls_no_terminal_and_no_log() {
        let reply = read(b"550 \x1b[31mno\x07 \xff\r\n").await.expect("a reply");
        assert_eq!(reply.to_string(), "550 [31mno \u{fffd}");
        let long = format!("550 {}\r\n", "y".repeat(1_000));
        let reply = read(long.as_bytes()).await.expect("a reply");
        assert_eq!(reply.to_string().len(), 4 + TEXT_CHARS_MAX);
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_is_one_reply_or_none(
            bytes in prop::collection::vec(
                prop_oneof![Just(b'2'), Just(b'5'), Just(b'0'), Just(b'-'), Just(b' '), Just(b'\r'),
                    Just(b'\n'), any::<u8>()],
                0..120,
            ),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            if let Ok(reply) = runtime.block_on(read(&bytes)) {
                let text = reply.to_string();
                prop_assert!((200..600).contains(&reply.code), "{reply:?}");
                prop_assert!(!text.contains(char::is_control), "{reply:?}");
                prop_assert!(bytes.starts_with(&text.as_bytes()[..3]), "{reply:?}");
            }
        }
    }
}
