//! What `generate` writes beside each picture: the newest preview, the trace, the trajectory.

use std::time::{Duration, Instant};

use flowline_model::{Kept, Picture, StepDone, Warning};

use super::output;
use super::preview::PreviewFile;
use crate::args::Generate;
use crate::library::{Beside, Format, Which};
use crate::trace::Tracing;
use crate::{Failure, Result};

/// A trajectory that grows slowly is written again after so long, so that a kill loses little.
const REWRITE: Duration = Duration::from_secs(30);

const TRACE: Format = Format { extension: "json", hint: "a trace is JSON; end the name in .json" };
const TRAJECTORY: Format =
    Format { extension: "safetensors", hint: "a trajectory is kept as safetensors; end the name in .safetensors" };

/// The files beside a run's pictures.
pub struct Files {
    preview: Option<PreviewFile>,
    trace: Option<(Beside, Tracing)>,
    trajectory: Option<Trajectory>,
}

struct Trajectory {
    file: Beside,
    written: Instant,
}

impl Files {
    /// Those that `args` asks for.
    ///
    /// # Errors
    /// Names and folders that cannot be.
    pub fn new(args: &Generate) -> Result<Self> {
        let preview = args.preview_path.as_deref().map(PreviewFile::new).transpose()?;
        let trace = args.trace.as_deref().map(|path| Beside::new("trace", TRACE, path, args.force)).transpose()?;
        let kept = args.keep_trajectory.as_deref();
        let kept = kept.map(|path| Beside::new("trajectory", TRAJECTORY, path, args.force)).transpose()?;
        Ok(Self {
            preview,
            trace: trace.map(|file| (file, Tracing::default())),
            trajectory: kept.map(|file| Trajectory { file, written: Instant::now() }),
        })
    }

    /// Refuses one name for so many pictures.
    ///
    /// # Errors
    /// A usage error.
    pub fn serve(&self, pictures: usize) -> Result<()> {
        let traces = self.trace.iter().map(|(file, _)| file);
        let mut files = traces.chain(self.trajectory.iter().map(|trajectory| &trajectory.file));
        files.try_for_each(|file| file.serve(pictures))
    }

    /// A trace that goes on after `evaluations` model calls of a kept run.
    pub fn go_on(&mut self, evaluations: u64) {
        if let Some((_, tracing)) = &mut self.trace {
            *tracing = Tracing::after(evaluations);
        }
    }

    /// A step is done of one of the pictures with these seeds. What cannot be written yet is no reason to lose the picture: it comes back as a warning.
    pub fn step(&mut self, step: &StepDone, seeds: &[u64]) -> Option<Warning> {
        if let Some((_, tracing)) = &mut self.trace {
            tracing.step(step);
        }
        let previewed = match (&mut self.preview, &step.preview) {
            (Some(file), Some(preview)) => file.write(preview),
            (Some(_), None) => Err(Failure::new("this model has no previews", "")),
            (None, _) => Ok(()),
        };
        if let Err(failure) = previewed {
            self.preview = None;
            return Some(Warning::new("preview-off", format!("there are no previews: {}", failure.what)));
        }
        let (Some(trajectory), Some(kept)) = (&mut self.trajectory, &step.kept) else { return None };
        if trajectory.written.elapsed() < REWRITE {
            return None;
        }
        let seed = seeds.get(step.picture).copied().unwrap_or_default();
        let which = Which { model: &kept.request.model.name, seed, index: step.picture };
        let written = trajectory.write(which, kept);
        let late = |failure: Failure| format!("the trajectory could not be written yet: {}", failure.what);
        written.err().map(|failure| Warning::new("trajectory-late", late(failure)))
    }

    /// A picture is saved; so are its trace and its trajectory now.
    ///
    /// # Errors
    /// What the system says.
    pub fn picture(&mut self, picture: &Picture) -> Result<()> {
        let which = Which { model: &picture.request.model.name, seed: picture.seed, index: picture.index };
        if let Some((file, tracing)) = &mut self.trace {
            let text = output::document(&tracing.finish(picture))?;
            file.write(which, |out| out.write_all(text.as_bytes()))?;
        }
        match (&mut self.trajectory, &picture.kept) {
            (Some(trajectory), Some(kept)) => trajectory.write(which, kept),
            _ => Ok(()),
        }
    }
}

impl Trajectory {
    fn write(&mut self, which: Which<'_>, kept: &Kept) -> Result<()> {
        let bytes = kept.to_bytes()?;
        self.written = Instant::now();
        self.file.write(which, |out| out.write_all(&bytes)).map(drop)
    }
}
