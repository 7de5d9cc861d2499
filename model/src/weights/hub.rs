//! The Hugging Face Hub: what of it lies on this machine, and fetching the rest. The only network access.
//!
//! Files lie in the cache that `huggingface_hub` and its relatives share, in their layout (huggingface_hub
//! `file_download.py`, "cache-system"), so that nothing is fetched twice and everybody can use what we fetch:
//!
//! ```text
//! models--OWNER--NAME/refs/main                    the commit that a branch was at
//! models--OWNER--NAME/snapshots/COMMIT/vae/x.json  links to
//! models--OWNER--NAME/blobs/HASH                   the content, named by its hash
//! ```
//! The names are `hf_hub`'s; the transfers are our own, because its can neither be cancelled nor time out. Looking at
//! what is here ([`Hub::cached`], [`Hub::snapshot`]) never opens a socket.

mod amount;
mod connection;
mod digest;
mod fetch;
mod files;
mod layout;
mod listing;
mod model;
mod partial;
mod rate;
mod reference;
mod removal;
mod retries;
mod surroundings;
mod token;
mod verification;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use token::Token;

pub use self::amount::Amount;
pub use self::fetch::{Fetching, Observe};
pub use self::files::{Wanted, complete};
pub use self::listing::{Listing, RemoteFile};
pub use self::model::HubModel;
pub use self::reference::Reference;
pub use self::removal::Removal;
pub use self::verification::{Verdict, Verified};

/// The Hub as this user sees it: where the cache is, whom to ask, with which token, or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Hub {
    /// Where fetched files lie; `None` where this user has no place for them.
    cache: Option<PathBuf>,
    /// Whom to ask, without a slash at its end.
    endpoint: String,
    token: Option<Token>,
    /// Where the token is kept.
    token_file: Option<PathBuf>,
    offline: bool,
    /// How long nothing may come before a connection is given up.
    patience: Duration,
}

/// The Hub itself.
const ENDPOINT: &str = "https://huggingface.co";

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

impl Default for Hub {
    /// No cache, no token, and no network.
    fn default() -> Self {
        Self {
            cache: None,
            endpoint: ENDPOINT.to_owned(),
            token: None,
            token_file: None,
            offline: true,
            patience: PATIENCE,
        }
    }
}

impl Hub {
    /// The same, but without the network if `offline`.
    #[must_use]
    pub fn offline(self, offline: bool) -> Self {
        Self { offline: self.offline || offline, ..self }
    }

    /// Whether the network is off limits.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Where fetched files lie.
    pub fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// The folder with the files of `reference` that are here, in the repository's own layout. Not necessarily all of
    /// them. Opens no socket.
    pub fn snapshot(&self, reference: &Reference) -> Option<PathBuf> {
        layout::Folder::of(self.cache.as_deref()?, reference.repository()).snapshot(reference)
    }

    /// Where `file` of `reference`'s repository is, if it is here. Opens no socket.
    pub fn cached(&self, reference: &Reference, file: &str) -> Option<PathBuf> {
        if !reference::is_file_name(file) {
            return None;
        }
        Some(self.snapshot(reference)?.join(file)).filter(|path| path.is_file())
    }

    /// Throws the content of `file` away, so that fetching brings it again.
    ///
    /// # Errors
    /// [`crate::Error::Hub`] if it cannot be removed.
    pub fn discard(&self, reference: &Reference, file: &str) -> Result<()> {
        let (Some(cache), Some(path)) = (self.cache(), self.snapshot(reference).map(|folder| folder.join(file))) else {
            return Ok(());
        };
        let folder = layout::Folder::of(cache, reference.repository()).path();
        for path in removal::blob_of(&folder, &path).into_iter().chain([path]) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(partial::unwritable(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The page where people read about a repository and accept its licence.
    pub fn page(&self, reference: &Reference) -> String {
        format!("{}/{}", self.endpoint, reference.repository())
    }
}
