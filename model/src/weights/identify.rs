//! What a file of tensors is, told by its tensors: which parts of a model it holds, under which names, in which numbers.
//!
//! Files are called anything, so names of files decide nothing that tensors can tell. What a part's sizes are, `infer`
//! says; what a file is if it holds no part that Flowline reads, `foreign` says.

mod foreign;
mod infer;
mod layout;

use std::collections::BTreeMap;

use super::file::TensorFile;
use super::naming::{Names, itself};
use crate::{Error, Result};

pub use foreign::check_bytes;
pub use infer::Inferred;
pub use layout::{Layout, Slot};

/// What a part is to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The velocity network.
    Transformer,
    /// The autoencoder.
    Vae,
    /// The smaller CLIP text encoder.
    ClipL,
    /// The larger CLIP text encoder.
    ClipG,
    /// The T5 text encoder.
    T5,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Transformer, Self::Vae, Self::ClipL, Self::ClipG, Self::T5];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transformer => "transformer",
            Self::Vae => "autoencoder",
            Self::ClipL => "text encoder CLIP-L",
            Self::ClipG => "text encoder CLIP-G",
            Self::T5 => "text encoder T5",
        }
    }

    /// As files and options call it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Transformer => "transformer",
            Self::Vae => "vae",
            Self::ClipL => "clip_l",
            Self::ClipG => "clip_g",
            Self::T5 => "t5",
        }
    }

    /// Whether it reads text, and so needs a tokenizer.
    pub fn is_text(self) -> bool {
        matches!(self, Self::ClipL | Self::ClipG | Self::T5)
    }

    fn is_clip(self) -> bool {
        matches!(self, Self::ClipL | Self::ClipG)
    }
}

/// A part of a model, found in a file.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is to a model.
    pub role: Role,
    /// Whether that is certain. CLIP-L and CLIP-G are told by their widths, where these are the published ones.
    pub sure: bool,
    /// What the names of its tensors begin with in this file.
    pub prefix: String,
    /// Whose names its tensors have.
    pub naming: &'static str,
    /// How most of its numbers are stored.
    pub encoding: String,
    /// The family, of a transformer.
    pub layout: Option<&'static Layout>,
    /// Its tensors in diffusers' names, and their shapes.
    shapes: BTreeMap<String, Vec<usize>>,
    /// The file's name.
    file: String,
}

/// A tensor that only one kind of part has, in one naming.
struct Sign {
    /// What its name ends with; before it stands the part's prefix.
    end: &'static str,
    role: Role,
    naming: &'static str,
    layout: Option<&'static Layout>,
}

const fn sign(end: &'static str, role: Role, naming: &'static str) -> Sign {
    Sign { end, role, naming, layout: None }
}

static SIGNS: [Sign; 10] = [
    // FLUX.2 and Chroma have none.
    Sign { layout: Some(&layout::FLUX), ..sign("vector_in.in_layer.weight", Role::Transformer, "BFL") },
    // FLUX.2's is fused with queries, keys and values.
    Sign {
        layout: Some(&layout::FLUX),
        ..sign("single_transformer_blocks.0.proj_mlp.weight", Role::Transformer, "diffusers")
    },
    Sign { layout: Some(&layout::SD3), ..sign("joint_blocks.0.x_block.attn.qkv.weight", Role::Transformer, "SAI") },
    Sign { layout: Some(&layout::SD3), ..sign("pos_embed.pos_embed", Role::Transformer, "diffusers") },
    sign("decoder.mid.block_1.conv1.weight", Role::Vae, "LDM"),
    sign("decoder.mid_block.resnets.0.conv1.weight", Role::Vae, "diffusers"),
    sign("text_model.embeddings.token_embedding.weight", Role::ClipL, "transformers"),
    // transformers 5 saves a text encoder alone without the first word.
    sign("embeddings.token_embedding.weight", Role::ClipL, "transformers"),
    sign("encoder.block.0.layer.0.SelfAttention.q.weight", Role::T5, "transformers"),
    sign("enc.blk.0.attn_q.weight", Role::T5, "llama.cpp"),
];

