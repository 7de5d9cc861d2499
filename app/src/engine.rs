//! The thread that owns models: commands in, events out.
//!
//! A face (the window; later others) holds an [`Engine`] and speaks to it through [`Backend`]. Opening a model, making
//! pictures and saving them happen on the engine's thread, so a face never waits. What is to be made stands in a
//! [`Queue`]; another thread changes it as a face asks, and says how it stands when that is on the disk. Whatever goes
//! wrong, a panic included, comes back as [`Event::Failed`], and the engine goes on with the next entry. What was
//! [begun](Event::Began) ends with an [`Event::Failed`] or a [`flowline_model::Event::Finished`].

mod asking;
mod ending;
mod grids;
mod keeping;
pub mod laboratory;
mod mailbox;
mod making;
mod model;
mod stock;
mod worker;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use flowline_model::{Opening, Picture, Request, Warning, catalog};

use crate::Registry;
use crate::error::{Failure, Result};
use crate::library::{DefaultFolder, Destination, Library, SaveOptions, cache_folder, default_folder};
pub use crate::queue::Job;
use crate::queue::{Ask, JobId, Queue, Snapshot, Task};
use asking::Clerk;
pub use ending::Ending;
use ending::Endings;
pub use grids::{MakeGrid, Teller, make_grids, no_grids};
use keeping::AtWork;
pub use keeping::Keeping;
use mailbox::Mailbox;
pub use model::{Model, Offer, Open, Reader, open_pipeline};
pub use stock::{Progress, Stock, Stocked, UsersStock};
use worker::{Order, Worker, stumbled};

/// What a face asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make pictures: they join the queue.
    Make(Box<Job>),
    /// Change the queue, or look at it.
    Queue(Ask),
    /// End what is being made, if it is this entry.
    End(JobId, Ending),
    /// Open a model, so that it is ready.
    Open(String),
    /// Fetch a model from the Hub. One is fetched at a time; beside it, pictures are made.
    Fetch(String),
    /// Stop fetching; what has come is kept.
    StopFetching,
    /// Save a picture once more, somewhere else.
    SaveCopy {
        /// The picture.
        picture: Arc<Picture>,
        /// The file to write; if it is taken, the next free name beside it.
        path: PathBuf,
    },
    /// Something for the laboratory.
    Laboratory(laboratory::Ask),
}

/// What the engine says.
#[derive(Clone, Debug)]
pub enum Event {
    /// A model is open and can be asked for pictures.
    Ready(Arc<Offer>),
    /// The queue, as it is on the disk now.
    Queue(Arc<Snapshot>),
    /// An entry of the queue is being made.
    Began(JobId),
    /// It is decided down to the last number.
    Started(Box<Request>),
    /// Something happened on the way. Of ticks in a row only the first comes, and pictures come as [`Event::Picture`].
    Made(flowline_model::Event),
    /// A picture is there, and this is what became of saving it.
    Picture(Arc<Picture>, Result<PathBuf>),
    /// The models there are.
    Models(Arc<[Stocked]>),
    /// A model is being fetched.
    Fetching(String, Progress),
    /// What became of [`Command::Fetch`]; a break means that it was stopped.
    Fetched(String, Result<ControlFlow<()>>),
    /// What became of [`Command::SaveCopy`].
    Copied(Result<PathBuf>),
    /// Something for the laboratory.
    Laboratory(laboratory::Told),
    /// An entry of the queue, a change of it, or the opening of a model came to nothing.
    Failed(Failure),
}

/// Called after every event, from any thread: a face fetches its events then.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// The seam between a face and the engine.
pub trait Backend {
    /// Asks for something. Returns at once.
    fn send(&self, command: Command);

    /// The events since the last call. Returns at once.
    fn events(&self) -> Vec<Event>;
}

impl<B: Backend + ?Sized> Backend for Rc<B> {
    fn send(&self, command: Command) {
        (**self).send(command);
    }

    fn events(&self) -> Vec<Event> {
        (**self).events()
    }
}

/// What an engine starts with.
pub struct Setup {
    /// The model that is opened first.
    pub model: String,
    /// Where pictures go.
    pub library: Library,
    /// How a model is opened.
    pub open: Open,
    /// How a grid is made.
    pub make_grid: MakeGrid,
    /// Where models are listed and fetched.
    pub stock: Arc<dyn Stock>,
    /// What is to be made.
    pub queue: Queue,
    /// How often an unfinished picture is written to the disk.
    pub keeping: Keeping,
    /// What should be said first.
    pub notices: Vec<Warning>,
}

