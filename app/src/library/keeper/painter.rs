//! The thread that unpacks pictures and makes thumbnails, what is seen first.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Event, Opened, Post, SCREEN_SIDE, Unpacked, named, no_thread, unstopped};
use crate::error::Result;
use crate::library::entry::File;
use crate::library::scan::reason;
use crate::library::thumbnail::{fit, thumbnail};
use crate::{picture, record};

/// What is wanted and not begun.
#[derive(Default)]
struct Wishes {
    pictures: VecDeque<PathBuf>,
    thumbnails: VecDeque<File>,
    /// Nobody wishes any more.
    over: bool,
}

enum Wish {
    Picture(PathBuf),
    Thumbnail(File),
}

#[derive(Default)]
struct Counter {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

pub(super) struct Painter(Arc<Counter>);

impl Painter {
    /// Starts the thread; it keeps thumbnails in `folder`.
    pub(super) fn start(folder: Option<PathBuf>, post: Arc<Post>) -> Result<Self> {
        let counter = Arc::new(Counter::default());
        let asked = Arc::clone(&counter);
        let work = move || {
            while let Some(wish) = asked.next() {
                post.send(grant(wish, folder.as_deref()));
            }
        };
        named("thumbnails").spawn(work).map_err(no_thread)?;
        Ok(Self(counter))
    }

    pub(super) fn thumbnails(&self, files: Vec<File>) {
        self.0.change(|wishes| wishes.thumbnails = files.into());
    }

    pub(super) fn open(&self, path: PathBuf) {
        self.0.change(|wishes| wishes.pictures.push_back(path));
    }

    /// Lets the thread end after what it is doing; it writes nothing that could be lost.
    pub(super) fn end(&self) {
        self.0.change(|wishes| *wishes = Wishes { over: true, ..Wishes::default() });
    }
}

impl Counter {
    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    /// The next wish, waiting for one; `None` when there will be none.
    fn next(&self) -> Option<Wish> {
        let mut wishes = self.lock();
        loop {
            if wishes.over {
                return None;
            }
            if let Some(path) = wishes.pictures.pop_front() {
                return Some(Wish::Picture(path));
            }
            if let Some(file) = wishes.thumbnails.pop_front() {
                return Some(Wish::Thumbnail(file));
            }
            wishes = self.changed.wait(wishes).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn grant(wish: Wish, folder: Option<&Path>) -> Event {
    match wish {
        Wish::Picture(path) => {
            let record = unstopped(&path, || record::read(&path));
            let pixels = unstopped(&path, || {
                let full = Arc::new(picture::read(&path)?.pixels);
                let is_small = full.width().max(full.height()) <= SCREEN_SIDE;
                let small = if is_small { Arc::clone(&full) } else { Arc::new(fit(&full, SCREEN_SIDE)) };
                Ok(Unpacked { full, small })
            });
            Event::Opened(path, Box::new(Opened { record, pixels }))
        }
        Wish::Thumbnail(file) => {
            let made = unstopped(&file.path, || thumbnail(&file, folder));
            let made = made.map(Arc::new).map_err(|failure| reason(&failure.what, &file.path));
            Event::Thumbnail(file, made)
        }
    }
}
