//! What happens as NDJSON: one object a line, `event` says what it is. Seeds are strings.

use flowline_model::weights::Applied;
use flowline_model::{Event, Outcome, Request, Warning};
use serde::{Serialize, Serializer};

use crate::trace::Figures;
use crate::{Exit, Failure};

/// One line of `--progress json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Line<'a> {
    /// Everything is decided; the work begins.
    Resolved {
        /// What will be done.
        request: &'a Request,
        /// Whether the seed was chosen by the program.
        random_seed: bool,
    },
    /// A cell of a grid begins, or the run that it is compared with.
    Cell {
        /// Its key.
        cell: &'a str,
        /// Its place among the cells of this run, from 1.
        number: usize,
        /// How many those are.
        cells: usize,
        /// Its value on every axis.
        at: serde_json::Map<String, serde_json::Value>,
        /// The reference run, if it is one.
        reference: Option<String>,
    },
    /// An adapter was opened with the model.
    Adapter {
        /// Its file.
        file: &'a str,
        /// How strongly it works.
        scale: f64,
        /// How many of its modules add to the model.
        applied: usize,
        /// How many it has.
        modules: usize,
    },
    /// Something the user should know.
    Warning {
        /// A stable name.
        code: &'a str,
        /// For people.
        message: &'a str,
    },
    /// A model is being fetched from the Hub, under these terms.
    Pulling {
        /// Its name.
        model: &'a str,
        /// Where it comes from.
        page: &'a str,
        /// Its licence; `null` if its owner names none.
        licence: Option<&'a str>,
        /// How many files.
        files: usize,
        /// Bytes of all files.
        total: u64,
    },
    /// Files are being fetched, or hashed.
    Transfer {
        /// `fetching` or `checking`.
        work: &'static str,
        /// Which file; `null` while many are looked at.
        file: Option<&'a str>,
        /// Bytes so far, of all files.
        bytes: u64,
        /// Bytes of all files.
        total: u64,
        /// Bytes a second.
        rate: Option<f64>,
        /// Seconds that the rest will take.
        left: Option<f64>,
    },
    /// Something went wrong that may pass, or another program has to be waited for.
    Waiting {
        /// What happened.
        what: &'a str,
        /// Seconds until it is tried again.
        seconds: f64,
    },
    /// Weights are being read.
    Loading {
        /// What is being read.
        part: &'a str,
        /// Bytes so far, of all parts.
        bytes: u64,
        /// Bytes of all parts.
        total: u64,
    },
    /// The prompt is being encoded.
    Encoding,
    /// The work goes on; at most one a second.
    Tick,
    /// A step is done.
    Step {
        /// Which picture, from 0.
        picture: usize,
        /// Pictures in all.
        pictures: usize,
        /// Steps taken, from 1.
        taken: usize,
        /// Steps in all.
        steps: usize,
        /// Where the step began.
        sigma: f64,
        /// Where it ended.
        next: f64,
        /// Model evaluations for this picture so far.
        evaluations: u64,
        /// Since this picture's first step began.
        seconds: f64,
        /// What was measured.
        #[serde(flatten)]
        figures: Figures,
    },
    /// A picture is being decoded.
    Decoding {
        /// Which picture, from 0.
        index: usize,
    },
    /// A picture is made.
    Picture {
        /// Which picture, from 0.
        index: usize,
        /// Its seed.
        #[serde(serialize_with = "as_string")]
        seed: u64,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Steps taken and steps in all, if it was stopped.
        stopped: Option<(usize, usize)>,
        /// Model evaluations it took.
        evaluations: u64,
        /// From its first step to its last pixel.
        seconds: f64,
    },
    /// A picture is on the disk.
    Saved {
        /// Which picture, from 0.
        index: usize,
        /// Its seed.
        #[serde(serialize_with = "as_string")]
        seed: u64,
        /// Its file; `null` for stdout.
        path: Option<String>,
    },
    /// All is done, or stopped.
    Finished {
        /// Pictures made.
        pictures: usize,
        /// Whether it was stopped.
        stopped: bool,
        /// Seconds spent reading weights.
        loading: f64,
        /// Seconds spent encoding text.
        encoding: f64,
        /// Seconds spent in steps.
        sampling: f64,
        /// Seconds spent decoding.
        decoding: f64,
    },
    /// It could not be done.
    Error {
        /// What happened.
        what: &'a str,
        /// What to do.
        hint: &'a str,
        /// The exit code.
        exit: u8,
    },
}

fn as_string<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(seed)
}

impl<'a> From<&'a Warning> for Line<'a> {
    fn from(warning: &'a Warning) -> Self {
        Self::Warning { code: warning.code, message: &warning.message }
    }
}

impl<'a> From<&'a Applied> for Line<'a> {
    fn from(Applied { file, scale, applied, modules, .. }: &'a Applied) -> Self {
        Self::Adapter { file, scale: *scale, applied: *applied, modules: *modules }
    }
}

impl<'a> From<&'a Failure> for Line<'a> {
    fn from(failure: &'a Failure) -> Self {
        let exit = match failure.exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Cancelled => 130,
        };
        Self::Error { what: &failure.what, hint: &failure.hint, exit }
    }
}

impl<'a> From<&'a Event> for Line<'a> {
    fn from(event: &'a Event) -> Self {
        match event {
            Event::Warning(warning) => warning.into(),
            Event::Loading { part, bytes, total } => Self::Loading { part, bytes: *bytes, total: *total },
            Event::Encoding => Self::Encoding,
            Event::Tick => Self::Tick,
            Event::Step(step) => Self::Step {
                picture: step.picture,
                pictures: step.pictures,
                taken: step.taken,
                steps: step.steps,
                sigma: step.sigma,
                next: step.next,
                evaluations: step.evaluations,
                seconds: step.elapsed.as_secs_f64(),
                figures: step.metrics.into(),
            },
            Event::Decoding { index } => Self::Decoding { index: *index },
            Event::Picture(picture) => Self::Picture {
                index: picture.index,
                seed: picture.seed,
                width: picture.image.width(),
                height: picture.image.height(),
                stopped: picture.stopped,
                evaluations: picture.evaluations,
                seconds: picture.elapsed.as_secs_f64(),
            },
            Event::Finished(Outcome { pictures, stopped, loading, encoding, sampling, decoding }) => Self::Finished {
                pictures: *pictures,
                stopped: *stopped,
                loading: loading.as_secs_f64(),
                encoding: encoding.as_secs_f64(),
                sampling: sampling.as_secs_f64(),
                decoding: decoding.as_secs_f64(),
            },
        }
    }
}
