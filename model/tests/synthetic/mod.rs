//! An autoencoder of any sizes with weights that nobody trained, as a file.

use std::path::Path;

use flowline_model::vae::VaeConfig;
use safetensors::tensor::{Dtype, TensorView};

/// FLUX.1's and SD3's autoencoder (spec: 16 latent channels, no quant convs).
pub const PUBLISHED: &str = r#"{"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 16,
    "norm_num_groups": 32, "scaling_factor": 0.3611, "shift_factor": 0.1159, "use_quant_conv": false,
    "use_post_quant_conv": false}"#;

/// Writes all tensors of `config` to `file`, in diffusers' names.
pub fn write_autoencoder(config: &VaeConfig, file: &Path) {
    let mut tensors = Vec::new();
    let (z, channels, layers) = (config.latent_channels, &config.block_out_channels, config.layers_per_block);
    let (first, last) = (channels[0], channels[channels.len() - 1]);
    let mut conv = |name: String, o: usize, c: usize, k: usize| {
        tensors.push((format!("{name}.weight"), vec![o, c, k, k]));
        tensors.push((format!("{name}.bias"), vec![o]));
    };
    conv("encoder.conv_in".into(), first, 3, 3);
    conv("encoder.conv_out".into(), 2 * z, last, 3);
    conv("decoder.conv_in".into(), last, z, 3);
    conv("decoder.conv_out".into(), 3, first, 3);
    let mut blocks = Vec::new();
    for half in ["encoder", "decoder"] {
        blocks.extend((0..2).map(|i| (format!("{half}.mid_block.resnets.{i}"), last, last)));
    }
    let (mut down, mut up) = (first, last);
    for (i, (fine, coarse)) in channels.iter().zip(channels.iter().rev()).enumerate() {
        for j in 0..layers {
            blocks.push((format!("encoder.down_blocks.{i}.resnets.{j}"), down, *fine));
            down = *fine;
        }
        for j in 0..=layers {
            blocks.push((format!("decoder.up_blocks.{i}.resnets.{j}"), up, *coarse));
            up = *coarse;
        }
        if i + 1 < channels.len() {
            conv(format!("encoder.down_blocks.{i}.downsamplers.0.conv"), *fine, *fine, 3);
            conv(format!("decoder.up_blocks.{i}.upsamplers.0.conv"), *coarse, *coarse, 3);
        }
    }
    for (name, c, o) in &blocks {
        conv(format!("{name}.conv1"), *o, *c, 3);
        conv(format!("{name}.conv2"), *o, *o, 3);
        if c != o {
            conv(format!("{name}.conv_shortcut"), *o, *c, 1);
        }
    }
    let norms = blocks.iter().flat_map(|(name, c, o)| [(format!("{name}.norm1"), *c), (format!("{name}.norm2"), *o)]);
    let mut norms: Vec<_> = norms.collect();
    norms.extend([("encoder.conv_norm_out".to_owned(), last), ("decoder.conv_norm_out".to_owned(), first)]);
    for half in ["encoder", "decoder"] {
        let attention = format!("{half}.mid_block.attentions.0");
        norms.push((format!("{attention}.group_norm"), last));
        for linear in ["to_q", "to_k", "to_v", "to_out.0"] {
            tensors.push((format!("{attention}.{linear}.weight"), vec![last, last]));
            tensors.push((format!("{attention}.{linear}.bias"), vec![last]));
        }
    }
    for (name, c) in norms {
        tensors.extend([(format!("{name}.weight"), vec![c]), (format!("{name}.bias"), vec![c])]);
    }
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(name, shape)| values(name, shape)).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    std::fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Uniform numbers that keep the spread of what they are applied to; norms near the identity.
fn values(name: &str, shape: &[usize]) -> Vec<u8> {
    let inputs: usize = shape.iter().skip(1).product();
    let (middle, spread) = match (shape.len(), name.ends_with("weight")) {
        (1, true) => (1.0, 0.2),
        (1, false) => (0.0, 0.1),
        _ => (0.0, (3.0 / inputs as f32).sqrt()),
    };
    let mut state = name
        .bytes()
        .fold(0x9E37_79B9_7F4A_7C15_u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..shape.iter().product()).flat_map(|_| (middle + spread * uniform()).to_le_bytes()).collect()
}
