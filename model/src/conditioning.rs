//! What a prompt becomes before it meets a transformer.

use candle_core::Tensor;

/// What a velocity field is conditioned on, whatever the family of the network.
#[derive(Debug, Clone)]
pub struct Conditioning {
    /// One feature a text token, (b, l, d).
    pub context: Tensor,
    /// The whole prompt in one vector, (b, p).
    pub pooled: Tensor,
    /// Strength of distilled guidance (Meng et al. 2022, <https://arxiv.org/abs/2210.03142>), as it is typed: 3.5.
    /// Networks without a guidance embedding do not look at it.
    pub guidance: Option<f64>,
}
