//! Tensors to pixels, and back.

use candle_core::{Device, Tensor};
use image::RgbImage;

use crate::{Error, Result};

/// Decoded pictures, (b, 3, h, w) with black -1 and white 1, as pixels: 255 clamp(x/2 + 1/2), rounded to the nearest.
///
/// # Errors
/// [`Error::NotFinite`] if a value is not a number, [`Error::Tensor`] for another shape.
pub fn to_rgb(decoded: &Tensor) -> Result<Vec<RgbImage>> {
    let (b, channels, h, w) = decoded.dims4()?;
    if channels != 3 {
        return Err(candle_core::Error::Msg(format!("a picture has 3 channels, got {channels}")).bt().into());
    }
    let values = decoded.flatten_all()?.to_vec1::<f32>()?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Error::NotFinite { stage: "image decoder" });
    }
    let (Ok(width), Ok(height)) = (u32::try_from(w), u32::try_from(h)) else {
        return Err(Error::invalid(format!("a picture of {w} x {h} is too large"), "ask for a smaller one"));
    };
    let level = |value: f32| ((value / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
    let plane = h * w;
    let picture = |n: usize| {
        let mut pixels = Vec::with_capacity(3 * plane);
        for at in n * 3 * plane..n * 3 * plane + plane {
            pixels.extend([0, 1, 2].map(|channel| level(values[at + channel * plane])));
        }
        RgbImage::from_raw(width, height, pixels)
            .ok_or_else(|| Error::invalid(format!("a picture of {w} x {h} is too large"), "ask for a smaller one"))
    };
    (0..b).map(picture).collect()
}

/// A picture as a tensor to encode, (1, 3, h, w), with black -1 and white 1.
///
/// # Errors
/// [`Error::Tensor`] if the tensor cannot be made.
pub fn from_rgb(picture: &RgbImage, device: &Device) -> Result<Tensor> {
    let (width, height) = picture.dimensions();
    let values: Vec<f32> = picture.as_raw().iter().map(|level| f32::from(*level) / 127.5 - 1.0).collect();
    // (h, w, 3) -> (1, 3, h, w)
    let pixels = Tensor::from_vec(values, (height as usize, width as usize, 3), device)?;
    Ok(pixels.permute((2, 0, 1))?.unsqueeze(0)?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use image::{Rgb, RgbImage};

    use super::{from_rgb, to_rgb};
    use crate::Error;

    fn decoded(values: Vec<f32>) -> Tensor {
        Tensor::from_vec(values, (1, 3, 1, 2), &Device::Cpu).unwrap()
    }

    #[test]
    fn values_are_rounded_and_clamped_and_channels_become_colours() {
        // 255 (x/2 + 1/2): 0.2/255 below and 0.6/255 above a level, and far outside.
        let x = |level: f32| level / 127.5 - 1.0;
        let pictures = to_rgb(&decoded(vec![x(9.8), x(9.4), -7.0, 7.0, 0.0, -1.0])).unwrap();
        assert_eq!(pictures[0].as_raw(), &[10, 0, 128, 9, 255, 0]);
    }

    #[test]
    fn a_picture_survives_the_way_to_a_tensor_and_back() {
        let picture = RgbImage::from_fn(7, 5, |x, y| Rgb([(x * 36) as u8, (y * 63) as u8, (x * y * 10) as u8]));
        let there = from_rgb(&picture, &Device::Cpu).unwrap();
        assert_eq!(there.dims(), [1, 3, 5, 7]);
        assert_eq!(to_rgb(&there).unwrap(), [picture]);
    }

    #[test]
    fn a_value_that_is_not_a_number_is_an_error_and_not_a_black_pixel() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = to_rgb(&decoded(vec![0.0, 0.0, bad, 0.0, 0.0, 0.0])).unwrap_err();
            assert!(matches!(error, Error::NotFinite { .. }), "{bad}: {error}");
        }
    }
}
