//! The thread that knows which pictures there are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

use super::{Command, Event, Post, Star, unstopped};
use crate::error::Result;
use crate::library::bin::{self, Binned};
use crate::library::entry::{Content, Entry};
use crate::library::query::{Found, Query};
use crate::library::remembered::Remembered;
use crate::library::scan::{self, Listed};
use crate::library::{export, star};

/// Files that are read between two looks at what is asked.
const AT_ONCE: usize = 32;
/// While files are read, the list is told anew no more often than this.
const TELL: Duration = Duration::from_millis(100);

pub(super) struct Clerk {
    folders: Vec<PathBuf>,
    cache: Option<PathBuf>,
    post: Arc<Post>,
    remembered: Remembered,
    /// All pictures, newest first.
    entries: Vec<Arc<Entry>>,
    /// All before this one were read.
    read: usize,
    query: Query,
    told: Option<Instant>,
    /// What was moved to the bin, the last move last.
    binned: Vec<Vec<Binned>>,
}

impl Clerk {
    pub(super) fn new(folders: Vec<PathBuf>, cache: Option<PathBuf>, post: Arc<Post>) -> Self {
        Self {
            folders,
            cache,
            post,
            remembered: Remembered::default(),
            entries: Vec::new(),
            read: 0,
            query: Query::default(),
            told: None,
            binned: Vec::new(),
        }
    }

    /// Works until nobody can ask any more.
    pub(super) fn work(mut self, orders: &Receiver<Command>) {
        if let Some(cache) = &self.cache {
            self.remembered = Remembered::load(cache);
        }
        self.look();
        self.tell();
        loop {
            let order = match self.unread() {
                0 => orders.recv().map_err(|_| TryRecvError::Disconnected),
                _ => orders.try_recv(),
            };
            match order {
                Ok(order) => self.obey(order),
                Err(TryRecvError::Empty) => self.read_some(),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    fn obey(&mut self, order: Command) {
        match order {
            Command::Folders(folders) => {
                self.folders = folders;
                self.look();
                self.tell();
            }
            Command::Look => {
                if self.look() {
                    self.tell();
                }
            }
            Command::Find(query) => {
                self.query = query;
                self.tell();
            }
            Command::Star(paths, star) => {
                self.each(&paths, |path| star::set(path, star == Star::Give));
                self.look();
                self.tell();
            }
            Command::Bin(paths) => {
                let binned = self.each(&paths, bin::put);
                let count = binned.len();
                if count > 0 {
                    self.binned.push(binned);
                }
                self.look();
                self.tell();
                self.post.send(Event::Binned(count));
            }
            Command::Restore => self.restore(),
            Command::Export(paths, folder) => {
                let count = self.each(&paths, |path| export::copy(path, &folder)).len();
                if self.look() {
                    self.tell();
                }
                self.post.send(Event::Exported(count, folder));
            }
            // Others do these.
            Command::Thumbnails(_) | Command::Open(_) | Command::Verify(_) => {}
        }
    }

    /// Does something with each of some files up to the first that fails, and says so.
    fn each<T>(&self, paths: &[PathBuf], work: impl Fn(&Path) -> Result<T>) -> Vec<T> {
        let mut done = Vec::new();
        for path in paths {
            match unstopped(path, || work(path)) {
                Ok(result) => done.push(result),
                Err(failure) => {
                    self.post.send(Event::Failed(failure));
                    break;
                }
            }
        }
        done
    }

    fn restore(&mut self) {
        let Some(mut group) = self.binned.pop() else { return };
        let mut count = 0;
        // What cannot come back now may later.
        while let Some(binned) = group.pop() {
            if let Err(failure) = unstopped(&binned.path, || bin::back(&binned)) {
                self.post.send(Event::Failed(failure));
                group.push(binned);
                self.binned.push(group);
                break;
            }
            count += 1;
        }
        self.look();
        self.tell();
        self.post.send(Event::Restored(count));
    }

    /// Lists the folders; whether anything is other than it was.
    fn look(&mut self) -> bool {
        let mut known: HashMap<&Path, &Arc<Entry>> =
            self.entries.iter().map(|entry| (entry.file.path.as_path(), entry)).collect();
        let mut entries = Vec::new();
        for Listed { file, starred } in scan::list(&self.folders) {
            let same = known.remove(file.path.as_path()).filter(|entry| entry.file == file);
            entries.push(match same {
                Some(entry) if entry.starred == starred => Arc::clone(entry),
                Some(entry) => Arc::new(Entry { starred, ..Entry::clone(entry) }),
                None => {
                    let content = self.remembered.recall(&file).unwrap_or(Content::Unread);
                    Arc::new(Entry { file, starred, content })
                }
            });
        }
        let same = self.entries.len() == entries.len()
            && self.entries.iter().zip(&entries).all(|(old, new)| Arc::ptr_eq(old, new));
        self.entries = entries;
        self.read = 0;
        self.advance();
        !same
    }

    /// Passes over what was read.
    fn advance(&mut self) {
        let read = |entry: &&Arc<Entry>| entry.content != Content::Unread;
        self.read += self.entries.iter().skip(self.read).take_while(read).count();
    }

    fn unread(&self) -> usize {
        self.entries.iter().skip(self.read).filter(|entry| entry.content == Content::Unread).count()
    }

    /// Reads some files, the newest that were not read yet.
    fn read_some(&mut self) {
        for _ in 0..AT_ONCE {
            let Some(entry) = self.entries.get_mut(self.read) else { break };
            let (file, starred) = (entry.file.clone(), entry.starred);
            let content = unstopped(&file.path, || Ok(scan::read(file.clone(), starred).content));
            let content = content.unwrap_or_else(|failure| Content::Damaged(failure.what));
            *entry = Arc::new(Entry { file, starred, content });
            self.advance();
        }
        let done = self.unread() == 0;
        if done || self.told.is_none_or(|told| told.elapsed() >= TELL) {
            self.tell();
        }
        if let Some(cache) = self.cache.as_deref().filter(|_| done) {
            // It can be read again: a cache that takes nothing is no reason to say anything.
            let _ = Remembered::save(cache, &self.entries);
        }
    }

    /// Says what the search finds.
    fn tell(&mut self) {
        let found = self.query.find(&self.entries, SystemTime::now());
        self.post.send(Event::Found(Found { unread: self.unread(), ..found }));
        self.told = Some(Instant::now());
    }
}
