//! Latents to tokens that know where they are, and tokens back to latents.

use candle_core::Tensor;

use super::Sd3Config;
use crate::ops::linear::Linear;
use crate::ops::patches::patches;
use crate::ops::weight::Weight;
use crate::weights::Reader;
use crate::{Error, Result};

/// A convolution that cuts latents into patches, plus a learned vector a place. The grid of places is larger than most
/// pictures, which take its middle (Stability-AI/sd3.5 `mmditx.py`, `cropped_pos_embed`).
#[derive(Debug)]
pub(super) struct PatchEmbed {
    /// The convolution, whose stride is its kernel: a linear map of each patch.
    proj: Linear,
    /// (side side, d), row by row.
    places: Weight,
    side: usize,
    patch: usize,
}

impl PatchEmbed {
    pub(super) fn load(config: &Sd3Config, reader: &Reader<'_>) -> Result<Self> {
        let (c, p, d, side) = (config.in_channels, config.patch_size, config.hidden(), config.pos_embed_max_size);
        let proj = reader.at("proj");
        // (d, c, p, p) -> (d, c p p)
        let weight = proj.tensor("weight", (d, c, p, p))?.reshape((d, c * p * p))?;
        Ok(Self {
            proj: Linear::new(Weight::Dense(weight), Some(proj.tensor("bias", d)?)).adapted(proj.low_rank("weight")?),
            places: reader.matrix("pos_embed", side * side, d)?,
            side,
            patch: p,
        })
    }

    /// (b, c, h p, w p) -> (b, h w, d) for `(h, w)` tokens.
    pub(super) fn forward(&self, latents: &Tensor, grid: (usize, usize)) -> Result<Tensor> {
        let tokens = self.proj.forward(&patches(latents, self.patch)?)?;
        let places = middle(self.side, grid)?;
        let places = Tensor::from_vec(places, grid.0 * grid.1, tokens.device())?;
        Ok(tokens.broadcast_add(&self.places.rows(&places)?)?)
    }
}

/// The places of a picture of `(h, w)` tokens: the middle of `side` x `side`; where it cannot be the very middle, nearer to
/// the top left.
fn middle(side: usize, (h, w): (usize, usize)) -> Result<Vec<u32>> {
    let (Some(above), Some(left)) = (side.checked_sub(h), side.checked_sub(w)) else {
        let what = format!("a picture of {w} x {h} tokens is larger than the {side} x {side} places the model knows");
        return Err(Error::invalid(what, "ask for a smaller picture"));
    };
    let (above, left) = (above / 2, left / 2);
    let rows = (above..above + h).map(|row| row * side + left);
    Ok(rows.flat_map(|first| first..first + w).map(|place| place as u32).collect())
}

/// (b, h w, p p c) -> (b, c, h p, w p) for `(h, w)` tokens: in an output token rows come first, then columns, then
/// channels (diffusers `transformer_sd3.py`).
pub(super) fn latents(tokens: &Tensor, (h, w): (usize, usize), p: usize) -> Result<Tensor> {
    let (b, _, width) = tokens.dims3()?;
    let c = width / (p * p);
    // (b, h, w, p, p, c) -> (b, c, h, p, w, p)
    let latents = tokens.reshape((b, h, w, p, p, c))?.permute((0, 5, 1, 3, 2, 4))?;
    Ok(latents.reshape((b, c, h * p, w * p))?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::{latents, middle};

    fn counted(count: u32, shape: &[usize]) -> Tensor {
        Tensor::arange(0, count, &Device::Cpu).unwrap().reshape(shape).unwrap()
    }

    #[test]
    fn a_picture_takes_the_middle_of_the_grid_and_no_more_than_there_is() {
        let taken = |h, w| middle(5, (h, w));
        assert_eq!(taken(1, 1).unwrap(), [12]);
        // One row too many above or below, one column too many left or right: the upper left is taken.
        assert_eq!(taken(2, 4).unwrap(), [5, 6, 7, 8, 10, 11, 12, 13]);
        assert_eq!(taken(5, 5).unwrap(), (0..25).collect::<Vec<_>>());
        assert!(taken(6, 5).is_err());
        assert!(taken(5, 6).is_err());
    }

    #[test]
    fn an_output_token_holds_rows_then_columns_then_channels() {
        // One token above another, each of 2 x 2 latents with 2 channels.
        let x = latents(&counted(16, &[1, 2, 8]), (2, 1), 2).unwrap();
        assert_eq!(x.dims(), [1, 2, 4, 2]);
        let x = x.flatten_all().unwrap().to_vec1::<u32>().unwrap();
        assert_eq!(x, [0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15]);
    }
}
