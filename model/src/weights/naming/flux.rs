//! FLUX.1 as its authors name it (black-forest-labs/flux `model.py`; the same pairs are in diffusers'
//! `single_file_utils.py`).

use super::{ALL, K_OF_3, Modules, Naming, Part, Q_OF_3, Rows, SWAPPED, V_OF_3, parts_of};

pub(super) const NAMING: Naming = Naming {
    // FLUX.2 has no such tensor.
    sign: "vector_in.in_layer.weight",
    whole: "model.diffusion_model.",
    blocks: SINGLE_BLOCKS,
    parts,
    modules: &[
        ("", "", OUTSIDE),
        (DOUBLE_BLOCKS, "transformer_blocks.", DOUBLE),
        ("single_blocks.", "single_transformer_blocks.", SINGLE),
        ("double_blocks.", "transformer_blocks.", XLABS_DOUBLE),
        ("single_blocks.", "single_transformer_blocks.", XLABS_SINGLE),
    ],
    architecture: Some("flux"),
    bare: &[],
    repeated: &[],
    leaves: |module| if module.ends_with("_norm") { &["scale"] } else { &["weight", "bias"] },
};

const DOUBLE_BLOCKS: &str = "double_blocks.";
const SINGLE_BLOCKS: &str = "single_blocks.";

const OUTSIDE: Modules = &[
    ("img_in", &[("x_embedder", ALL)]),
    ("txt_in", &[("context_embedder", ALL)]),
    ("time_in.in_layer", &[("time_text_embed.timestep_embedder.linear_1", ALL)]),
    ("time_in.out_layer", &[("time_text_embed.timestep_embedder.linear_2", ALL)]),
    ("guidance_in.in_layer", &[("time_text_embed.guidance_embedder.linear_1", ALL)]),
    ("guidance_in.out_layer", &[("time_text_embed.guidance_embedder.linear_2", ALL)]),
    ("vector_in.in_layer", &[("time_text_embed.text_embedder.linear_1", ALL)]),
    ("vector_in.out_layer", &[("time_text_embed.text_embedder.linear_2", ALL)]),
    ("final_layer.adaLN_modulation.1", &[("norm_out.linear", SWAPPED)]),
    ("final_layer.linear", &[("proj_out", ALL)]),
];

const DOUBLE: Modules = &[
    ("img_mod.lin", &[("norm1.linear", ALL)]),
    ("img_attn.qkv", &[("attn.to_q", Q_OF_3), ("attn.to_k", K_OF_3), ("attn.to_v", V_OF_3)]),
    ("img_attn.norm.query_norm", &[("attn.norm_q", ALL)]),
    ("img_attn.norm.key_norm", &[("attn.norm_k", ALL)]),
    ("img_attn.proj", &[("attn.to_out.0", ALL)]),
    ("img_mlp.0", &[("ff.net.0.proj", ALL)]),
    ("img_mlp.2", &[("ff.net.2", ALL)]),
    ("txt_mod.lin", &[("norm1_context.linear", ALL)]),
    ("txt_attn.qkv", &[("attn.add_q_proj", Q_OF_3), ("attn.add_k_proj", K_OF_3), ("attn.add_v_proj", V_OF_3)]),
    ("txt_attn.norm.query_norm", &[("attn.norm_added_q", ALL)]),
    ("txt_attn.norm.key_norm", &[("attn.norm_added_k", ALL)]),
    ("txt_attn.proj", &[("attn.to_add_out", ALL)]),
    ("txt_mlp.0", &[("ff_context.net.0.proj", ALL)]),
    ("txt_mlp.2", &[("ff_context.net.2", ALL)]),
];

/// Queries, keys, values and the feed-forward layer, which is four times as wide as each, on top of each other.
const LINEAR_1: &[(&str, Rows)] = &[
    ("attn.to_q", Rows { taken: &[0], of: 7 }),
    ("attn.to_k", Rows { taken: &[1], of: 7 }),
    ("attn.to_v", Rows { taken: &[2], of: 7 }),
    ("proj_mlp", Rows { taken: &[3, 4, 5, 6], of: 7 }),
];

const SINGLE: Modules = &[
    ("modulation.lin", &[("norm.linear", ALL)]),
    ("linear1", LINEAR_1),
    ("linear2", &[("proj_out", ALL)]),
    ("norm.query_norm", &[("attn.norm_q", ALL)]),
    ("norm.key_norm", &[("attn.norm_k", ALL)]),
];

/// The modules of XLabs' adapters (XLabs-AI/x-flux `layers.py`, `DoubleStreamBlockLoraProcessor`; the pairs are those of
/// diffusers' `lora_conversion_utils.py`).
const XLABS_DOUBLE: Modules = &[
    ("processor.qkv_lora1", &[("attn.to_q", Q_OF_3), ("attn.to_k", K_OF_3), ("attn.to_v", V_OF_3)]),
    ("processor.proj_lora1", &[("attn.to_out.0", ALL)]),
    ("processor.qkv_lora2", &[("attn.add_q_proj", Q_OF_3), ("attn.add_k_proj", K_OF_3), ("attn.add_v_proj", V_OF_3)]),
    ("processor.proj_lora2", &[("attn.to_add_out", ALL)]),
];
const XLABS_SINGLE: Modules = &[
    ("processor.qkv_lora", &[("attn.to_q", Q_OF_3), ("attn.to_k", K_OF_3), ("attn.to_v", V_OF_3)]),
    ("processor.proj_lora", &[("proj_out", ALL)]),
];

fn parts(name: &str, _last: usize) -> Option<Vec<Part>> {
    let (module, leaf) = name.rsplit_once('.')?;
    // The norms' weights are called so.
    let leaf = if leaf == "scale" { "weight" } else { leaf };
    for (theirs, ours, modules) in
        [(DOUBLE_BLOCKS, "transformer_blocks.", DOUBLE), (SINGLE_BLOCKS, "single_transformer_blocks.", SINGLE)]
    {
        if let Some((block, module)) = module.strip_prefix(theirs).and_then(|rest| rest.split_once('.')) {
            return parts_of(modules, &format!("{ours}{block}."), module, leaf);
        }
    }
    parts_of(OUTSIDE, "", module, leaf)
}
