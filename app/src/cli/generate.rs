//! `flowline generate`: from the options to pictures on the disk. Everything passes through `Pipeline::generate`.

use std::ops::ControlFlow;
use std::path::Path;

use flowline_model::{Event, Opening, Picture, Pipeline, Request, Resolved, Warning};
use serde::Serialize;

use super::asked::{Asked, counted_on};
use super::beside::Files;
use super::interrupt::Interrupt;
use super::progress::Reporter;
use super::{brought, dry_run, fetching, output};
use crate::args::{Generate, PICTURES_AT_ONCE};
use crate::library::{Destination, Library, SaveOptions, Saved, cache_folder, default_folder};
use crate::{Exit, Failure, Registry, Result};

/// Makes the pictures that `args` asks for, and tells how it went.
pub fn run(args: &Generate, registry: &Registry) -> Exit {
    let mut reporter = Reporter::new(args.progress);
    match make(args, registry, &mut reporter) {
        Ok(exit) => {
            reporter.close();
            exit
        }
        Err(failure) => reporter.fail(&failure),
    }
}

fn make(args: &Generate, registry: &Registry, reporter: &mut Reporter) -> Result<Exit> {
    // Everything that can be refused is refused before a weight is read.
    let destination = destination(args, reporter)?;
    let mut files = Files::new(args)?;
    let mut asked = Asked::read(args)?;
    let save = SaveOptions { force: args.force, metadata: !args.no_metadata };
    let to_stdout = matches!(destination, Destination::Stdout);
    let library = Library::new(destination, save);
    if !args.dry_run {
        library.check()?;
    }
    if !args.dry_run && fetching::fetch_missing(&asked.opening, reporter)?.is_break() {
        return Ok(Exit::Cancelled);
    }
    let cache = cache_folder().map_err(|warning| reporter.warning(&warning)).ok();
    let opening = Opening { cache, ..asked.opening.clone() };
    let opened = match args.dry_run {
        true => ControlFlow::Continue(registry.open(&opening)?),
        false => fetching::open(&opening, registry, reporter)?,
    };
    let ControlFlow::Continue(mut pipeline) = opened else { return Ok(Exit::Cancelled) };
    reporter.adapters(pipeline.spec().adapters());
    let warnings = brought::choose(&args.beginning, args.tilt.as_ref(), &mut asked.draft, &mut pipeline)?;
    asked.warnings.extend(warnings);
    let requests = resolve_all(&mut asked, args, &mut pipeline, &mut files, reporter)?;
    let seeds: Vec<u64> = requests.iter().flat_map(|request| request.seeds.iter().copied()).collect();
    files.serve(seeds.len())?;
    if to_stdout && seeds.len() > 1 && !args.dry_run {
        let what = format!("{} pictures do not fit on standard output", seeds.len());
        return Err(Failure::usage(what, "make one, or give a folder with -o"));
    }
    if args.dry_run {
        for request in &requests {
            reporter.resolved(request, asked.draft.seeds.is_empty(), args.verbose);
        }
        dry_run::show(&requests, pipeline.spec(), args.json)?;
        return Ok(Exit::Done);
    }
    pipeline.keep(args.keep_trajectory.is_some());
    let mut work = Work {
        library,
        files,
        seeds,
        before: 0,
        interrupt: Interrupt::listen(),
        json: args.json,
        reporter,
        whole: 0,
        cut: 0,
        told: false,
        failure: None,
    };
    let stopped = work.make(&requests, &mut pipeline, args, asked.draft.seeds.is_empty())?;
    if let Some(failure) = work.failure {
        return Err(failure);
    }
    // A key pressed when everything is done has stopped nothing.
    if work.whole == work.seeds.len() {
        return Ok(Exit::Done);
    }
    if work.whole + work.cut == 0 {
        work.reporter.talk("stopped before the first step was done; there is no picture");
    }
    match stopped {
        true => Ok(Exit::Cancelled),
        // A record of a stopped picture was replayed.
        false => Ok(Exit::Done),
    }
}

/// How many prompts are read together: a model keeps the features of twice as many.
const PROMPTS_AHEAD: usize = 16;

/// Everything that is asked for, decided; one request a prompt.
fn resolve_all(
    asked: &mut Asked,
    args: &Generate,
    pipeline: &mut Pipeline,
    files: &mut Files,
    reporter: &mut Reporter,
) -> Result<Vec<Request>> {
    let mut requests = Vec::new();
    for prompt in std::mem::take(&mut asked.prompts) {
        asked.draft.prompt = prompt;
        requests.push(resolve(asked, args, pipeline, files, reporter)?);
    }
    let pictures: usize = requests.iter().map(|request| request.seeds.len()).sum();
    if pictures > PICTURES_AT_ONCE {
        let what = format!("{pictures} pictures are more than {PICTURES_AT_ONCE} at once");
        return Err(Failure::usage(what, "make them in several runs"));
    }
    Ok(requests)
}

