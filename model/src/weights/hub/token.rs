//! The user's token: sent to the Hub, and shown to nobody.

use std::fmt;

/// A secret that neither `Display` nor `Debug` gives away.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    /// The token written in `text`; none where nothing is, or something that no header could carry.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let carried = !text.is_empty() && text.len() <= 4096 && text.bytes().all(|byte| byte.is_ascii_graphic());
        carried.then(|| Self(text.to_owned()))
    }

    /// The value of the header `Authorization`.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        let token = Token::new(" hf_geheim\n").expect("a token");
        assert_eq!(token.header(), "Bearer hf_geheim");
        assert_eq!(format!("{token:?} {:#?}", Some(&token)), "Token(secret) Some(\n    Token(secret),\n)");
        for none in ["", " \n", "a b", "a\r\nX-Evil: 1", "ü"] {
            assert_eq!(Token::new(none), None, "{none:?}");
        }
    }
}
