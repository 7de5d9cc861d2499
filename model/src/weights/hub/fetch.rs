//! Fetching files into the cache: resumed where they were left, verified, and each fetched once, whoever else wants it.

use std::fs::{self, File, TryLockError};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::Hub;
use super::amount::Amount;
use super::connection::{Answer, BEAT, Connection};
use super::layout::Folder;
use super::listing::{Listing, RemoteFile, escaped};
use super::partial::{Partial, unwritable};
use super::rate::Rate;
use super::reference::Reference;
use super::retries::{Retries, Trouble};
use crate::{Error, Result};

/// What happens while files are fetched.
#[derive(Clone, Debug, PartialEq)]
pub enum Fetching<'a> {
    /// It is known what is to come.
    Begins {
        /// How many files.
        files: usize,
        /// Bytes that are here already.
        here: u64,
        /// Bytes in all.
        total: u64,
    },
    /// More has come.
    Bytes {
        /// Which file is coming.
        file: &'a str,
        /// Bytes here, of all files.
        bytes: u64,
        /// Bytes in all.
        total: u64,
        /// Bytes a second, once that is known.
        rate: Option<f64>,
        /// How long the rest will take at this rate.
        left: Option<Duration>,
    },
    /// Something went wrong that may pass.
    Retries {
        /// What happened, one clause.
        what: &'a str,
        /// When it is tried again.
        pause: Duration,
    },
    /// Another program fetches this file, and is waited for.
    Shared {
        /// Which file.
        file: &'a str,
    },
    /// Nothing new; this only asks whether to go on.
    Tick,
}

/// Told what happens, and asked whether to go on, twenty times a second at least.
pub type Observe<'a> = dyn FnMut(Fetching<'_>) -> ControlFlow<()> + 'a;

/// Bytes are told no more often than this.
const PAUSE: Duration = Duration::from_millis(100);

/// What a disk should have left when all is fetched.
const MARGIN: u64 = 64 << 20;

impl Hub {
    /// What is in `reference`'s repository.
    ///
    /// # Errors
    /// [`Error::Hub`]: the network is off limits or does not work, there is no such repository, its licence was not
    /// accepted, or the answer makes no sense; [`Error::Cancelled`].
    pub fn listing(&self, reference: &Reference, observe: &mut Observe<'_>) -> Result<Listing> {
        let connection = Connection::new(self)?;
        let mut retries = Retries::of_a_listing();
        loop {
            match Listing::ask(&connection, reference, &mut || observe(Fetching::Tick)) {
                Ok(listing) => return Ok(listing),
                Err(trouble) => {
                    let (what, pause) = retries.after(trouble)?;
                    wait(&what, pause, observe)?;
                }
            }
        }
    }

    /// How many bytes of `files` are here, whole or in part.
    pub fn here(&self, listing: &Listing, files: &[&RemoteFile]) -> u64 {
        let Some(cache) = &self.cache else { return 0 };
        let folder = Folder::of(cache, listing.reference.repository());
        files.iter().fold(0_u64, |sum, file| sum.saturating_add(here(&folder, file)))
    }

    /// Fetches those of `files` that are not here yet; the folder in which all of them are then. What has come stays,
    /// however it ends, and the next call goes on from there. A branch is only moved once everything is here.
    ///
    /// # Errors
    /// As [`Hub::listing`], and [`Error::Hub`] for a disk without room, a place that cannot be written to, and content
    /// that is not what it should be.
    pub fn fetch(&self, listing: &Listing, files: &[&RemoteFile], observe: &mut Observe<'_>) -> Result<PathBuf> {
        let Some(cache) = &self.cache else {
            return Err(Error::hub("there is no place for fetched files", "set HF_HOME or HF_HUB_CACHE to a folder"));
        };
        let folder = Folder::of(cache, listing.reference.repository());
        let mut files = files.to_vec();
        // What is small and tells early that something is wrong comes first.
        files.sort_by_key(|file| file.size);
        let total = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
        let here = self.here(listing, &files);
        if here < total {
            room(cache, total - here)?;
        }
        if observe(Fetching::Begins { files: files.len(), here, total }).is_break() {
            return Err(Error::Cancelled);
        }
        let connection = Connection::new(self)?;
        let mut work = Work {
            connection,
            folder,
            listing,
            observe,
            total,
            done: 0,
            fetched: 0,
            rate: Rate::default(),
            told: None,
        };
        for file in files {
            work.file(file)?;
        }
        let Work { folder, .. } = work;
        folder.remember(&listing.reference, &listing.commit).map_err(|error| unwritable(&folder.path(), error))?;
        Ok(folder.commit(&listing.commit))
    }
}

