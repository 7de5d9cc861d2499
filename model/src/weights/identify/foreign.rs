//! What a file is that holds no model of ours: named, so that nobody has to guess.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::TensorFile;
use crate::{Error, Result};

/// A kind of file, and what to do with it instead.
struct Foreign {
    /// What it is, after "is".
    name: &'static str,
    hint: &'static str,
    /// What some tensor's name holds.
    sign: &'static str,
    /// Whether it may stand beside a part of ours in a file that is read.
    beside: bool,
}

const fn model(name: &'static str, sign: &'static str) -> Foreign {
    Foreign { name, hint: "this version reads FLUX.1, SD3 and SD3.5", sign, beside: false }
}

/// What is nothing by itself, but may be the other half of something.
const fn half(name: &'static str, sign: &'static str) -> Foreign {
    Foreign { beside: true, ..model(name, sign) }
}

const fn adapter(sign: &'static str) -> Foreign {
    let (name, hint) = ("a LoRA adapter, not a model", "name a model with -m, and this file with --lora");
    Foreign { name, hint, sign, beside: false }
}

/// In the order in which they are asked for: the more special first.
static FOREIGN: [Foreign; 30] = [
    adapter(".lora_A."),
    adapter(".lora_down."),
    adapter("lora_unet_"),
    adapter("lora_transformer_"),
    adapter("_lora.down."),
    adapter(".lora_up."),
    adapter(".lokr_w1"),
    adapter(".hada_w1"),
    model("a ControlNet", "controlnet_x_embedder."),
    model("a ControlNet", "controlnet_blocks."),
    model("a ControlNet", "control_model."),
    model("FLUX.3", "txt_mode_blocks."),
    model("FLUX.2", "double_stream_modulation_img."),
    model("the autoencoder of FLUX.2", "bn.running_mean"),
    model("Chroma", "distilled_guidance_layer."),
    model("Z-Image", "x_pad_token"),
    model("Lumina 2", "cap_embedder."),
    model("Qwen-Image", "transformer_blocks.0.img_mod."),
    model("SDXL", "label_emb.0.0."),
    model("SDXL", "add_embedding.linear_1."),
    model("Stable Diffusion 1 or 2", "input_blocks.0.0."),
    model("a U-Net of Stable Diffusion 1 or 2", "down_blocks.0.attentions.0.transformer_blocks."),
    model("PixArt", "adaln_single."),
    model("AuraFlow", "joint_transformer_blocks."),
    model("Wan", "text_embedding.0."),
    model("HunyuanVideo", "individual_token_refiner."),
    half("a language model such as Qwen3", "model.layers.0.self_attn."),
    half("a language model such as Qwen3", "blk.0.attn_q."),
    half("a T5 without its encoder", "dec.blk.0."),
    half("the picture half of CLIP", "vision_model.embeddings."),
];

/// What `files` are, if it is something that is known and cannot be read; `ours` says whether they hold a part of ours.
pub fn foreign(files: &[TensorFile], ours: bool) -> Option<Error> {
    let file = files.first()?.name();
    let has = |sign: &str| files.iter().any(|file| file.tensors().keys().any(|name| name.contains(sign)));
    let Foreign { name, hint, .. } = FOREIGN.iter().find(|foreign| !(ours && foreign.beside) && has(foreign.sign))?;
    Some(Error::invalid(format!("{file} is {name}"), *hint))
}

/// Looks at the first bytes of a file that is to hold tensors.
///
/// # Errors
/// [`Error::Invalid`] saying what it is, if it is a pickle, text, or an archive; [`Error::Io`] if it cannot be read.
pub fn check_bytes(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    // Opening a pipe would wait for its writer.
    if !metadata.is_file() {
        let what = format!("{} is no file", path.display());
        return Err(Error::invalid(what, "name a safetensors or GGUF file, or a diffusers folder"));
    }
    let mut first = [0; 512];
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut length = 0;
    while let Some(rest) = first.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(|e| Error::io(path, e))? {
            0 => break,
            read => length += read,
        }
    }
    let first = first.get(..length).unwrap_or_default();
    let name = path.display();
    let is = |what: &str, hint: &str| Err(Error::invalid(format!("{name} is {what}"), hint));
    // A safetensors file begins with the length of its header, whose high bytes are zero.
    if first.get(4..8) == Some(&[0; 4]) || first.starts_with(b"GGUF") {
        return Ok(());
    }
    const SAFE: &str = "pickles can run programs, so none is opened; use the model's safetensors or GGUF file";
    match first {
        // PyTorch since 1.6 writes an archive of pickles, before that a pickle (protocol 2 and later).
        [b'P', b'K', 3, 4, ..] => is("an archive, such as PyTorch's pickles (.ckpt, .pt, .pth, .bin)", SAFE),
        [0x80, 2..=5, ..] => is("a pickle of PyTorch (.ckpt, .pt, .pth, .bin)", SAFE),
        [b'<', ..] => is("a web page, not a model", "the download failed; fetch it again"),
        text if text.starts_with(b"version https://git-lfs") => {
            is("a pointer of Git LFS, not the file itself", "fetch the file: git lfs pull")
        }
        [] => Ok(()),
        text if !text.contains(&0) && std::str::from_utf8(text.get(..64).unwrap_or(text)).is_ok() => {
            is("text, not a model", "name a safetensors or GGUF file, or a diffusers folder")
        }
        _ => Ok(()),
    }
}