/// What a user may wish to be otherwise than usual.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    /// The model that is opened first.
    pub model: Option<String>,
    /// Where pictures go.
    pub pictures: Option<PathBuf>,
    /// Folders in which parts of models are looked for.
    pub places: Vec<PathBuf>,
    /// The most memory that is taken, bytes.
    pub memory: Option<u64>,
}

impl Setup {
    /// The default model, what `registry` offers, and the user's pictures folder, unless somebody wishes otherwise.
    pub fn usual(registry: Registry, wishes: Wishes) -> Self {
        let folder = match wishes.pictures {
            Some(path) => DefaultFolder { path, fallback: None },
            None => default_folder(),
        };
        let fallback = folder.fallback.map(|message| Warning::new("folder", message));
        let (cache, uncached) = match cache_folder() {
            Ok(cache) => (Some(cache), None),
            Err(warning) => (None, Some(warning)),
        };
        let (queue, forgets) = Queue::usual();
        Self {
            model: wishes.model.unwrap_or_else(usual_model),
            library: Library::new(Destination::Folder(folder.path), SAVE),
            make_grid: make_grids(registry.clone(), cache.clone()),
            open: open_pipeline(
                registry,
                Opening { places: wishes.places, memory: wishes.memory, cache, ..Opening::default() },
            ),
            stock: Arc::new(UsersStock),
            queue,
            keeping: Keeping::default(),
            notices: fallback.into_iter().chain(uncached).chain(forgets).collect(),
        }
    }
}

/// The model of who has chosen none.
fn usual_model() -> String {
    catalog::MODELS.first().map_or_else(String::new, |entry| entry.name.to_owned())
}

/// Pictures carry their record, and never replace another.
const SAVE: SaveOptions = SaveOptions { force: false, metadata: true };

/// How long [`Engine`]'s drop waits for its threads. A large model hears that the program ends between two blocks, and
/// nothing is lost with a thread that did not hear it.
const GRACE: Duration = Duration::from_secs(2);

/// A running engine. Dropping it leaves what is being made in the queue, with its run as far as it is: another time it
/// goes on from there.
pub struct Engine {
    clerk: Clerk,
    stock: Arc<dyn Stock>,
    /// How often fetching was asked for, and which of these are to be stopped.
    fetches: Arc<AtomicU64>,
    stopped_fetches: Arc<AtomicU64>,
    mailbox: Arc<Mailbox>,
    queue: Arc<Queue>,
    endings: Arc<Endings>,
    at_work: AtWork,
    /// How often an experiment was asked for, and up to which they are to be finished.
    experiments: AtomicU64,
    halted: Arc<AtomicU64>,
    /// Every thread of the engine holds a clone of `alive` and never sends.
    alive: Option<Sender<()>>,
    ended: Receiver<()>,
}

