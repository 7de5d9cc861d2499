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
    /// (rows, columns, d)
    places: Tensor,
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
            // (1, rows columns, d) -> (rows, columns, d)
            places: reader.tensor("pos_embed", (1, side * side, d))?.reshape((side, side, d))?,
            patch: p,
        })
    }

    /// (b, c, h p, w p) -> (b, h w, d) for `(h, w)` tokens.
    pub(super) fn forward(&self, latents: &Tensor, grid: (usize, usize)) -> Result<Tensor> {
        let tokens = self.proj.forward(&patches(latents, self.patch)?)?;
        Ok(tokens.broadcast_add(&middle(&self.places, grid)?)?)
    }
}

/// (rows, columns, d) -> (h w, d), the middle; where it cannot be the very middle, nearer to the top left.
fn middle(places: &Tensor, (h, w): (usize, usize)) -> Result<Tensor> {
    let (rows, columns, d) = places.dims3()?;
    let (Some(above), Some(left)) = (rows.checked_sub(h), columns.checked_sub(w)) else {
        let what =
            format!("a picture of {w} x {h} tokens is larger than the {columns} x {rows} places the model knows");
        return Err(Error::invalid(what, "ask for a smaller picture"));
    };
    Ok(places.narrow(0, above / 2, h)?.narrow(1, left / 2, w)?.reshape((h * w, d))?)
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
        let grid = counted(30, &[5, 6, 1]);
        let taken = |h, w| middle(&grid, (h, w)).map(|x| x.flatten_all().unwrap().to_vec1::<u32>().unwrap());
        assert_eq!(taken(1, 2).unwrap(), [14, 15]);
        // One row too many above or below, one column too many left or right: the upper left is taken.
        assert_eq!(taken(2, 3).unwrap(), [7, 8, 9, 13, 14, 15]);
        assert_eq!(taken(5, 6).unwrap(), (0..30).collect::<Vec<_>>());
        assert!(taken(6, 6).is_err());
        assert!(taken(5, 7).is_err());
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