/// How many bytes of a file are here.
fn here(folder: &Folder, file: &RemoteFile) -> u64 {
    if is_whole(folder, file) {
        return file.size;
    }
    fs::metadata(folder.unfinished(&file.digest)).map_or(0, |metadata| metadata.len()).min(file.size)
}

/// Whether the content of a file is here.
fn is_whole(folder: &Folder, file: &RemoteFile) -> bool {
    fs::metadata(folder.blob(&file.digest)).is_ok_and(|blob| blob.is_file() && blob.len() == file.size)
}

/// Whether the disk below `cache` takes as much; where the system does not know, the attempt will tell.
fn room(cache: &Path, needed: u64) -> Result<()> {
    let absolute = std::path::absolute(cache).unwrap_or_else(|_| cache.to_owned());
    let Some(free) = absolute.ancestors().find_map(|folder| fs4::available_space(folder).ok()) else { return Ok(()) };
    if needed.saturating_add(MARGIN) <= free {
        return Ok(());
    }
    let what = format!("{} are to come, and {} has {} free", Amount(needed), cache.display(), Amount(free));
    Err(Error::hub(what, "make room, or name a folder on another disk with HF_HUB_CACHE"))
}

/// Waits, and says why.
fn wait(what: &str, pause: Duration, observe: &mut Observe<'_>) -> Result<()> {
    let began = Instant::now();
    let mut answer = observe(Fetching::Retries { what, pause });
    while answer.is_continue() {
        let Some(left) = pause.checked_sub(began.elapsed()) else { return Ok(()) };
        thread::sleep(left.min(BEAT));
        answer = observe(Fetching::Tick);
    }
    Err(Error::Cancelled)
}

/// Files on their way.
struct Work<'a> {
    connection: Connection<'a>,
    folder: Folder,
    listing: &'a Listing,
    observe: &'a mut Observe<'a>,
    total: u64,
    /// Bytes of the files that are whole.
    done: u64,
    /// Bytes that came over the network.
    fetched: u64,
    rate: Rate,
    told: Option<Instant>,
}

