//! How much memory a request will need, known before a byte is allocated, and what is done to need no more than there is.

use serde::Serialize;

use crate::ops::attention::SCORE_BYTES;
use crate::vae::Tiling;
use crate::weights::Memory;

/// Planned memory of one picture, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// The weights of the text encoders.
    pub text_encoders: Memory,
    /// The weights of the transformer.
    pub transformer: Memory,
    /// The weights of the autoencoder.
    pub autoencoder: Memory,
    /// The text encoders' largest activations.
    pub encoding: u64,
    /// The transformer's largest activations.
    pub denoising: u64,
    /// The autoencoder's largest activations while decoding.
    pub decoding: u64,
    /// In what pieces it decodes.
    pub tiling: Tiling,
    /// Whether the parts stay or take turns.
    pub residency: Residency,
    /// The most that is in use at one time.
    pub peak: Memory,
    /// What the system can give now; `None` where it does not say.
    pub available: Option<u64>,
}

/// Which parts of a model are in memory at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Residency {
    /// All, so that the next prompt reads nothing.
    #[default]
    Whole,
    /// The text encoders first, which leave before the transformer and the autoencoder come.
    InTurn,
}

/// What decides how much memory a picture takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The weights of text encoders, transformer and autoencoder.
    pub weights: [Memory; 3],
    /// Tokens of a prompt.
    pub prompt: u64,
    /// Tokens in the joint sequence.
    pub tokens: u64,
    /// Width of the transformer.
    pub hidden: u64,
    /// Attention heads.
    pub heads: u64,
    /// The autoencoder's largest activations while decoding, bytes.
    pub decoding: u64,
    /// The pieces that this is for.
    pub tiling: Tiling,
}

/// Of the largest text encoder that is known, T5 XXL: attention heads, and channels inside the feed-forward.
const T5_XXL: (u64, u64) = (64, 10_240);

impl MemoryPlan {
    /// The plan for `footprint`, with what is available now, at most `limit`: everything stays if that fits, else parts
    /// take turns.
    pub fn new(footprint: Footprint, limit: Option<u64>) -> Self {
        Self::within(footprint, available(limit))
    }

    /// The plan for `footprint` if so much is available.
    pub fn within(footprint: Footprint, available: Option<u64>) -> Self {
        let f32s = |count: u64| count.saturating_mul(4);
        let square = |heads: u64, tokens: u64| f32s(heads.saturating_mul(tokens).saturating_mul(tokens));
        let tokens = footprint.tokens;
        let scores = square(footprint.heads, tokens).min(SCORE_BYTES as u64);
        // A block holds its input, q k v, the 4 x wide MLP twice (before and after its activation), the scores twice.
        let denoising = f32s(tokens.saturating_mul(footprint.hidden).saturating_mul(14)).saturating_add(2 * scores);
        // Logits, the same with their bias, and their softmax; the gated feed-forward three times.
        let (heads, inner) = T5_XXL;
        let (prompt, wide) = (footprint.prompt, f32s(footprint.prompt.saturating_mul(inner)));
        let encoding = square(heads, prompt).saturating_add(wide).saturating_mul(3);
        let [text_encoders, transformer, autoencoder] = footprint.weights;
        let plan = Self {
            text_encoders,
            transformer,
            autoencoder,
            encoding,
            denoising,
            decoding: footprint.decoding,
            tiling: footprint.tiling,
            residency: Residency::Whole,
            peak: Memory::default(),
            available,
        };
        let whole = plan.at(Residency::Whole);
        if whole.exceeds() { plan.at(Residency::InTurn) } else { whole }
    }

    /// The same with another residency.
    fn at(self, residency: Residency) -> Self {
        let networks = self.transformer + self.autoencoder;
        let drawing = self.denoising.max(self.decoding);
        let peak = match residency {
            Residency::Whole => self.weights() + Memory::heap(self.encoding.max(drawing)),
            Residency::InTurn => {
                (self.text_encoders + Memory::heap(self.encoding)).max(networks + Memory::heap(drawing))
            }
        };
        Self { residency, peak, ..self }
    }

    /// All weights together.
    pub fn weights(&self) -> Memory {
        self.text_encoders + self.transformer + self.autoencoder
    }

    /// Whether the peak is more than the system can give. Mapped files do not count: they are slow where memory is short,
    /// and work.
    pub fn exceeds(&self) -> bool {
        self.available.is_some_and(|available| self.peak.heap > available)
    }

    /// Whether mapped files will have to be read again and again, because they do not fit beside the rest.
    pub fn thrashes(&self) -> bool {
        self.available.is_some_and(|available| self.peak.heap.saturating_add(self.peak.mapped) > available)
    }
}

/// Memory that can be allocated without swapping, bytes, at most `limit`; `None` where nobody says.
pub(crate) fn available(limit: Option<u64>) -> Option<u64> {
    [free(), limit].into_iter().flatten().min()
}

pub(crate) fn free() -> Option<u64> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory_specifics(sysinfo::MemoryRefreshKind::nothing().with_ram());
    let limit = system.cgroup_limits().map(|limits| limits.free_memory);
    let free = system.available_memory();
    (free > 0).then(|| limit.map_or(free, |limit| limit.min(free)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn footprint() -> Footprint {
        let weights = [300, 200, 10].map(|mib| Memory::heap(mib * MIB));
        Footprint { weights, prompt: 10, tokens: 100, hidden: 64, heads: 2, decoding: 50 * MIB, tiling: Tiling::None }
    }

    #[test]
    fn everything_stays_where_it_fits_and_takes_turns_where_it_does_not() {
        let roomy = MemoryPlan::within(footprint(), Some(1 << 30));
        assert_eq!((roomy.residency, roomy.peak.heap), (Residency::Whole, 560 * MIB));
        let tight = MemoryPlan::within(footprint(), Some(roomy.peak.heap - 1));
        assert_eq!(tight.residency, Residency::InTurn);
        assert_eq!(tight.peak.heap, (300 * MIB + tight.encoding).max(260 * MIB));
        assert!(!tight.exceeds());
        assert!(MemoryPlan::within(footprint(), Some(tight.peak.heap - 1)).exceeds());
        assert_eq!(MemoryPlan::within(footprint(), None).residency, Residency::Whole);
    }

    #[test]
    fn a_step_larger_than_any_number_is_planned_for_without_running_over() {
        let huge = Footprint { tokens: u64::MAX, hidden: u64::MAX, prompt: u64::MAX, ..footprint() };
        let plan = MemoryPlan::within(huge, Some(u64::MAX - 1));
        assert!(plan.exceeds() && plan.residency == Residency::InTurn);
    }

    #[test]
    fn mapped_weights_never_forbid_a_picture() {
        let weights = [100, 200, 10].map(|mib| Memory { heap: 0, mapped: mib * MIB });
        let plan = MemoryPlan::within(Footprint { weights, ..footprint() }, Some(100 * MIB));
        assert_eq!((plan.residency, plan.exceeds(), plan.thrashes()), (Residency::Whole, false, true));
        assert_eq!(plan.peak, Memory { heap: 50 * MIB, mapped: 310 * MIB });
    }
}
