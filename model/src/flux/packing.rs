//! Tokens as latents: a token is 2 x 2 pixels, channels first, then row, then column in it (black-forest-labs/flux
//! `sampling.py:41` and `356-364`).

use candle_core::Tensor;

use crate::Result;

/// Latents that a token covers along one side.
pub(super) const PATCH: usize = 2;

/// (b, h w, 4 c) -> (b, c, 2 h, 2 w), the reverse of [`crate::ops::patches::patches`] for `(h, w)` tokens.
pub(super) fn unpack(tokens: &Tensor, (h, w): (usize, usize)) -> Result<Tensor> {
    let (b, _, width) = tokens.dims3()?;
    let c = width / 4;
    // (b, h, w, c, 2, 2) -> (b, c, h, 2, w, 2)
    let latents = tokens.reshape((b, h, w, c, 2, 2))?.permute((0, 3, 1, 4, 2, 5))?;
    Ok(latents.reshape((b, c, 2 * h, 2 * w))?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::{PATCH, unpack};
    use crate::ops::patches::patches;

    #[test]
    fn packing_agrees_with_the_reference_and_unpacking_reverses_it() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ops.safetensors");
        let ops = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        let values = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let tokens = patches(&ops["pack.z16"], PATCH).unwrap();
        assert_eq!(tokens.dims(), ops["pack.flux1"].dims());
        assert_eq!(values(&tokens), values(&ops["pack.flux1"]));
        let latents = unpack(&tokens, (2, 3)).unwrap();
        assert_eq!(latents.dims(), ops["pack.flux1_unpacked"].dims());
        assert_eq!(values(&latents), values(&ops["pack.flux1_unpacked"]));
    }
}
