//! Where things lie in the cache, and putting them there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use hf_hub::{Cache, Repo, RepoType};

use super::digest::Digest;
use super::reference::{Reference, is_hexadecimal};

/// A repository's folder in the cache.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    cache: PathBuf,
    repository: String,
}

/// What the name of an unfinished blob ends in; no other program's unfinished files are taken for ours.
const UNFINISHED: &str = ".flowline-part";

impl Folder {
    /// That of `repository`, `owner/name`.
    pub(super) fn of(cache: &Path, repository: &str) -> Self {
        Self { cache: cache.to_owned(), repository: repository.to_owned() }
    }

    fn name(&self) -> String {
        self.repo().folder_name()
    }

    fn repo(&self) -> Repo {
        Repo::new(self.repository.clone(), RepoType::Model)
    }

    /// The folder itself.
    pub(super) fn path(&self) -> PathBuf {
        self.cache.join(self.name())
    }

    /// The content of this hash.
    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.path().join("blobs").join(digest.text())
    }

    /// As much of it as has come.
    pub(super) fn unfinished(&self, digest: &Digest) -> PathBuf {
        self.path().join("blobs").join(format!("{}{UNFINISHED}", digest.text()))
    }

    /// What never became whole, of any content.
    pub(super) fn leftovers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("blobs")).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(UNFINISHED))
            .map(|entry| entry.path())
            .collect()
    }

    /// What is held by whoever fetches the content of this hash; the same file as `huggingface_hub`'s.
    pub(super) fn lock(&self, digest: &Digest) -> PathBuf {
        self.cache.join(".locks").join(self.name()).join(format!("{}.lock", digest.text()))
    }

    /// The files of a commit.
    pub(super) fn commit(&self, commit: &str) -> PathBuf {
        Cache::new(self.cache.clone()).repo(self.repo()).pointer_path(commit)
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.path().join("refs").join(revision)
    }

    /// The files of the commit that `reference` means, as far as that is known here.
    pub(super) fn snapshot(&self, reference: &Reference) -> Option<PathBuf> {
        let commit = match reference.commit() {
            Some(commit) => commit.to_owned(),
            None => fs::read_to_string(self.reference(reference.revision())).ok()?,
        };
        let commit = commit.trim();
        is_hexadecimal(commit, 40).then(|| self.commit(commit)).filter(|folder| folder.is_dir())
    }

    /// Remembers which commit a branch is at: whole or not at all, whoever reads it meanwhile.
    pub(super) fn remember(&self, reference: &Reference, commit: &str) -> io::Result<()> {
        if reference.commit().is_some() {
            return Ok(());
        }
        let path = self.reference(reference.revision());
        let beside = path.with_file_name(format!(".{commit}.{}", std::process::id()));
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(commit.as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&beside, &path)).inspect_err(|_| drop(fs::remove_file(&beside)))
    }

    /// Gives a blob its name in a commit: by a symbolic link, where the system has none for this user by a hard link,
    /// else by a copy.
    pub(super) fn link(&self, digest: &Digest, commit: &str, name: &str) -> io::Result<()> {
        let (blob, path) = (self.blob(digest), self.commit(commit).join(name));
        let up = name.split('/').count() + 1;
        let target = PathBuf::from("../".repeat(up)).join("blobs").join(digest.text());
        let same =
            |there: fs::Metadata| there.is_file() && fs::metadata(&blob).is_ok_and(|blob| blob.len() == there.len());
        if fs::read_link(&path).is_ok_and(|there| there == target) || fs::symlink_metadata(&path).is_ok_and(same) {
            return Ok(());
        }
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match symlink(&target, &path).or_else(|_| fs::hard_link(&blob, &path)) {
            // Somebody else has just done the same.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(_) => fs::copy(&blob, &path).map(drop),
            Ok(()) => Ok(()),
        }
    }
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn what_is_laid_out_here_is_found_by_another_reader_of_the_layout() {
        let cache = tempfile::tempdir().unwrap();
        let reference = Reference::parse("ada/flow").unwrap();
        let folder = Folder::of(cache.path(), reference.repository());
        let digest = Digest::parse("ce013625030ba8dba906f756967f9e9ca394464a").unwrap();
        fs::create_dir_all(folder.blob(&digest).parent().unwrap()).unwrap();
        fs::write(folder.blob(&digest), "hello\n").unwrap();
        assert_eq!(folder.snapshot(&reference), None);
        for name in ["config.json", "vae/deep/x.json"] {
            folder.link(&digest, COMMIT, name).unwrap();
            folder.link(&digest, COMMIT, name).unwrap();
        }
        assert_eq!(folder.snapshot(&reference), None, "a branch is known once all is here");
        folder.remember(&reference, COMMIT).unwrap();
        let theirs = Cache::new(cache.path().to_owned()).model("ada/flow".to_owned());
        for name in ["config.json", "vae/deep/x.json"] {
            let found = theirs.get(name).expect("the file");
            assert_eq!(found, folder.snapshot(&reference).unwrap().join(name));
            assert_eq!(fs::read_to_string(found).unwrap(), "hello\n");
        }
        let pinned = Reference::parse(&format!("ada/flow@{COMMIT}")).unwrap();
        assert_eq!(folder.snapshot(&pinned), folder.snapshot(&reference));
        assert_eq!(fs::read_dir(folder.path().join("refs")).unwrap().count(), 1, "nothing unfinished is left");
    }

    #[test]
    fn a_branch_that_names_no_commit_leads_nowhere() {
        let cache = tempfile::tempdir().unwrap();
        let reference = Reference::parse("ada/flow").unwrap();
        let folder = Folder::of(cache.path(), reference.repository());
        fs::create_dir_all(folder.path().join("refs")).unwrap();
        fs::create_dir_all(folder.path().join("snapshots")).unwrap();
        for wrong in ["", "..", "../../..", "main", "0123"] {
            fs::write(folder.path().join("refs/main"), wrong).unwrap();
            assert_eq!(folder.snapshot(&reference), None, "{wrong}");
        }
    }
}
