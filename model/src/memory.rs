//! How much memory a request will need, known before a byte is allocated.

use serde::Serialize;

use crate::ops::attention::SCORE_BYTES;

/// Planned memory of one picture, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// All weights as f32 in memory, beside their files.
    pub weights: u64,
    /// The transformer's largest activations.
    pub transformer: u64,
    /// The autoencoder's largest activations while decoding.
    pub decoder: u64,
    /// The most that is in use at one time.
    pub peak: u64,
    /// What the system can give now; `None` where it does not say.
    pub available: Option<u64>,
}

/// What decides the size of the activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of all weights as f32.
    pub weights: u64,
    /// Tokens in the joint sequence.
    pub tokens: u64,
    /// Width of the transformer.
    pub hidden: u64,
    /// Attention heads.
    pub heads: u64,
    /// Pixels of the picture.
    pub pixels: u64,
    /// Channels of the decoder at full resolution, the widest of its last level.
    pub decoder_channels: u64,
}

impl MemoryPlan {
    /// The plan for `footprint`, with what is available now.
    pub fn new(footprint: Footprint) -> Self {
        let f32s = |count: u64| count.saturating_mul(4);
        let tokens = footprint.tokens;
        let scores = f32s(footprint.heads.saturating_mul(tokens).saturating_mul(tokens)).min(SCORE_BYTES as u64);
        // A block holds its input, q k v, the 4 x wide MLP twice (before and after its activation), the scores twice.
        let transformer = f32s(tokens.saturating_mul(footprint.hidden).saturating_mul(14)).saturating_add(2 * scores);
        // A residual block at full resolution holds its input, the normalised input and the convolution's output and
        // its column buffer: five maps of the widest level.
        let decoder = f32s(footprint.pixels.saturating_mul(footprint.decoder_channels).saturating_mul(5));
        let peak = footprint.weights.saturating_add(transformer.max(decoder));
        Self { weights: footprint.weights, transformer, decoder, peak, available: available() }
    }

    /// Whether the peak is more than the system can give.
    pub fn exceeds(&self) -> bool {
        self.available.is_some_and(|available| self.peak > available)
    }
}

/// Memory that can be allocated without swapping, bytes; `None` where the system does not say.
pub(crate) fn available() -> Option<u64> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory_specifics(sysinfo::MemoryRefreshKind::nothing().with_ram());
    let limit = system.cgroup_limits().map(|limits| limits.free_memory);
    let free = system.available_memory();
    (free > 0).then(|| limit.map_or(free, |limit| limit.min(free)))
}
