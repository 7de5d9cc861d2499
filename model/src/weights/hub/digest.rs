//! What a file on the Hub must hash to, and hashing it as it comes.

use std::io::Read;
use std::ops::ControlFlow;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::reference::is_hexadecimal;
use crate::weights::hash::hex;

/// The hash that the Hub gives a file, which is also the name of its blob in the cache.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Digest {
    /// SHA-256 of the content: files in git LFS.
    Sha256(String),
    /// SHA-1 of git's blob, `blob LENGTH\0` and the content: all others.
    Git(String),
}

impl Digest {
    /// The hash that `text` writes; how long it is says which it is.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if is_hexadecimal(text, 64) {
            return Some(Self::Sha256(text.to_owned()));
        }
        is_hexadecimal(text, 40).then(|| Self::Git(text.to_owned()))
    }

    /// Lower-case hexadecimal digits.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Sha256(text) | Self::Git(text) => text,
        }
    }

    /// Begins to hash a file of `size` bytes that should come out as this.
    pub(super) fn hasher(&self, size: u64) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::Git(_) => Hasher::Git(Sha1::new_with_prefix(format!("blob {size}\0"))),
        }
    }
}

/// A hash in the making.
pub(super) enum Hasher {
    Sha256(Sha256),
    Git(Sha1),
}

/// Bytes read at once.
const PIECE: usize = 1 << 20;

impl Hasher {
    /// The next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Git(hasher) => hasher.update(bytes),
        }
    }

    /// All that `file` still has, asking between pieces whether to go on; how many bytes that were.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn read(
        &mut self,
        file: &mut impl Read,
        mut go_on: impl FnMut(u64) -> ControlFlow<()>,
    ) -> std::io::Result<ControlFlow<(), u64>> {
        let mut piece = vec![0; PIECE];
        let mut bytes = 0;
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(ControlFlow::Continue(bytes)),
                Ok(count) => {
                    self.update(piece.get(..count).unwrap_or_default());
                    bytes += count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if go_on(bytes).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// Lower-case hexadecimal digits.
    pub(super) fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::Git(hasher) => hex(&hasher.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(digest: &Digest, content: &[u8]) -> String {
        let mut hasher = digest.hasher(content.len() as u64);
        let mut rest = content;
        let read = hasher.read(&mut rest, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(read, ControlFlow::Continue(content.len() as u64));
        hasher.finish()
    }

    #[test]
    fn small_files_hash_as_git_names_them() {
        // `git hash-object` of an empty file, and of "hello\n".
        let empty = Digest::parse("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391").unwrap();
        assert_eq!(hashed(&empty, b""), empty.text());
        let hello = Digest::parse("ce013625030ba8dba906f756967f9e9ca394464a").unwrap();
        assert_eq!(hashed(&hello, b"hello\n"), hello.text());
    }

    #[test]
    fn large_files_hash_as_sha_256() {
        let abc = Digest::parse("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad").unwrap();
        assert_eq!(hashed(&abc, b"abc"), abc.text());
        for none in ["", "abc", "../../x", &"A".repeat(64), &"a".repeat(63), &"g".repeat(40)] {
            assert_eq!(Digest::parse(none), None, "{none}");
        }
    }
}
