//! `owner/repo[@revision][:file]`: how a model on the Hub is written.

use std::fmt;

use crate::{Error, Result};

/// A repository on the Hub, or one file in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `owner/repo`.
    repository: String,
    /// A branch, a tag or a commit.
    revision: String,
    /// One file of it.
    file: Option<String>,
}

/// The branch that is meant where none is named.
const MAIN: &str = "main";

/// Longest name of an owner or a repository (huggingface_hub `utils/_validators.py`).
const LONGEST_NAME: usize = 96;

impl Reference {
    /// Reads `owner/repo[@revision][:file]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let no = |what: &str| {
            Error::invalid(format!("'{text}' names no repository: {what}"), "write it as owner/repo or owner/repo:file")
        };
        let (place, file) = match text.split_once(':') {
            Some((place, file)) => (place, Some(file)),
            None => (text, None),
        };
        let (repository, revision) = place.split_once('@').unwrap_or((place, MAIN));
        match repository.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) => {}
            _ => return Err(no("an owner and a name of letters, digits, '-', '_' and '.' are expected")),
        }
        if !is_revision(revision) {
            return Err(no("the revision after '@' is none"));
        }
        if file.is_some_and(|file| !is_file_name(file)) {
            return Err(no("the file after ':' is none"));
        }
        let owned = |text: &str| text.to_owned();
        Ok(Self { repository: owned(repository), revision: owned(revision), file: file.map(owned) })
    }

    /// `owner/repo`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// A branch, a tag or a commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The file, where one is named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The commit, where the revision is one.
    pub(super) fn commit(&self) -> Option<&str> {
        Some(self.revision.as_str()).filter(|revision| is_hexadecimal(revision, 40))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if self.revision != MAIN {
            write!(f, "@{}", self.revision)?;
        }
        if let Some(file) = &self.file {
            write!(f, ":{file}")?;
        }
        Ok(())
    }
}

/// An owner's or a repository's name.
fn is_name(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=LONGEST_NAME).contains(&text.len())
        && text.chars().all(known)
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
        && !text.contains("--")
        && !text.contains("..")
}

/// A branch, a tag or a commit, safe as the name of a file below `refs/`.
fn is_revision(text: &str) -> bool {
    is_file_name(text) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+'))
}

/// Whether `text` names a file inside a folder, on every system: relative, forwards, without anything that a path or a
/// terminal could be led astray by. Names of files come from the network, and are data.
pub(super) fn is_file_name(text: &str) -> bool {
    let plain = |part: &str| (1..=255).contains(&part.len()) && !part.ends_with(['.', ' ']) && !part.starts_with(' ');
    let odd = |c: char| c.is_control() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    text.len() <= 1024 && !text.contains(odd) && text.split('/').all(plain)
}

/// Whether `text` is a hash of `digits` lower-case hexadecimal digits.
pub(super) fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written_the_same_way() {
        for text in ["a/b", "black-forest-labs/FLUX.1-schnell", "a/b@v1.0:q/x-Q4_K_S.gguf", "a/b@refs/pr/3", "a/b:c"] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        let whole = Reference::parse("city96/FLUX.1-dev-gguf@main:flux1-dev-Q4_0.gguf").unwrap();
        assert_eq!(whole.to_string(), "city96/FLUX.1-dev-gguf:flux1-dev-Q4_0.gguf");
        let parts = (whole.repository(), whole.revision(), whole.file(), whole.commit());
        assert_eq!(parts, ("city96/FLUX.1-dev-gguf", "main", Some("flux1-dev-Q4_0.gguf"), None));
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(Reference::parse(&format!("a/b@{commit}")).unwrap().commit(), Some(commit));
    }

    #[test]
    fn what_leads_out_of_a_folder_is_no_reference() {
        for text in [
            "",
            "a",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "./b",
            "../b",
            "a/..",
            "a/.b",
            "~/b",
            "a b/c",
            "a/b--c",
            "C:\\a/b",
            "a/b@",
            "a/b@../x",
            "a/b@/x",
            "a/b@x y",
            "a/b:",
            "a/b:../x",
            "a/b:/x",
            "a/b:x//y",
            "a/b:x/../y",
            "a/b:x\\y",
            "a/b:x\0",
            "a/b:x\n",
            "a/b:c:d",
            "a/b:.",
            "a/b:x/.",
            "https://a/b",
            "ä/b",
        ] {
            let error = Reference::parse(text).unwrap_err();
            assert!(error.to_string().contains("names no repository"), "{text}: {error}");
        }
        assert!(Reference::parse(&format!("{}/b", "a".repeat(97))).is_err());
        assert!(Reference::parse(&format!("a/b:{}", "x/".repeat(600) + "y")).is_err());
    }
}
