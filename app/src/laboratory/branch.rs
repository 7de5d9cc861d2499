//! Going on from the middle of another run, as `--branch FILE@K` and the scrubber ask for it.

use flowline_model::{Branch, Draft, Request};

/// Along which sigmas a branch goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Those of the run it leaves.
    Parents,
    /// Those of the draft's own schedule that lie below the branch.
    Own,
}

/// `draft` as a branch that leaves the run `parent` after `at` of its steps.
pub fn branched(draft: Draft, parent: Request, at: usize, timing: Timing) -> Draft {
    let draft = Draft { branch: Some(Box::new(Branch { parent, at })), ..draft };
    match timing {
        Timing::Own => draft,
        Timing::Parents => Draft { steps: None, schedule: None, sigmas: None, ..draft },
    }
}