impl Engine {
    /// Starts the threads; the first model is opened, and what waits in the queue is made.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(setup: Setup, waker: Waker) -> Result<Self> {
        let (orders, inbox) = mpsc::channel();
        let (alive, ended) = mpsc::channel();
        let Setup { model, library, open, make_grid, stock, queue, keeping, notices } = setup;
        let (mailbox, queue) = (Arc::new(Mailbox::new(waker)), Arc::new(queue));
        let (endings, at_work) = (Arc::<Endings>::default(), AtWork::default());
        let halted = Arc::<AtomicU64>::default();
        let worker = Worker {
            open,
            make_grid,
            library: Arc::new(library),
            queue: Arc::clone(&queue),
            keeping,
            model: None,
            mailbox: Arc::clone(&mailbox),
            endings: Arc::clone(&endings),
            at_work: at_work.clone(),
            give_up: Arc::default(),
            halted: Arc::clone(&halted),
            bench: laboratory::Bench::default(),
        };
        for warning in notices {
            mailbox.post(Event::Made(flowline_model::Event::Warning(warning)));
        }
        // Sent before anybody else can: the first model comes first.
        let first = orders.send(Order::Open(model));
        let clerk = Clerk::start(asking::Desk {
            queue: Arc::clone(&queue),
            endings: Arc::clone(&endings),
            mailbox: Arc::clone(&mailbox),
            orders,
            alive: alive.clone(),
        })?;
        let (living, shelves) = (alive.clone(), Arc::clone(&stock));
        let run = move || {
            let _alive = living;
            worker.tell(Event::Models(shelves.models().into()));
            worker.run(&inbox);
        };
        first.map_err(|_| Failure::new("the engine has ended", "start the program again"))?;
        thread::Builder::new().name("engine".into()).spawn(run).map_err(no_thread)?;
        let (fetches, stopped_fetches) = Default::default();
        let (alive, experiments) = (Some(alive), AtomicU64::new(0));
        Ok(Self {
            clerk,
            stock,
            fetches,
            stopped_fetches,
            mailbox,
            queue,
            endings,
            at_work,
            experiments,
            halted,
            alive,
            ended,
        })
    }

    /// Fetches on a thread of its own: pictures are made meanwhile.
    fn fetch(&self, name: String) {
        let (mailbox, alive, stock) = (Arc::clone(&self.mailbox), self.alive.clone(), Arc::clone(&self.stock));
        let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        let stopped = Arc::clone(&self.stopped_fetches);
        let failed = name.clone();
        let run = move || {
            let _alive = alive;
            let mut told = None;
            let mut observe = |progress: &Progress| {
                if told.as_ref() != Some(progress) {
                    told = Some(progress.clone());
                    mailbox.post(Event::Fetching(name.clone(), progress.clone()));
                }
                let stop = stopped.load(Ordering::SeqCst) >= number;
                if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let caught = catch_unwind(AssertUnwindSafe(|| stock.fetch(&name, &mut observe)));
            let fetched = caught.unwrap_or_else(|panic| Err(stumbled(panic.as_ref())));
            // The list first: who hears that it is here finds it there.
            mailbox.post(Event::Models(stock.models().into()));
            mailbox.post(Event::Fetched(name, fetched));
        };
        if let Err(error) = thread::Builder::new().name("fetch".into()).spawn(run) {
            self.mailbox.post(Event::Fetched(failed, Err(no_thread(error))));
        }
    }

    fn save_copy(&self, picture: Arc<Picture>, path: PathBuf) {
        let (mailbox, alive) = (Arc::clone(&self.mailbox), self.alive.clone());
        let run = move || {
            let _alive = alive;
            let saved = save(&Library::new(Destination::File(path), SAVE), &picture);
            mailbox.post(Event::Copied(saved));
        };
        // Beside the engine's own thread: a copy does not wait for the next picture.
        if let Err(error) = thread::Builder::new().name("copy".into()).spawn(run) {
            self.mailbox.post(Event::Copied(Err(no_thread(error))));
        }
    }
}

impl Backend for Engine {
    fn send(&self, command: Command) {
        match command {
            Command::Make(job) => self.clerk.ask(Ask::Add(vec![Task::Pictures(job)])),
            Command::Queue(ask) => self.clerk.ask(ask),
            Command::Open(model) => self.clerk.order(Order::Open(model)),
            Command::End(id, ending) => self.endings.ask(id, ending),
            Command::Fetch(name) => self.fetch(name),
            Command::StopFetching => {
                self.stopped_fetches.store(self.fetches.load(Ordering::SeqCst), Ordering::SeqCst);
            }
            Command::SaveCopy { picture, path } => self.save_copy(picture, path),
            Command::Laboratory(laboratory::Ask::Stop) => {
                self.halted.store(self.experiments.load(Ordering::SeqCst), Ordering::SeqCst);
            }
            Command::Laboratory(ask) => {
                let number = self.experiments.fetch_add(1, Ordering::SeqCst) + 1;
                self.clerk.order(Order::Experiment(number, ask));
            }
        }
    }

    fn events(&self) -> Vec<Event> {
        self.mailbox.take()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.endings.leave();
        self.send(Command::StopFetching);
        // What was asked for is on the disk before the program ends.
        self.clerk.close();
        // What cannot be written down now is found by whoever opens the queue next; nobody hears a failure any more.
        let _ = self.at_work.leave(&self.queue);
        self.alive = None;
        // Nobody ever sends: the answer is either "all threads have ended" or "that took too long".
        let _: Result<(), RecvTimeoutError> = self.ended.recv_timeout(GRACE);
    }
}

/// Saves a picture and says where.
fn save(library: &Library, picture: &Picture) -> Result<PathBuf> {
    let nowhere = || Failure::new("the picture was not saved to a file", "save a copy of it");
    let path = library.save(picture)?.path.ok_or_else(nowhere)?;
    // A face hands it on: to the clipboard, to a file manager.
    Ok(std::path::absolute(&path).unwrap_or(path))
}

fn no_thread(error: std::io::Error) -> Failure {
    Failure::new(format!("the system gives no thread ({error})"), "close other programs and try again")
}