/// The parts of a model that `files`, one file or the pieces of a split one, hold.
///
/// # Errors
/// [`Error::Invalid`] saying what they are instead, if they hold none that can be read, or one of them twice.
pub fn identify(files: &[TensorFile]) -> Result<Vec<Found>> {
    let file = files.first().map_or("the file", TensorFile::name).to_owned();
    let mut signs: BTreeMap<&str, &'static Sign> = BTreeMap::new();
    for name in files.iter().flat_map(|file| file.tensors().keys()) {
        let begins = |sign: &&'static Sign| {
            let prefix = name.strip_suffix(sign.end)?;
            (prefix.is_empty() || prefix.ends_with('.')).then_some((prefix, *sign))
        };
        if let Some((prefix, sign)) = SIGNS.iter().find_map(|sign| begins(&sign)) {
            signs.entry(prefix).or_insert(sign);
        }
    }
    let mut parts: Vec<Found> = signs.iter().map(|(prefix, sign)| Found::new(files, prefix, sign)).collect();
    let transformer = parts.iter().any(|part| part.role == Role::Transformer);
    if let (false, Some(error)) = (transformer, foreign::foreign(files, !parts.is_empty())) {
        return Err(error);
    }
    if parts.is_empty() {
        let some: Vec<_> = files.iter().flat_map(|file| file.tensors().keys()).take(3).map(String::as_str).collect();
        let what = match some.is_empty() {
            true => format!("{file} holds no tensor"),
            false => format!("{file} holds no part of a model that can be read (it holds {}, ...)", some.join(", ")),
        };
        return Err(Error::invalid(what, "FLUX.1, SD3 and SD3.5 are read: their transformers, VAE, CLIP and T5"));
    }
    tell_clips_apart(&mut parts, &file);
    parts.sort_by_key(|part| part.role);
    for pair in parts.windows(2) {
        if let [a, b] = pair
            && a.role == b.role
        {
            let (role, a, b) = (a.role.name(), &a.prefix, &b.prefix);
            let what = format!("{file} holds the {role} twice, under '{a}' and under '{b}'");
            return Err(Error::invalid(what, "use a file that holds it once"));
        }
    }
    Ok(parts)
}

/// Says which is CLIP-L and which CLIP-G: by what their names begin with, by the published widths, by the name of the
/// file, or, where there are two, the narrower and the wider.
fn tell_clips_apart(parts: &mut [Found], file: &str) {
    let mut clips: Vec<&mut Found> = parts.iter_mut().filter(|part| part.role.is_clip()).collect();
    clips.sort_by_key(|clip| clip.width());
    let both = clips.len() == 2;
    for (at, clip) in clips.into_iter().enumerate() {
        let by_name = |name: &str| {
            let name = name.to_lowercase().replace('-', "_");
            match (name.contains("clip_l"), name.contains("clip_g")) {
                (true, false) => Some(Role::ClipL),
                (false, true) => Some(Role::ClipG),
                _ => None,
            }
        };
        let by_width = match clip.width() {
            768 => Some(Role::ClipL),
            1280 => Some(Role::ClipG),
            _ => None,
        };
        let by_rank = both.then_some(if at == 0 { Role::ClipL } else { Role::ClipG });
        let known = by_name(&clip.prefix).or(by_width).or(by_rank);
        clip.sure = known.is_some();
        clip.role = known.or_else(|| by_name(file)).unwrap_or(Role::ClipL);
    }
}

impl Found {
    fn new(files: &[TensorFile], prefix: &str, sign: &'static Sign) -> Self {
        let stored = || {
            let all = files.iter().flat_map(|file| file.tensors());
            all.filter_map(|(name, stored)| Some((name.strip_prefix(prefix)?, stored)))
        };
        let names = Names::of(&stored().map(|(name, _)| name).collect());
        let (mut shapes, mut numbers) = (BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in stored() {
            let encoding = match &tensor.encoding {
                Ok(encoding) => encoding.name().to_owned(),
                Err(unknown) => unknown.to_lowercase(),
            };
            let count = tensor.shape.iter().fold(1u64, |n, &side| n.saturating_mul(side as u64));
            let sum: &mut u64 = numbers.entry(encoding).or_default();
            *sum = sum.saturating_add(count);
            for part in names.as_ref().map_or_else(|| itself(name), |names| names.parts(name)) {
                if let Some(shape) = part.shape(&tensor.shape) {
                    shapes.insert(part.name, shape);
                }
            }
        }
        Self {
            role: sign.role,
            sure: true,
            prefix: prefix.to_owned(),
            naming: sign.naming,
            encoding: numbers.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name).unwrap_or_default(),
            layout: sign.layout,
            shapes,
            file: files.first().map_or("the file", TensorFile::name).to_owned(),
        }
    }

    /// Width of a CLIP encoder; 0 if it cannot be told.
    fn width(&self) -> usize {
        let embedding = ["text_model.", ""].iter().find_map(|begin| {
            let name = format!("{begin}embeddings.token_embedding.weight");
            self.shapes.get(&name)
        });
        embedding.and_then(|shape| shape.get(1)).copied().unwrap_or(0)
    }
}
