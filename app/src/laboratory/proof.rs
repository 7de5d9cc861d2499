//! The proof of a sampler as it is told: what `flowline verify` prints and the window lists.

use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::Choice;
use flowline_sampler::proof::{Verdict, prove};
use serde::Serialize;

use crate::{Registry, Result};

/// Steps at which evaluations are listed, a usual number.
pub const USUAL_STEPS: usize = 28;

/// What the proof found about one sampler.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The sampler, as it is written.
    pub sampler: String,
    /// Measured: doubling the steps divides the error by `2^order`.
    pub order: f64,
    /// What it says of itself.
    pub declared_order: f64,
    /// Relative error of the spread at the two numbers of [`flowline_sampler::proof::STEPS`].
    pub spread: [f64; 2],
    /// Largest error of the mean on the way, at the larger number of steps.
    pub mean: f64,
    /// Runs of the model at [`USUAL_STEPS`].
    pub evaluations: u64,
    /// In words.
    pub verdict: String,
    /// Whether it is as it declares.
    pub holds: bool,
    /// Whether it declares that it does not sample the model's distribution.
    #[serde(skip)]
    pub labelled: bool,
}

/// Judges the sampler that `choice` names on `bench`.
///
/// # Errors
/// An unknown sampler, and what the sampler itself says.
pub fn judge(choice: &Choice, registry: &Registry, bench: &Bench) -> Result<Judged> {
    let sampler = registry.proof_samplers().build(choice)?;
    let proof = prove(sampler.as_ref(), bench)?;
    let [_, fine] = proof.walks;
    Ok(Judged {
        sampler: choice.to_string(),
        order: proof.order,
        declared_order: proof.facts.order,
        spread: proof.walks.map(|walk| walk.spread),
        mean: fine.mean,
        evaluations: proof.facts.evaluations.total(USUAL_STEPS),
        holds: !matches!(proof.verdict, Verdict::Fails(_)),
        labelled: matches!(proof.verdict, Verdict::Labelled(_)),
        verdict: proof.verdict.to_string(),
    })
}
