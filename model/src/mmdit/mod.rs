//! The parts that transformers with joint attention share (MMDiT, Esser et al. 2024,
//! <https://arxiv.org/abs/2403.03206>, figure 2). Families build their blocks of them, each in its own folder; names are
//! diffusers'.

mod attention;
mod embedding;
mod inputs;
mod modulation;
mod stream;

pub(crate) use self::attention::{CONTEXT_QKV, QKV, QkvProjection};
pub(crate) use self::embedding::TimeTextEmbed;
pub(crate) use self::inputs::Inputs;
pub(crate) use self::modulation::{ModulatedNorm, Modulations, Normed};
pub(crate) use self::stream::{IMAGE, Stream, TEXT};

/// Epsilon of all norms.
const NORM_EPS: f64 = 1e-6;
/// Width of the feed-forward layers, in widths of the residual stream.
pub(crate) const MLP_RATIO: usize = 4;

/// The sizes that the parts of one transformer share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Attention heads.
    pub(crate) heads: usize,
    /// Width of a head.
    pub(crate) head: usize,
    /// Whether queries and keys are normalised.
    pub(crate) qk_norm: bool,
}

impl Sizes {
    /// Width of the residual stream.
    pub(crate) fn hidden(self) -> usize {
        self.heads * self.head
    }
}
