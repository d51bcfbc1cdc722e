//! The access token, which is sent to the Hub and shown to nobody.

use std::fmt;
use std::path::PathBuf;

use ureq::http::HeaderValue;

use crate::error::{Error, Result};

/// What stands for a token.
const MASK: &str = "***";

/// An access token and where it came from. `Debug` shows only the latter.
#[derive(Clone)]
pub struct AccessToken {
    /// `Bearer <token>`, which the HTTP library treats as sensitive and does not log.
    header: HeaderValue,
    source: TokenSource,
}

impl AccessToken {
    /// The token in `text`, spaces and line breaks around it removed; `None` where nothing remains.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] if it holds a character other than visible ASCII.
    pub fn new(text: &str, source: TokenSource) -> Result<Option<Self>> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::InvalidToken { source_of_token: source });
        }
        let mut header =
            HeaderValue::from_str(&format!("Bearer {text}")).expect("visible ASCII is a valid header value");
        header.set_sensitive(true);
        Ok(Some(Self { header, source }))
    }

    /// Where the token came from.
    #[must_use]
    pub fn source(&self) -> &TokenSource {
        &self.source
    }

    /// Whether `text` gives the token away, in letters of whatever case: a host's name has lost it. An address may
    /// quote characters.
    pub(crate) fn occurs_in(&self, text: &str) -> bool {
        self.first_in(text.as_bytes()).is_some() || self.first_in(&unquoted(text)).is_some()
    }

    /// `text` with `***` where the token stands.
    pub(crate) fn masked_in(&self, text: &str) -> String {
        if self.first_in(&unquoted(text)).is_some() && self.first_in(text.as_bytes()).is_none() {
            return MASK.to_owned();
        }
        let mut masked = String::new();
        let mut rest = text;
        while let Some(at) = self.first_in(rest.as_bytes()) {
            masked.push_str(&rest[..at]);
            masked.push_str(MASK);
            rest = &rest[at + self.bytes().len()..];
        }
        masked + rest
    }

    /// Where the token stands first. It is ASCII, so a text can be cut before and behind it.
    fn first_in(&self, text: &[u8]) -> Option<usize> {
        let token = self.bytes();
        text.windows(token.len()).position(|window| window.eq_ignore_ascii_case(token))
    }

    fn bytes(&self) -> &[u8] {
        let header = self.header.as_bytes();
        header.strip_prefix(b"Bearer ").unwrap_or(header)
    }

    /// The value of the Authorization header.
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(from {})", self.source)
    }
}

/// The bytes that a text stands for where `%41` is an `A`.
fn unquoted(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

/// Where a token came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSource {
    /// An environment variable of this name.
    Variable(&'static str),
    /// A file, as `hf auth login` writes it.
    File(PathBuf),
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: TokenSource = TokenSource::Variable("HF_TOKEN");

    #[test]
    fn spaces_around_a_token_are_removed() {
        let token = AccessToken::new(" hf_secret\r\n", SOURCE).expect("a token").expect("not empty");
        assert_eq!(token.header().to_str().expect("ASCII"), "Bearer hf_secret");
        assert!(AccessToken::new(" \n", SOURCE).expect("no token").is_none());
    }

    #[test]
    fn a_token_is_found_where_it_stands() {
        let token = AccessToken::new("hf_secret", SOURCE).expect("a token").expect("not empty");
        assert!(
            token.occurs_in("no such token: hf_secret!")
                && !token.occurs_in("hf_secre")
                && !token.occurs_in("")
        );
        assert!(token.occurs_in("http://HF_Secret.test/") && token.occurs_in("/x?t=hf%5Fsecre%74"));
    }

    #[test]
    fn a_token_is_masked_wherever_it_stands() {
        let token = AccessToken::new("hf_secret", SOURCE).expect("a token").expect("not empty");
        for (text, expected) in [
            ("no such token: hf_secret!", "no such token: ***!"),
            ("hf_secrethf_secretä", "******ä"),
            ("HF_SECRET", "***"),
            ("a?t=hf%5Fsecret", "***"),
            ("hf_secre", "hf_secre"),
        ] {
            assert_eq!(token.masked_in(text), expected);
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = AccessToken::new("hf_secret", SOURCE).expect("a token").expect("not empty");
        assert_eq!(format!("{token:?}"), "Token(from HF_TOKEN)");
        let error = AccessToken::new("hf_sec ret", SOURCE).expect_err("a space inside");
        assert_eq!(error.to_string(), "the token from HF_TOKEN holds characters that no token has");
        assert!(!format!("{error:?}").contains("sec"));
    }
}
