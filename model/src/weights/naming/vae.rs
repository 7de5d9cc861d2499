//! The autoencoder as latent diffusion, FLUX.1 and SD3 name it (CompVis/latent-diffusion and black-forest-labs/flux,
//! `autoencoder.py`). The decoder's levels are numbered from the picture inwards, those of diffusers outwards.

use super::{ALL, Naming, Part, weight_and_bias};

pub(super) const NAMING: Naming = Naming {
    sign: "decoder.mid.block_1.conv1.weight",
    whole: "first_stage_model.",
    blocks: "decoder.up.",
    parts,
    modules: &[],
    architecture: None,
    bare: &[],
    repeated: &[],
    leaves: weight_and_bias,
};

fn parts(name: &str, last: usize) -> Option<Vec<Part>> {
    let (half, rest) = name.split_once('.')?;
    let (module, leaf) = rest.rsplit_once('.')?;
    if !["encoder", "decoder"].contains(&half) {
        return None;
    }
    let mut pixelwise = false;
    let module = match module.split_once('.') {
        Some(("mid", module)) => match module.split_once('.') {
            Some(("attn_1", module)) => {
                pixelwise = leaf == "weight" && module != "norm";
                format!("mid_block.attentions.0.{}", attention(module)?)
            }
            Some(("block_1", module)) => format!("mid_block.resnets.0.{}", residual(module)),
            Some(("block_2", module)) => format!("mid_block.resnets.1.{}", residual(module)),
            _ => return None,
        },
        Some((levels @ ("down" | "up"), module)) => {
            let (level, module) = module.split_once('.')?;
            let (level, levels, sampler) = match levels {
                "down" => (level.parse::<usize>().ok()?, "down_blocks", "downsamplers"),
                _ => (last.checked_sub(level.parse().ok()?)?, "up_blocks", "upsamplers"),
            };
            let module = match module.split_once('.')? {
                ("block", module) => {
                    let (block, module) = module.split_once('.')?;
                    format!("resnets.{block}.{}", residual(module))
                }
                ("downsample" | "upsample", "conv") => format!("{sampler}.0.conv"),
                _ => return None,
            };
            format!("{levels}.{level}.{module}")
        }
        _ if module == "norm_out" => "conv_norm_out".into(),
        _ => module.to_owned(),
    };
    Some(vec![Part { name: format!("{half}.{module}.{leaf}"), rows: ALL, pixelwise }])
}

/// A module of a residual block.
fn residual(module: &str) -> &str {
    if module == "nin_shortcut" { "conv_shortcut" } else { module }
}

/// A module of the attention among all pixels.
fn attention(module: &str) -> Option<&'static str> {
    Some(match module {
        "norm" => "group_norm",
        "q" => "to_q",
        "k" => "to_k",
        "v" => "to_v",
        "proj_out" => "to_out.0",
        _ => return None,
    })
}