impl Work<'_> {
    /// Sees to it that a file is here, under its name.
    fn file(&mut self, file: &RemoteFile) -> Result<()> {
        if !is_whole(&self.folder, file) {
            // Held until the file is there, and let go by the system if this program dies.
            let _lock = self.lock(file)?;
            if !is_whole(&self.folder, file) {
                self.download(file)?;
            }
        }
        let linked = self.folder.link(&file.digest, &self.listing.commit, &file.path);
        linked.map_err(|error| unwritable(&self.folder.commit(&self.listing.commit).join(&file.path), error))?;
        self.done = self.done.saturating_add(file.size);
        Ok(())
    }

    /// The right to fetch a file; waits while another program has it.
    fn lock(&mut self, file: &RemoteFile) -> Result<File> {
        let path = self.folder.lock(&file.digest);
        let io = |error| unwritable(&path, error);
        fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(io)?;
        let lock = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        let mut answer = ControlFlow::Continue(());
        let mut waiting = false;
        while answer.is_continue() {
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => {}
                // A file system without locks: the last one to finish wins, with the same content.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(lock),
            }
            answer = match std::mem::replace(&mut waiting, true) {
                false => (self.observe)(Fetching::Shared { file: &file.path }),
                true => (self.observe)(Fetching::Tick),
            };
            thread::sleep(BEAT);
        }
        Err(Error::Cancelled)
    }

    /// Fetches a file until it is whole and right.
    fn download(&mut self, file: &RemoteFile) -> Result<()> {
        let (unfinished, place) = (self.folder.unfinished(&file.digest), self.folder.blob(&file.digest));
        loop {
            let mut partial = Partial::open(unfinished.clone(), file, || (self.observe)(Fetching::Tick))?;
            // The furthest that was got: only what goes beyond it is progress.
            let (mut retries, mut furthest) = (Retries::of_a_file(), partial.length());
            while let Err(trouble) = self.transfer(file, &mut partial) {
                if partial.length() > furthest {
                    furthest = partial.length();
                    retries.worked();
                }
                let (what, pause) = retries.after(trouble)?;
                wait(&what, pause, self.observe)?;
            }
            let resumed = partial.resumed();
            if partial.finish(&place)? {
                return Ok(());
            }
            // What was left from another day may have been the wrong part; what came now as a whole was not.
            if !resumed {
                let what = format!("'{}' came with other content than {} promises", file.path, self.listing.reference);
                return Err(Error::hub(what, "what came was thrown away; try again later, or from another network"));
            }
        }
    }

    /// One request for the rest of a file.
    fn transfer(&mut self, file: &RemoteFile, partial: &mut Partial<'_>) -> Result<(), Trouble> {
        if partial.is_full() {
            return Ok(());
        }
        let Listing { reference, commit, .. } = self.listing;
        let path = format!("/{}/resolve/{commit}/{}", reference.repository(), escaped(&file.path));
        let answer = self.connection.get(&path, partial.length(), &mut || (self.observe)(Fetching::Tick))?;
        match answer.status() {
            206 if begins_at(&answer, partial.length()) => {}
            // Without a range, or with one that the server cannot cut out: from the start.
            200 if partial.length() == 0 => {}
            200 => partial.restart()?,
            206 | 416 if partial.length() > 0 => {
                partial.restart()?;
                return Err(Trouble::passing(format!("{} cannot go on where it ended", answer.host())));
            }
            _ => return Err(answer.refusal(reference, self.connection.hub())),
        }
        let left = file.size - partial.length();
        if let Some(announced) = answer.number("Content-Length").filter(|announced| *announced != left) {
            return Err(wrong_size(file, &answer, announced, left).into());
        }
        loop {
            let mut beat = || (self.observe)(Fetching::Tick);
            let Some(bytes) = answer.bytes(&mut beat)? else { break };
            if bytes.len() as u64 > file.size - partial.length() {
                partial.restart()?;
                return Err(wrong_size(file, &answer, file.size + 1, file.size).into());
            }
            partial.write(&bytes)?;
            self.fetched += bytes.len() as u64;
            self.tell(file, partial.length())?;
        }
        match partial.is_full() {
            true => Ok(()),
            false => Err(Trouble::passing(format!("the connection to {} ended early", answer.host()))),
        }
    }

    fn tell(&mut self, file: &RemoteFile, length: u64) -> Result<()> {
        let now = Instant::now();
        self.rate.note(now, self.fetched);
        let whole = length == file.size;
        if !whole && self.told.is_some_and(|told| now.duration_since(told) < PAUSE) {
            return Ok(());
        }
        self.told = Some(now);
        let (bytes, total) = (self.done.saturating_add(length), self.total);
        let rate = self.rate.per_second(now, self.fetched);
        let seconds = rate.map(|rate| total.saturating_sub(bytes) as f64 / rate.max(1.0));
        let left = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        match (self.observe)(Fetching::Bytes { file: &file.path, bytes, total, rate, left }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }
}

/// Whether a part of a file is the part that was asked for.
fn begins_at(answer: &Answer, from: u64) -> bool {
    let range = answer.header("Content-Range").and_then(|range| range.strip_prefix("bytes ")?.split_once('-'));
    range.is_some_and(|(first, _)| first.trim().parse() == Ok(from))
}

fn wrong_size(file: &RemoteFile, answer: &Answer, offered: u64, wanted: u64) -> Error {
    let what = format!("{} offers {offered} bytes of '{}' instead of {wanted}", answer.host(), file.path);
    Error::hub(what, "something between may answer in the Hub's place, such as a network's login page; try again later")
}
