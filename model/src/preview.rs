//! Latents to small pictures without the VAE: one linear map from the channels of a latent pixel to a colour.

use candle_core::{DType, Tensor};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::vae::to_rgb;
use crate::{Error, Result};

/// colour = W^T latent + b, colours from -1 (black) to 1 (white), like a decoded picture's.
///
/// Meant for the *denoised* latents; what the sampler carries is noise for most of the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearPreview {
    /// W: red, green and blue of each latent channel, (c, 3).
    pub weight: Vec<[f32; 3]>,
    /// b, the colour of zero latents.
    pub bias: [f32; 3],
}

impl LinearPreview {
    /// Latents (b, c, h, w) to b pictures of h x w pixels.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the latents have other channels than the map, [`Error::NotFinite`] if a value is not finite.
    pub fn apply(&self, denoised: &Tensor) -> Result<Vec<RgbImage>> {
        let (b, c, h, w) = denoised.dims4()?;
        if c != self.weight.len() {
            let what = format!("the preview is for {} latent channels, got {c}", self.weight.len());
            return Err(Error::invalid(what, "use the preview that belongs to this VAE"));
        }
        let weight = Tensor::from_vec(self.weight.concat(), (c, 3), denoised.device())?.t()?;
        let bias = Tensor::from_vec(self.bias.to_vec(), (3, 1), denoised.device())?;
        // (3, c) x (b, c, h w) -> (b, 3, h w)
        let latents = denoised.to_dtype(DType::F32)?.reshape((b, c, h * w))?;
        let colours = weight.broadcast_matmul(&latents)?.broadcast_add(&bias)?;
        to_rgb(&colours.reshape((b, 3, h, w))?)
    }

    /// The map with the least squared error from latents, (c, h, w) each, to pictures of h x w pixels.
    ///
    /// # Errors
    /// [`Error::Invalid`] if latents and pictures do not belong together, or are too few or too alike to tell the
    /// channels apart.
    pub fn fit(latents: &[Tensor], pictures: &[RgbImage]) -> Result<Self> {
        let channels = latents.first().map_or(Ok(0), |first| first.dim(0))?;
        // Normal equations (A^T A) X = A^T B, where a row of A is a latent pixel and a one, and of B its colour. The
        // right-hand side is kept beside the matrix.
        let unknowns = channels + 1;
        let mut system = vec![vec![0f64; unknowns + 3]; unknowns];
        if latents.len() != pictures.len() {
            let what = format!("{} latents and {} pictures", latents.len(), pictures.len());
            return Err(Error::invalid(what, "give one picture for each of the latents"));
        }
        for (latent, picture) in latents.iter().zip(pictures) {
            let (c, h, w) = latent.dims3()?;
            if c != channels || (w as u64, h as u64) != (u64::from(picture.width()), u64::from(picture.height())) {
                let (width, height) = picture.dimensions();
                let what = format!("latents of {c} channels and {w} x {h} beside a picture of {width} x {height}");
                return Err(Error::invalid(what, "shrink each picture to the size of its latents"));
            }
            // (c, h, w) -> (h w, c)
            let rows = latent.to_dtype(DType::F64)?.reshape((c, h * w))?.t()?.to_vec2::<f64>()?;
            for (mut row, pixel) in rows.into_iter().zip(picture.pixels()) {
                row.push(1.0);
                let colour = pixel.0.map(|level| f64::from(level) / 127.5 - 1.0);
                for (sums, a) in system.iter_mut().zip(&row) {
                    sums.iter_mut().zip(row.iter().chain(&colour)).for_each(|(sum, b)| *sum += a * b);
                }
            }
        }
        let Some(solution) = solve(system) else {
            let what = "these latents do not tell all channels apart";
            return Err(Error::invalid(what, "give more, and more different, latents"));
        };
        let rows: Vec<[f32; 3]> = solution.into_iter().map(|row| row.map(|x| x as f32)).collect();
        match rows.split_last() {
            Some((bias, weight)) => Ok(Self { weight: weight.to_vec(), bias: *bias }),
            None => Err(Error::invalid("there is nothing to fit", "give latents and pictures")),
        }
    }
}

