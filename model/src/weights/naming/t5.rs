//! The T5 encoder as llama.cpp names it in GGUF (gguf-py `tensor_mapping.py`, architectures `t5` and `t5encoder`; the same
//! pairs are in city96/ComfyUI-GGUF `loader.py:144-159`).

use super::{ALL, Modules, Naming, Part, parts_of, weight_and_bias};

pub(super) const NAMING: Naming = Naming {
    sign: "enc.blk.0.attn_q.weight",
    whole: "",
    blocks: "enc.blk.",
    modules: &[("", "", OUTSIDE), ("enc.blk.", "encoder.block.", BLOCK)],
    parts,
    architecture: Some("t5encoder"),
    bare: &[],
    // transformers writes the table of words twice.
    repeated: &["encoder.embed_tokens.weight"],
    leaves: weight_and_bias,
};

const OUTSIDE: Modules =
    &[("token_embd", &[("shared", ALL)]), ("enc.output_norm", &[("encoder.final_layer_norm", ALL)])];

const BLOCK: Modules = &[
    ("attn_q", &[("0.SelfAttention.q", ALL)]),
    ("attn_k", &[("0.SelfAttention.k", ALL)]),
    ("attn_v", &[("0.SelfAttention.v", ALL)]),
    ("attn_o", &[("0.SelfAttention.o", ALL)]),
    ("attn_rel_b", &[("0.SelfAttention.relative_attention_bias", ALL)]),
    ("attn_norm", &[("0.layer_norm", ALL)]),
    ("ffn_gate", &[("1.DenseReluDense.wi_0", ALL)]),
    ("ffn_up", &[("1.DenseReluDense.wi_1", ALL)]),
    ("ffn_down", &[("1.DenseReluDense.wo", ALL)]),
    ("ffn_norm", &[("1.layer_norm", ALL)]),
];

fn parts(name: &str, _last: usize) -> Option<Vec<Part>> {
    let (module, leaf) = name.rsplit_once('.')?;
    match module.strip_prefix("enc.blk.").and_then(|rest| rest.split_once('.')) {
        Some((block, module)) => parts_of(BLOCK, &format!("encoder.block.{block}.layer."), module, leaf),
        None => parts_of(OUTSIDE, "", module, leaf),
    }
}
