//! The thread that owns models: commands in, events out.
//!
//! A face (the window; later others) holds an [`Engine`] and speaks to it through [`Backend`]. Opening a model, making
//! pictures and saving them happen on the engine's thread, so a face never waits. Whatever goes wrong there, a panic
//! included, comes back as [`Event::Failed`], and the engine goes on with the next job. Every job ends with exactly one
//! [`Event::Failed`] or one [`flowline_model::Event::Finished`].

pub mod laboratory;
mod mailbox;
mod model;
mod stock;

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use flowline_model::{Draft, Outcome, Picture, Request, Warning, catalog};

use crate::Registry;
use crate::error::{Failure, Result};
use crate::library::{Destination, Library, SaveOptions, cache_folder, default_folder};
use mailbox::Mailbox;
pub use model::{Model, Offer, Open, Reader, open_pipeline};
pub use stock::{Progress, Stock, Stocked, UsersStock};

/// What a face asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make pictures.
    Make(Box<Job>),
    /// Finish every job asked for so far with the best picture it has.
    Stop,
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

/// Pictures to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// A model's name or folder.
    pub model: String,
    /// What was asked for.
    pub draft: Draft,
}

/// What the engine says.
#[derive(Clone, Debug)]
pub enum Event {
    /// A model is open and can be asked for pictures.
    Ready(Arc<Offer>),
    /// A job is decided down to the last number and begins.
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
    /// A job, or the opening of a model, came to nothing.
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
    /// Where models are listed and fetched.
    pub stock: Arc<dyn Stock>,
    /// What should be said first.
    pub notices: Vec<Warning>,
}

impl Setup {
    /// The default model, what `registry` offers, and the user's pictures folder.
    pub fn usual(registry: Registry) -> Self {
        let folder = default_folder();
        let fallback = folder.fallback.map(|message| Warning::new("folder", message));
        let (cache, uncached) = match cache_folder() {
            Ok(cache) => (Some(cache), None),
            Err(warning) => (None, Some(warning)),
        };
        Self {
            model: catalog::MODELS.first().map_or_else(String::new, |entry| entry.name.to_owned()),
            library: Library::new(Destination::Folder(folder.path), SAVE),
            open: open_pipeline(registry, cache),
            stock: Arc::new(UsersStock),
            notices: fallback.into_iter().chain(uncached).collect(),
        }
    }
}

/// Pictures carry their record, and never replace another.
const SAVE: SaveOptions = SaveOptions { force: false, metadata: true };

/// How long [`Engine`]'s drop waits for an unfinished picture. A large model hears a stop between two blocks, within
/// seconds, and then still decodes.
const GRACE: Duration = Duration::from_secs(60);

/// A running engine. Dropping it stops the work, keeping the best picture so far, and waits for that at most a minute;
/// pictures are written atomically, so even a process that ends earlier leaves nothing half-written.
pub struct Engine {
    /// `None` once no more jobs are taken.
    jobs: Option<Sender<(u64, Order)>>,
    stock: Arc<dyn Stock>,
    /// How often fetching was asked for, and which of these are to be stopped.
    fetches: Arc<AtomicU64>,
    stopped_fetches: Arc<AtomicU64>,
    mailbox: Arc<Mailbox>,
    asked: AtomicU64,
    stopped: Arc<AtomicU64>,
    /// Experiments up to this order are to be finished.
    halted: Arc<AtomicU64>,
    /// Every thread of the engine holds a clone of `alive` and never sends.
    alive: Option<Sender<()>>,
    ended: Receiver<()>,
}

impl Engine {
    /// Starts the thread, which opens the first model.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(setup: Setup, waker: Waker) -> Result<Self> {
        let (jobs, inbox) = mpsc::channel::<(u64, Order)>();
        let (alive, ended) = mpsc::channel();
        let mailbox = Arc::new(Mailbox::new(waker));
        let [stopped, halted] = [0, 0].map(|none| Arc::new(AtomicU64::new(none)));
        let Setup { model, library, open, stock, notices } = setup;
        let mut worker = Worker {
            open,
            library: Arc::new(library),
            model: None,
            mailbox: Arc::clone(&mailbox),
            stopped: Arc::clone(&stopped),
            halted: Arc::clone(&halted),
            bench: laboratory::Bench::default(),
        };
        let living = alive.clone();
        let shelves = Arc::clone(&stock);
        let run = move || {
            let _alive = living;
            for warning in notices {
                worker.mailbox.post(Event::Made(flowline_model::Event::Warning(warning)));
            }
            worker.mailbox.post(Event::Models(shelves.models().into()));
            worker.guard(|worker| worker.open(&model).map(|_| ()));
            for (number, order) in inbox {
                match order {
                    Order::Make(job) => worker.guard(|worker| worker.make(number, &job)),
                    Order::Open(model) => worker.guard(|worker| worker.open(&model).map(|_| ())),
                    Order::Experiment(ask) => worker.experiment(number, ask),
                }
            }
        };
        thread::Builder::new().name("engine".into()).spawn(run).map_err(no_thread)?;
        let (fetches, stopped_fetches) = Default::default();
        let jobs = Some(jobs);
        let asked = AtomicU64::new(0);
        Ok(Self { jobs, stock, fetches, stopped_fetches, mailbox, asked, stopped, halted, alive: Some(alive), ended })
    }

    fn order(&self, order: Order) {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let gone = self.jobs.as_ref().is_none_or(|jobs| jobs.send((number, order)).is_err());
        if gone {
            let failure = Failure::new("the engine has ended", "close the window and open it again");
            self.mailbox.post(Event::Failed(failure));
        }
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
            Command::Make(job) => self.order(Order::Make(job)),
            Command::Open(model) => self.order(Order::Open(model)),
            Command::Fetch(name) => self.fetch(name),
            Command::StopFetching => {
                self.stopped_fetches.store(self.fetches.load(Ordering::SeqCst), Ordering::SeqCst);
            }
            Command::Stop => self.stopped.store(self.asked.load(Ordering::SeqCst), Ordering::SeqCst),
            Command::SaveCopy { picture, path } => self.save_copy(picture, path),
            Command::Laboratory(laboratory::Ask::Stop) => {
                self.halted.store(self.asked.load(Ordering::SeqCst), Ordering::SeqCst);
            }
            Command::Laboratory(ask) => self.order(Order::Experiment(ask)),
        }
    }

    fn events(&self) -> Vec<Event> {
        self.mailbox.take()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.send(Command::Stop);
        self.send(Command::StopFetching);
        self.jobs = None;
        self.alive = None;
        // Nobody ever sends: the answer is either "all threads have ended" or "that took too long".
        let _: Result<(), RecvTimeoutError> = self.ended.recv_timeout(GRACE);
    }
}