/// Where the pictures go.
fn destination(args: &Generate, reporter: &mut Reporter) -> Result<Destination> {
    let Some(output) = &args.output else {
        let folder = default_folder();
        if let Some(fallback) = folder.fallback {
            reporter.warning(&Warning::new("folder-fallback", fallback));
        }
        return Ok(Destination::Folder(folder.path));
    };
    let destination = Destination::parse(output.as_os_str())?;
    if destination == Destination::Stdout && args.json && !args.dry_run {
        let hint = "leave --json out, or give a file with -o";
        return Err(Failure::usage("standard output cannot carry a picture and JSON", hint));
    }
    Ok(destination)
}

/// Decides everything, and says what should be said about it.
fn resolve(
    asked: &mut Asked,
    args: &Generate,
    pipeline: &mut Pipeline,
    files: &mut Files,
    reporter: &mut Reporter,
) -> Result<Request> {
    for warning in &asked.warnings {
        reporter.warning(warning);
    }
    let Resolved { mut request, warnings } = match asked.branch.take() {
        None => asked.draft.resolve(pipeline.spec())?,
        Some(from) => {
            let (resolved, evaluations) = from.resolve(&asked.draft, args, pipeline)?;
            files.go_on(evaluations);
            resolved
        }
    };
    if let (Some(first), true) = (request.seeds.first(), asked.batch > 1) {
        request.seeds = counted_on(*first, asked.batch)?;
    }
    for warning in &warnings {
        reporter.warning(warning);
    }
    if let Some(replayed) = &asked.replayed {
        for difference in request.differences(replayed) {
            let message = format!("the picture may not come out the same: {difference}");
            reporter.warning(&Warning::new("replay-differs", message));
        }
    }
    Ok(request)
}

/// The observer: tells, saves each picture the moment it exists, and hears Ctrl-C.
struct Work<'a> {
    library: Library,
    files: Files,
    /// Of all pictures, whatever their prompt.
    seeds: Vec<u64>,
    /// Pictures of the prompts before.
    before: usize,
    interrupt: Interrupt,
    json: bool,
    reporter: &'a mut Reporter,
    /// Pictures saved that are as they were asked for, and stopped ones.
    whole: usize,
    cut: usize,
    /// Whether the user was told that a key was heard.
    told: bool,
    failure: Option<Failure>,
}

impl Work<'_> {
    /// Makes the pictures of all requests, and says whether it was stopped.
    fn make(&mut self, requests: &[Request], pipeline: &mut Pipeline, args: &Generate, random: bool) -> Result<bool> {
        for several in requests.chunks(PROMPTS_AHEAD) {
            if requests.len() > 1 && pipeline.encode_ahead(several, |event| self.observe(event))?.is_break() {
                return Ok(true);
            }
            for request in several {
                self.reporter.resolved(request, random, args.verbose);
                let outcome = pipeline.generate(request, |event| self.observe(event))?;
                self.before += request.seeds.len();
                if args.verbose {
                    self.reporter.times(&outcome);
                }
                if outcome.stopped {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn observe(&mut self, event: Event) -> ControlFlow<()> {
        let event = event.among(self.before, self.seeds.len());
        self.reporter.event(&event);
        match &event {
            Event::Step(step) => {
                if let Some(warning) = self.files.step(step, &self.seeds) {
                    self.reporter.warning(&warning);
                }
            }
            Event::Picture(picture) => {
                if let Err(failure) = self.save(picture) {
                    self.failure = Some(failure);
                    return ControlFlow::Break(());
                }
            }
            _ => {}
        }
        if !self.interrupt.pressed() {
            return ControlFlow::Continue(());
        }
        if !self.told {
            self.told = true;
            self.reporter.talk("stopping with the best so far; press Ctrl-C again to quit at once");
        }
        ControlFlow::Break(())
    }

    fn save(&mut self, picture: &Picture) -> Result<()> {
        let Saved { path } = self.library.save(picture)?;
        self.reporter.saved(picture.index, picture.seed, path.as_deref());
        match picture.stopped {
            None => self.whole += 1,
            Some((taken, steps)) => {
                self.cut += 1;
                self.reporter.talk(&format!("stopped after {taken} of {steps} steps; this is the best so far"));
            }
        }
        if let Some(path) = path {
            self.print(picture, &path)?;
        }
        self.files.picture(picture)
    }

    /// Tells where a picture is, on stdout.
    fn print(&self, picture: &Picture, path: &Path) -> Result<()> {
        let line = match self.json {
            true => output::line(&Made::new(picture, path))?.into_bytes(),
            false => path.as_os_str().as_encoded_bytes().to_vec(),
        };
        self.reporter.beside(|| output::data(&[&line[..], b"\n"].concat()))
    }
}

/// A picture as `--json` prints it.
#[derive(Serialize)]
struct Made<'a> {
    path: String,
    seed: String,
    width: u32,
    height: u32,
    steps: usize,
    /// Steps taken and steps in all, if it was stopped.
    stopped: Option<(usize, usize)>,
    evaluations: u64,
    seconds: f64,
    request: &'a Request,
}

impl<'a> Made<'a> {
    fn new(picture: &'a Picture, path: &Path) -> Self {
        Self {
            path: path.display().to_string(),
            seed: picture.seed.to_string(),
            width: picture.image.width(),
            height: picture.image.height(),
            steps: picture.request.steps,
            stopped: picture.stopped,
            evaluations: picture.evaluations,
            seconds: picture.elapsed.as_secs_f64(),
            request: &picture.request,
        }
    }
}
