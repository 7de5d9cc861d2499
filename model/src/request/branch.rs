//! Going on from the middle of another run.

use std::fmt;

use flowline_sampler::Schedule;
use flowline_sampler::catalog::Choice;
use serde::{Deserialize, Serialize};

use super::{Draft, Request};
use crate::spec::Spec;
use crate::{Error, Result};

/// Where a branch begins: at the state of another run after some of its steps. The other run stands here whole, so a
/// record of a branch makes its picture again without any file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// The run it leaves; one seed. Where that run would stop does not matter, so its `stop_after` is not kept.
    pub parent: Request,
    /// After so many of the parent's steps, from 0; the branch's first sigma is the parent's `sigmas[at]`.
    pub at: usize,
}

/// How many branches may hang on one another.
pub(super) const DEEPEST: usize = 16;

impl fmt::Display for Branch {
    /// For people: where it leaves which run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { seeds, steps, sampler, .. } = &self.parent;
        write!(f, "after step {} of {steps} of a run with sampler {sampler}, seed ", self.at)?;
        seeds.first().map_or(Ok(()), |seed| write!(f, "{seed}"))?;
        match &self.parent.branch {
            Some(deeper) => write!(f, ", itself a branch {deeper}"),
            None => Ok(()),
        }
    }
}

impl Branch {
    /// How many branches hang on one another, this one among them.
    fn depth(&self) -> usize {
        let mut depth = 1;
        let mut branch = self;
        while let Some(deeper) = &branch.parent.branch {
            (depth, branch) = (depth + 1, deeper);
        }
        depth
    }

    /// The sigma where the branch begins.
    fn sigma(&self) -> Result<f64> {
        let steps = self.parent.sigmas.len().saturating_sub(1);
        match self.parent.sigmas.get(self.at).filter(|_| self.at < steps) {
            Some(sigma) => Ok(*sigma),
            None => {
                let what = format!("the run has {steps} steps, nothing goes on after step {}", self.at);
                Err(Error::invalid(what, format!("branch at a step from 0 to {}", steps.saturating_sub(1))))
            }
        }
    }

    /// Refuses chains that are too long, before anything walks down them.
    fn check_depth(&self) -> Result<()> {
        match self.depth() {
            0..=DEEPEST => Ok(()),
            depth => {
                let what = format!("{depth} branches hang on one another, {DEEPEST} may");
                Err(Error::invalid(what, "branch from an earlier run"))
            }
        }
    }

    /// The same branch with everything of its parent decided and checked.
    pub(super) fn resolve(&self, spec: &Spec) -> Result<Self> {
        self.check_depth()?;
        self.sigma()?;
        let parent = Draft { stop_after: None, ..self.parent.to_draft() };
        let parent = parent.resolve(spec)?.request;
        Ok(Self { parent, at: self.at })
    }

    /// The sigmas of a branch: where it begins, then those of the whole schedule that lie below. Without a schedule of
    /// its own it keeps the parent's.
    pub(super) fn schedule(&self, own: Option<Schedule>) -> Result<(Choice, Schedule)> {
        let begin = self.sigma()?;
        let whole = own.as_ref().map_or(&self.parent.sigmas[..], Schedule::sigmas);
        let below = whole.iter().copied().filter(|sigma| *sigma < begin);
        let tail = Schedule::explicit([begin].into_iter().chain(below).collect())?;
        Ok((Choice::new(Request::EXPLICIT), tail))
    }

    /// Refuses a branch that does not fit `child`, or whose parent cannot be walked.
    pub(super) fn check(&self, child: &Request, spec: &Spec) -> Result<()> {
        self.check_depth()?;
        let parent = &self.parent;
        if parent.seeds.len() != 1 {
            let what = format!("the run to branch from has {} seeds", parent.seeds.len());
            return Err(Error::invalid(what, "a branch leaves one picture's run"));
        }
        if (parent.width, parent.height) != (child.width, child.height) {
            let (w, h) = (parent.width, parent.height);
            let what = format!("a branch of {} x {} cannot leave a run of {w} x {h}", child.width, child.height);
            return Err(Error::invalid(what, format!("leave the size out; it is {w} x {h}")));
        }
        let begin = self.sigma()?;
        if child.sigmas.first() != Some(&begin) {
            let first = child.sigmas.first().copied().unwrap_or_default();
            let what = format!("the branch begins at sigma {first}, the run stands at {begin} after {} steps", self.at);
            return Err(Error::invalid(what, "begin the branch's sigmas where the run stands"));
        }
        parent.check(spec).map(drop)
    }
}

impl Request {
    /// Steps that were taken before this request's first: those of the runs it branches from.
    pub fn steps_before(&self) -> usize {
        let mut steps = 0_usize;
        let mut branch = &self.branch;
        while let Some(deeper) = branch {
            (steps, branch) = (steps.saturating_add(deeper.at), &deeper.parent.branch);
        }
        steps
    }

    /// Whether both walk the same way to the last bit, on one machine: all that decides the run is equal. Where they
    /// stop, and which program on which processor wrote them down, does not count.
    pub fn same_run(&self, other: &Self) -> bool {
        let branches = match (&self.branch, &other.branch) {
            (None, None) => true,
            (Some(a), Some(b)) => a.at == b.at && a.parent.same_run(&b.parent),
            _ => false,
        };
        let like = |request: &Self| Self {
            schema: other.schema,
            stop_after: None,
            branch: None,
            made_with: other.made_with.clone(),
            model: crate::ModelRecord { name: String::new(), ..request.model.clone() },
            ..request.clone()
        };
        branches && like(self) == like(other)
    }
}
