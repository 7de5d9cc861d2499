//! `--branch FILE@K`: a kept trajectory, and what becomes of the draft that goes on from it.

use std::path::Path;

use flowline_model::{Draft, Kept, Pipeline, Request, Resolved};

use crate::args::{BranchPoint, Generate};
use crate::laboratory::branch::{Timing, branched};
use crate::{Failure, Result};

/// A run to go on with, and after how many of its steps.
#[derive(Debug)]
pub struct From {
    /// The run.
    pub kept: Kept,
    /// After so many steps.
    pub at: usize,
}

impl From {
    /// Reads the trajectory that `point` names.
    ///
    /// # Errors
    /// A file that cannot be read or is no trajectory; a step beyond its end.
    pub fn read(point: &BranchPoint) -> Result<Self> {
        let bytes = std::fs::read(&point.file).map_err(|error| Failure::io(&point.file, error))?;
        let about = |error: flowline_model::Error| named(&point.file, error);
        let kept = Kept::from_bytes(&bytes).map_err(about)?;
        let at = point.at.unwrap_or(kept.taken());
        kept.state(at).map_err(about)?;
        Ok(Self { kept, at })
    }

    /// Decides what `draft`, the run's own with the options of `args` over it, stands for, and has `pipeline` hold the
    /// run: where nothing was changed that decides a run, the run itself goes on; else it is a branch. Also how many model
    /// calls the run itself goes on after.
    ///
    /// # Errors
    /// What cannot be done, with the run or with this model.
    pub fn resolve(self, draft: &Draft, args: &Generate, pipeline: &mut Pipeline) -> Result<(Resolved, u64)> {
        let Self { kept, at } = self;
        if let Ok(resolved) = draft.resolve(pipeline.spec())
            && resolved.request.same_run(&kept.request)
        {
            let evaluations = kept.state(at)?.evaluations;
            pipeline.hold_at(kept, at)?;
            return Ok((resolved, evaluations));
        }
        let parent = kept.request.clone();
        pipeline.hold(kept)?;
        let timed = args.steps.is_some() || args.schedule.is_some() || args.shift.is_some() || args.sigmas.is_some();
        // Without one of its own, the run's sigmas from here on.
        let timing = if timed { Timing::Own } else { Timing::Parents };
        let draft = branched(draft.clone(), parent, at, timing);
        Ok((draft.resolve(pipeline.spec())?, 0))
    }

    /// What was made.
    pub fn request(&self) -> &Request {
        &self.kept.request
    }
}

fn named(file: &Path, error: flowline_model::Error) -> Failure {
    Failure::new(format!("{}: {error}", file.display()), error.hint())
}
