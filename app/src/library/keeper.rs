//! The threads that keep the library: commands in, events out. They know no window.
//!
//! One lists, reads, searches and moves files; another makes thumbnails and unpacks pictures, what is seen first; a
//! picture is verified on a third. Whoever asks waits for none of them.

mod clerk;
mod painter;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use image::RgbImage;

use super::entry::File;
use super::query::{Found, Query};
use crate::cli::verify::Compared;
use crate::engine::Waker;
use crate::error::{Failure, Result};
use crate::record::Record;
use crate::{Registry, cli};
use clerk::Clerk;
use painter::Painter;

/// What a face asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Keep the pictures of these folders from now on.
    Folders(Vec<PathBuf>),
    /// See whether the folders have changed.
    Look,
    /// Look for these; answered by [`Event::Found`], now and whenever it changes.
    Find(Query),
    /// Make these thumbnails, the first first; what was wanted before and is not yet begun is not wanted any more.
    Thumbnails(Vec<File>),
    /// Read a picture, wherever it is.
    Open(PathBuf),
    /// Give pictures a star, or take it away.
    Star(Vec<PathBuf>, Star),
    /// Move pictures to the system's bin.
    Bin(Vec<PathBuf>),
    /// Bring back what was moved there last.
    Restore,
    /// Copy pictures into a folder.
    Export(Vec<PathBuf>, PathBuf),
    /// Make a picture again from its record and compare.
    Verify(PathBuf),
}

/// What becomes of a star.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Star {
    /// It is given.
    Give,
    /// It is taken away.
    Take,
}

/// What has happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// What the search finds now.
    Found(Found),
    /// A thumbnail, or what is wrong with the picture.
    Thumbnail(File, Result<Arc<RgbImage>, String>),
    /// A picture that was opened.
    Opened(PathBuf, Box<Opened>),
    /// How a picture compares with what its record makes.
    Verified(PathBuf, Result<Compared>),
    /// So many pictures are in the bin.
    Binned(usize),
    /// So many came back from it.
    Restored(usize),
    /// So many were copied, and where to.
    Exported(usize, PathBuf),
    /// Something could not be done.
    Failed(Failure),
}

/// A picture that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its record.
    pub record: Result<Record>,
    /// Its pixels.
    pub pixels: Result<Unpacked>,
}

/// A picture's pixels.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// All of them.
    pub full: Arc<RgbImage>,
    /// The picture with its longest side at most [`SCREEN_SIDE`].
    pub small: Arc<RgbImage>,
}

/// The longest side that every graphics driver takes.
pub const SCREEN_SIDE: u32 = 2048;

/// A keeper of the library, or somebody who stands in for one.
pub trait Backend {
    /// Hands over a command and returns at once.
    fn send(&self, command: Command);
    /// What has happened since the last call.
    fn events(&self) -> Vec<Event>;
}

impl<B: Backend + ?Sized> Backend for std::rc::Rc<B> {
    fn send(&self, command: Command) {
        (**self).send(command);
    }

    fn events(&self) -> Vec<Event> {
        (**self).events()
    }
}

/// What a keeper works with.
pub struct Setup {
    /// Whose pictures are kept.
    pub folders: Vec<PathBuf>,
    /// Where what can be made again is kept; nothing is where there is no such folder.
    pub cache: Option<PathBuf>,
    /// What pictures may be verified with.
    pub registry: Registry,
}

/// Events on their way.
struct Post {
    events: Mutex<Vec<Event>>,
    waker: Waker,
}

impl Post {
    fn send(&self, event: Event) {
        {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            // Only the newest is of interest, and it may be long.
            if matches!(event, Event::Found(_)) {
                events.retain(|old| !matches!(old, Event::Found(_)));
            }
            events.push(event);
        }
        (self.waker)();
    }
}

/// The keeper of the library.
pub struct Keeper {
    /// `None` only while it is being dropped.
    orders: Option<Sender<Command>>,
    clerk: Option<JoinHandle<()>>,
    painter: Painter,
    post: Arc<Post>,
    registry: Registry,
}

impl Keeper {
    /// Starts the threads; `waker` is called whenever there is something to hear.
    ///
    /// # Errors
    /// A system that gives no thread.
    pub fn start(setup: Setup, waker: Waker) -> Result<Self> {
        let Setup { folders, cache, registry } = setup;
        let post = Arc::new(Post { events: Mutex::default(), waker });
        let painter = Painter::start(cache.as_ref().map(|cache| cache.join("thumbnails")), Arc::clone(&post))?;
        let (orders, received) = mpsc::channel();
        let clerk = Clerk::new(folders, cache, Arc::clone(&post));
        let clerk = named("library").spawn(move || clerk.work(&received)).map_err(no_thread)?;
        Ok(Self { orders: Some(orders), clerk: Some(clerk), painter, post, registry })
    }

    fn verify(&self, path: PathBuf) {
        let (post, registry) = (Arc::clone(&self.post), self.registry.clone());
        let verified = named("verify").spawn({
            let path = path.clone();
            move || {
                let compared = unstopped(&path, || cli::verify::picture(&path, None, &registry));
                post.send(Event::Verified(path, compared));
            }
        });
        if let Err(error) = verified {
            self.post.send(Event::Verified(path, Err(no_thread(error))));
        }
    }
}

impl Backend for Keeper {
    fn send(&self, command: Command) {
        match command {
            Command::Thumbnails(files) => self.painter.thumbnails(files),
            Command::Open(path) => self.painter.open(path),
            Command::Verify(path) => self.verify(path),
            // It ends only with the keeper.
            command => drop(self.orders.as_ref().map(|orders| orders.send(command))),
        }
    }

    fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.post.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Keeper {
    /// What was asked for is still done to the files: a star given just before the window closed.
    fn drop(&mut self) {
        self.painter.end();
        self.orders = None;
        if let Some(clerk) = self.clerk.take() {
            drop(clerk.join());
        }
    }
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

fn no_thread(error: std::io::Error) -> Failure {
    Failure::new(format!("the system gives no thread ({error})"), "close other programs and try again")
}

/// Does something with the file at `path` that must not stop the thread, whatever is in the file.
fn unstopped<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err(super::thumbnail::stumbled(path)))
}
