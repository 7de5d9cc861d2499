//! What is in a repository, as the Hub says: its commit, its files with their sizes and hashes, its terms.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::connection::{Answer, Connection};
use super::digest::Digest;
use super::reference::{Reference, is_file_name, is_hexadecimal};
use super::retries::Trouble;
use crate::Error;

/// A repository at one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    pub(super) reference: Reference,
    pub(super) commit: String,
    /// Every file, in the Hub's order.
    pub files: Vec<RemoteFile>,
    /// Whether its licence must be accepted before it is sent.
    pub gated: bool,
    /// Its licence, as its owner calls it.
    pub licence: Option<String>,
}

/// A file in a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteFile {
    /// Its path in the repository.
    pub path: String,
    /// Bytes.
    pub size: u64,
    pub(super) digest: Digest,
}

/// Answers larger than this are none.
const LARGEST: usize = 64 << 20;

/// Repositories of more files are not for us.
const MOST_FILES: usize = 100_000;

/// `/api/models/REPOSITORY/revision/REVISION`.
#[derive(Deserialize)]
struct Information {
    sha: String,
    #[serde(default)]
    gated: Gated,
    #[serde(default, rename = "cardData")]
    card: Option<Card>,
}

/// `false`, or how requests are handled.
#[derive(Deserialize)]
#[serde(untagged)]
enum Gated {
    Flag(bool),
    Kind(String),
}

impl Default for Gated {
    fn default() -> Self {
        Self::Flag(false)
    }
}

#[derive(Deserialize)]
struct Card {
    license: Option<serde_json::Value>,
    license_name: Option<String>,
}

/// One line of `/api/models/REPOSITORY/tree/COMMIT`.
#[derive(Deserialize)]
struct Node {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<LargeFile>,
}

#[derive(Deserialize)]
struct LargeFile {
    oid: String,
    size: u64,
}

impl Listing {
    /// Asks the Hub.
    pub(super) fn ask(
        connection: &Connection<'_>,
        reference: &Reference,
        beat: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Self, Trouble> {
        let api = format!("/api/models/{}", reference.repository());
        let revision = escaped(reference.revision()).replace('/', "%2F");
        let page = Page { connection, reference, path: format!("{api}/revision/{revision}") };
        let (information, _): (Information, _) = page.read(beat)?;
        if !is_hexadecimal(&information.sha, 40) {
            return Err(odd("its commit is none"));
        }
        let mut files = Vec::new();
        let mut next = Some(format!("{api}/tree/{}?recursive=true", information.sha));
        while let Some(path) = next {
            let (nodes, more): (Vec<Node>, _) = Page { connection, reference, path }.read(beat)?;
            // A page that holds nothing and names another would go on for ever.
            next = more.filter(|_| !nodes.is_empty());
            for node in nodes.into_iter().filter(|node| node.kind == "file") {
                files.push(node.file()?);
            }
            if files.len() > MOST_FILES {
                return Err(odd("it has far too many files"));
            }
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = files.iter().find(|file| !seen.insert(&file.path)) {
            return Err(odd(&format!("it names '{}' twice", twice.path)));
        }
        Ok(Self {
            reference: reference.clone(),
            commit: information.sha,
            files,
            gated: match information.gated {
                Gated::Flag(gated) => gated,
                Gated::Kind(kind) => !kind.is_empty(),
            },
            licence: information.card.and_then(Card::licence),
        })
    }

    /// The commit that was listed.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The file of this path.
    pub fn file(&self, path: &str) -> Option<&RemoteFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl Card {
    /// `other` licences have a name of their own.
    fn licence(self) -> Option<String> {
        let named = self.license_name.filter(|name| !name.is_empty());
        named.or_else(|| self.license?.as_str().map(str::to_owned))
    }
}

impl Node {
    /// What is said about a file, which is data and not to be trusted.
    fn file(self) -> Result<RemoteFile, Trouble> {
        let Self { path, oid, size, lfs, .. } = self;
        if !is_file_name(&path) {
            return Err(odd(&format!("it names a file {path:?}, which leads somewhere else")));
        }
        let (oid, size) = lfs.map_or((oid, size), |lfs| (lfs.oid, lfs.size));
        let digest = Digest::parse(&oid).ok_or_else(|| odd(&format!("the hash of '{path}' is none")))?;
        Ok(RemoteFile { path, size, digest })
    }
}

/// Something that can be asked for, and is JSON.
struct Page<'a> {
    connection: &'a Connection<'a>,
    reference: &'a Reference,
    path: String,
}

impl Page<'_> {
    /// Its content, and the page that follows it.
    fn read<T: DeserializeOwned>(
        &self,
        beat: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(T, Option<String>), Trouble> {
        let answer = self.connection.get(&self.path, 0, beat)?;
        if answer.status() != 200 {
            return Err(answer.refusal(self.reference, self.connection.hub()));
        }
        let text = answer.text(LARGEST, beat)?;
        let value = serde_json::from_slice(&text).map_err(|error| odd(&error.to_string()))?;
        Ok((value, next_page(&answer, &self.connection.hub().endpoint)))
    }
}

/// The page that a header `Link` names as the next, if it is at the Hub itself.
fn next_page(answer: &Answer, endpoint: &str) -> Option<String> {
    let link = answer.header("Link")?.split(',').find(|link| link.contains("rel=\"next\""))?;
    let url = link.split_once('<')?.1.split_once('>')?.0;
    let path = url.strip_prefix(endpoint).unwrap_or(url);
    path.starts_with("/api/").then(|| path.to_owned())
}

/// A listing that cannot be.
fn odd(what: &str) -> Trouble {
    Error::hub(format!("the listing of the repository makes no sense: {what}"), "check HF_ENDPOINT, or try again later")
        .into()
}

/// `text` as part of an address.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                escaped.push(char::from(byte))
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_for_addresses() {
        assert_eq!(escaped("vae/x y#1?é+%.json"), "vae/x%20y%231%3F%C3%A9%2B%25.json");
    }

    #[test]
    fn terms_are_read_however_they_are_written() {
        let licence = |json: &str| serde_json::from_str::<Card>(json).unwrap().licence();
        assert_eq!(licence(r#"{"license":"apache-2.0"}"#).as_deref(), Some("apache-2.0"));
        assert_eq!(licence(r#"{"license":"other","license_name":"flux-1"}"#).as_deref(), Some("flux-1"));
        assert_eq!(licence(r#"{"license":["mit"]}"#), None);
        assert_eq!(licence("{}"), None);
        for (json, gated) in [("false", false), ("true", true), ("\"auto\"", true), ("\"manual\"", true)] {
            let sha = "a".repeat(40);
            let read: Information = serde_json::from_str(&format!(r#"{{"sha":"{sha}","gated":{json}}}"#)).unwrap();
            assert_eq!(matches!(read.gated, Gated::Flag(true) | Gated::Kind(_)), gated, "{json}");
        }
    }
}
