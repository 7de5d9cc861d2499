//! SD3 and SD3.5 as their authors name them (Stability-AI/sd3.5 `mmditx.py`; the same pairs are in diffusers'
//! `single_file_utils.py`).

use super::{ALL, K_OF_3, Modules, Naming, Part, Q_OF_3, SWAPPED, V_OF_3, parts_of, weight_and_bias};

pub(super) const NAMING: Naming = Naming {
    sign: "joint_blocks.0.x_block.attn.qkv.weight",
    whole: "model.diffusion_model.",
    blocks: BLOCKS,
    parts,
    modules: &[("", "", OUTSIDE), ("joint_blocks.", "transformer_blocks.", BLOCK)],
    architecture: Some("sd3"),
    bare: &["pos_embed"],
    repeated: &[],
    leaves: weight_and_bias,
};

const BLOCKS: &str = "joint_blocks.";

const OUTSIDE: Modules = &[
    ("x_embedder.proj", &[("pos_embed.proj", ALL)]),
    ("t_embedder.mlp.0", &[("time_text_embed.timestep_embedder.linear_1", ALL)]),
    ("t_embedder.mlp.2", &[("time_text_embed.timestep_embedder.linear_2", ALL)]),
    ("y_embedder.mlp.0", &[("time_text_embed.text_embedder.linear_1", ALL)]),
    ("y_embedder.mlp.2", &[("time_text_embed.text_embedder.linear_2", ALL)]),
    ("context_embedder", &[("context_embedder", ALL)]),
    ("final_layer.adaLN_modulation.1", &[("norm_out.linear", SWAPPED)]),
    ("final_layer.linear", &[("proj_out", ALL)]),
];

const BLOCK: Modules = &[
    ("x_block.adaLN_modulation.1", &[("norm1.linear", ALL)]),
    ("x_block.attn.qkv", &[("attn.to_q", Q_OF_3), ("attn.to_k", K_OF_3), ("attn.to_v", V_OF_3)]),
    ("x_block.attn.ln_q", &[("attn.norm_q", ALL)]),
    ("x_block.attn.ln_k", &[("attn.norm_k", ALL)]),
    ("x_block.attn.proj", &[("attn.to_out.0", ALL)]),
    ("x_block.attn2.qkv", &[("attn2.to_q", Q_OF_3), ("attn2.to_k", K_OF_3), ("attn2.to_v", V_OF_3)]),
    ("x_block.attn2.ln_q", &[("attn2.norm_q", ALL)]),
    ("x_block.attn2.ln_k", &[("attn2.norm_k", ALL)]),
    ("x_block.attn2.proj", &[("attn2.to_out.0", ALL)]),
    ("x_block.mlp.fc1", &[("ff.net.0.proj", ALL)]),
    ("x_block.mlp.fc2", &[("ff.net.2", ALL)]),
    (CONTEXT_NORM, &[("norm1_context.linear", ALL)]),
    (
        "context_block.attn.qkv",
        &[("attn.add_q_proj", Q_OF_3), ("attn.add_k_proj", K_OF_3), ("attn.add_v_proj", V_OF_3)],
    ),
    ("context_block.attn.ln_q", &[("attn.norm_added_q", ALL)]),
    ("context_block.attn.ln_k", &[("attn.norm_added_k", ALL)]),
    ("context_block.attn.proj", &[("attn.to_add_out", ALL)]),
    ("context_block.mlp.fc1", &[("ff_context.net.0.proj", ALL)]),
    ("context_block.mlp.fc2", &[("ff_context.net.2", ALL)]),
];

/// What modulates the text before attention.
const CONTEXT_NORM: &str = "context_block.adaLN_modulation.1";
/// The last block's: there is no gate, and diffusers has another class for it, with other order.
const LAST: Modules = &[(CONTEXT_NORM, &[("norm1_context.linear", SWAPPED)])];

fn parts(name: &str, last: usize) -> Option<Vec<Part>> {
    if name == "pos_embed" {
        return Some(vec![Part::new("pos_embed.pos_embed".into(), ALL)]);
    }
    let (module, leaf) = name.rsplit_once('.')?;
    let Some((block, module)) = module.strip_prefix(BLOCKS).and_then(|rest| rest.split_once('.')) else {
        return parts_of(OUTSIDE, "", module, leaf);
    };
    let at = format!("transformer_blocks.{block}.");
    let in_last = (block == last.to_string()).then(|| parts_of(LAST, &at, module, leaf)).flatten();
    in_last.or_else(|| parts_of(BLOCK, &at, module, leaf))
}