/// What the engine's thread is asked for.
enum Order {
    Make(Box<Job>),
    Open(String),
    Experiment(laboratory::Ask),
}

/// What lives on the engine's thread.
struct Worker {
    open: Open,
    library: Arc<Library>,
    /// The model that is warm, and the name it was opened by.
    model: Option<(String, Box<dyn Model>)>,
    mailbox: Arc<Mailbox>,
    /// Jobs up to this number are to be stopped. A number, not a flag: a stop that comes before its job has begun still
    /// finds it, and one that comes late does not hit the next.
    stopped: Arc<AtomicU64>,
    halted: Arc<AtomicU64>,
    /// The last run.
    bench: laboratory::Bench,
}

impl Worker {
    /// Runs a piece of work; its failure or panic becomes an event.
    fn guard(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) {
        match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => self.mailbox.post(Event::Failed(failure)),
            Err(panic) => {
                // Whatever the model was doing, it is not used again.
                self.model = None;
                self.mailbox.post(Event::Failed(stumbled(panic.as_ref())));
            }
        }
    }

    /// The model called `name`, opened now unless it is warm.
    fn open(&mut self, name: &str) -> Result<&mut dyn Model> {
        let warm = self.model.take().filter(|(warm, _)| warm == name);
        let model = match warm {
            Some((_, model)) => model,
            None => {
                let model = (self.open)(name)?;
                // By the name that opens it again; a folder in the Hub's cache, say, is called otherwise.
                let offer = Offer { model: name.to_owned(), ..model.offer() };
                self.mailbox.post(Event::Ready(Arc::new(offer)));
                model
            }
        };
        Ok(self.model.insert((name.to_owned(), model)).1.as_mut())
    }

    fn make(&mut self, number: u64, job: &Job) -> Result<()> {
        let stopped = Arc::clone(&self.stopped);
        let stop = move || stopped.load(Ordering::SeqCst) >= number;
        if stop() {
            let outcome = Outcome { stopped: true, ..Outcome::default() };
            self.mailbox.post(Event::Made(flowline_model::Event::Finished(outcome)));
            return Ok(());
        }
        self.library.check()?;
        let library = Arc::clone(&self.library);
        // Beside the model for as long as that works.
        let mut bench = std::mem::take(&mut self.bench);
        let made = self.make_beside(&mut bench, job, library, stop);
        self.bench = bench;
        made
    }

    fn make_beside(
        &mut self,
        bench: &mut laboratory::Bench,
        job: &Job,
        library: Arc<Library>,
        stop: impl Fn() -> bool,
    ) -> Result<()> {
        let mailbox = Arc::clone(&self.mailbox);
        let model = self.open(&job.model)?;
        let resolved = model.resolve(&job.draft)?;
        mailbox.post(Event::Started(Box::new(resolved.request.clone())));
        for warning in resolved.warnings {
            mailbox.post(Event::Made(flowline_model::Event::Warning(warning)));
        }
        bench.prepare(model, &resolved.request)?;
        let mut ticking = false;
        let made = model.generate(&resolved.request, &mut |mut event| {
            // The first tick says that something new has begun; the others only ask.
            let again = std::mem::replace(&mut ticking, matches!(event, flowline_model::Event::Tick)) && ticking;
            let ran = bench.hear(&mut event, &job.model);
            match event {
                flowline_model::Event::Tick if again => {}
                flowline_model::Event::Picture(picture) => {
                    // Saved before anybody hears of it: what is shown is safe.
                    let saved = save(&library, &picture);
                    mailbox.post(Event::Picture(Arc::from(picture), saved));
                }
                other => mailbox.post(Event::Made(other)),
            }
            if let Some(run) = ran {
                mailbox.post(Event::Laboratory(laboratory::Told::Ran(Arc::new(run))));
            }
            if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        bench.done(model);
        made.map(|_| ())
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

/// A panic, as a person should hear of it.
fn stumbled(panic: &(dyn Any + Send)) -> Failure {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let report = crate::crash::last_report().map(|file| format!(" with {}", file.display())).unwrap_or_default();
    let hint = format!("this is a bug in flowline; please report it{report}. You can go on making pictures");
    Failure::new(format!("the engine stumbled: {said}"), hint)
}
