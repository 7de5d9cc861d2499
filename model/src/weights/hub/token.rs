//! The user's token: sent to the Hub, and shown to nobody.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};

use super::{Hub, partial};
use crate::{Error, Result};

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

impl Hub {
    /// Whether the user has a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Writes `text` down as the user's token, where huggingface_hub reads it too, in a file that nobody else may read;
    /// an empty text takes the token away. What `HF_TOKEN` says in the environment counts more.
    ///
    /// # Errors
    /// [`Error::Invalid`] if that is no token, [`Error::Hub`] if it cannot be written.
    pub fn keep_token(&mut self, text: &str) -> Result<()> {
        let Some(file) = self.token_file.clone() else {
            return Err(Error::invalid("this user has no folder to keep a token in", "set HOME or HF_HOME"));
        };
        let failed = |error| partial::unwritable(&file, error);
        if text.trim().is_empty() {
            self.token = None;
            return match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            };
        }
        let hint = "copy it from https://huggingface.co/settings/tokens; it begins with hf_";
        let token = Token::new(text).ok_or_else(|| Error::invalid("that is no token", hint))?;
        fs::create_dir_all(file.parent().unwrap_or(&file)).map_err(failed)?;
        let beside = file.with_extension(format!("{}.part", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written =
            options.open(&beside).and_then(|mut to| to.write_all(token.0.as_bytes()).and_then(|()| to.sync_all()));
        written.and_then(|()| fs::rename(&beside, &file)).map_err(|error| {
            let _ = fs::remove_file(&beside);
            failed(error)
        })?;
        self.token = Some(token);
        Ok(())
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

    #[test]
    #[cfg(unix)]
    fn a_token_is_kept_where_only_the_user_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().expect("a folder");
        let hub = || Hub::from_surroundings(|_| None, Some(home.path()));
        assert!(!hub().has_token());
        let mut first = hub();
        first.keep_token(" hf_geheim\n").expect("kept");
        assert!(first.has_token() && hub().token == Token::new("hf_geheim"));
        let file = home.path().join(".cache/huggingface/token");
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(first.keep_token("two words").is_err() && hub().has_token(), "the old one stays");
        first.keep_token("").expect("taken away");
        assert!(!file.exists() && !hub().has_token());
        first.keep_token("").expect("nothing to take away");
        assert_eq!(fs::read_dir(file.parent().expect("a folder")).expect("a folder").count(), 0);
    }
}