/// Solves M X = B for B with three columns, given (M | B), by Gauss-Jordan elimination with partial pivots. `None` if M is
/// singular to working precision.
fn solve(mut system: Vec<Vec<f64>>) -> Option<Vec<[f64; 3]>> {
    let n = system.len();
    let largest = system.iter().enumerate().map(|(i, row)| row[i].abs()).fold(0.0, f64::max);
    for column in 0..n {
        let size = |row: &usize| system[*row][column].abs();
        let pivot = (column..n).max_by(|a, b| size(a).total_cmp(&size(b)))?;
        let found = size(&pivot);
        if found.is_nan() || found <= largest * 1e-12 {
            return None;
        }
        system.swap(column, pivot);
        let mut lead = system[column].clone();
        let scale = lead[column].recip();
        lead.iter_mut().for_each(|x| *x *= scale);
        for (i, row) in system.iter_mut().enumerate() {
            let factor = if i == column { continue } else { row[column] };
            row.iter_mut().zip(&lead).for_each(|(x, l)| *x -= factor * l);
        }
        system[column] = lead;
    }
    Some(system.iter().map(|row| [row[n], row[n + 1], row[n + 2]]).collect())
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::LinearPreview;
    use crate::Error;

    fn map() -> LinearPreview {
        LinearPreview { weight: vec![[0.3, -0.2, 0.1], [0.05, 0.25, -0.3]], bias: [0.1, 0.0, -0.2] }
    }

    fn latents(seed: usize) -> Tensor {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0;
        Tensor::from_vec((0..2 * 20 * 16).map(value).collect(), (2, 20, 16), &Device::Cpu).unwrap()
    }

    #[test]
    fn fitting_finds_the_map_that_made_the_pictures() {
        let latents = [latents(1), latents(2), latents(3)];
        let pictures: Vec<_> = latents.iter().flat_map(|x| map().apply(&x.unsqueeze(0).unwrap()).unwrap()).collect();
        let fitted = LinearPreview::fit(&latents, &pictures).unwrap();
        // The pictures hold 256 levels, so a single colour is off by up to 1/255; 960 of them average that out.
        let close = |a: &[f32; 3], b: &[f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(fitted.weight.iter().zip(&map().weight).all(|(a, b)| close(a, b)), "{fitted:?}");
        assert!(close(&fitted.bias, &map().bias), "{fitted:?}");
    }

    #[test]
    fn zero_latents_have_the_colour_of_the_bias() {
        let zeros = Tensor::from_vec(vec![0f32; 2], (1, 2, 1, 1), &Device::Cpu).unwrap();
        assert_eq!(map().apply(&zeros).unwrap()[0].as_raw(), &[140, 128, 102]);
    }

    #[test]
    fn a_map_survives_json() {
        let text = serde_json::to_string(&map()).unwrap();
        assert_eq!(serde_json::from_str::<LinearPreview>(&text).unwrap(), map());
    }

    #[test]
    fn data_that_cannot_be_fitted_and_other_channels_are_refused() {
        let pictures = map().apply(&latents(1).unsqueeze(0).unwrap()).unwrap();
        let zeros = latents(1).zeros_like().unwrap();
        let wide = Tensor::from_vec(vec![0f32; 6], (2, 1, 3), &Device::Cpu).unwrap();
        for latents in [&[zeros][..], &[wide][..], &[][..], &[latents(1), latents(2)][..]] {
            assert!(matches!(LinearPreview::fit(latents, &pictures), Err(Error::Invalid { .. })));
        }
        assert!(matches!(LinearPreview::fit(&[], &[]), Err(Error::Invalid { .. })));
        let three = Tensor::from_vec(vec![0f32; 3], (1, 3, 1, 1), &Device::Cpu).unwrap();
        assert!(matches!(map().apply(&three), Err(Error::Invalid { .. })));
    }
}
