//! The access token, which is sent to the Hub and shown to nobody.

use std::fmt;
use std::path::PathBuf;

use ureq::http::HeaderValue;

use crate::error::{Error, Result};

/// An access token and where it came from. `Debug` shows only the latter.
#[derive(Clone)]
pub struct Token {
    /// `Bearer <token>`, which the HTTP library treats as sensitive and does not log.
    header: HeaderValue,
    source: TokenSource,
}

impl Token {
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

    /// Whether `text` gives the token away.
    pub(crate) fn occurs_in(&self, text: &str) -> bool {
        let header = self.header.as_bytes();
        let token = header.strip_prefix(b"Bearer ").unwrap_or(header);
        text.as_bytes().windows(token.len()).any(|window| window == token)
    }

    /// The value of the Authorization header.
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(from {})", self.source)
    }
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
        let token = Token::new(" hf_secret\r\n", SOURCE).expect("a token").expect("not empty");
        assert_eq!(token.header().to_str().expect("ASCII"), "Bearer hf_secret");
        assert!(Token::new(" \n", SOURCE).expect("no token").is_none());
    }

    #[test]
    fn a_token_is_found_where_it_stands() {
        let token = Token::new("hf_secret", SOURCE).expect("a token").expect("not empty");
        assert!(
            token.occurs_in("no such token: hf_secret!")
                && !token.occurs_in("hf_secre")
                && !token.occurs_in("")
        );
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new("hf_secret", SOURCE).expect("a token").expect("not empty");
        assert_eq!(format!("{token:?}"), "Token(from HF_TOKEN)");
        let error = Token::new("hf_sec ret", SOURCE).expect_err("a space inside");
        assert_eq!(error.to_string(), "the token from HF_TOKEN holds characters that no token has");
        assert!(!format!("{error:?}").contains("sec"));
    }
}
