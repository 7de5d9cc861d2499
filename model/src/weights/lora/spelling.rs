//! The names of an adapter's tensors, as the programs that train adapters write them: kohya's sd-scripts (`lora_down`,
//! `lora_up`, dots flattened), peft and diffusers (`lora_A`, `lora_B`), older diffusers (`lora.down`), XLabs (`down`).

use std::collections::BTreeMap;

use super::refusal;
use crate::weights::file::TensorFile;
use crate::weights::header::Stored;
use crate::weights::naming::Rows;
use crate::{Error, Result};

/// What the tensors of a file are.
pub(super) struct Read {
    /// The pairs by the names of their modules.
    pub(super) pairs: BTreeMap<String, Pair>,
    /// Tensors that belong to no pair.
    pub(super) rest: Vec<String>,
}

/// The two factors of what is added to a module: up (rows, rank) times down (rank, columns).
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) down: Factor,
    pub(super) up: Factor,
    /// Where the strength of this pair is said, if it is said beside it.
    pub(super) alpha: Option<Factor>,
    pub(super) rank: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// A tensor of the file.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    pub(super) name: String,
    pub(super) stored: Stored,
}

impl Pair {
    /// Numbers that are held if only some rows are used.
    pub(super) fn parameters(&self, rows: Rows) -> u64 {
        let rows = self.rows / rows.of * rows.taken.len();
        self.rank as u64 * (self.columns as u64 + rows as u64)
    }
}

/// What a tensor is to its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Down,
    Up,
    Alpha,
}

/// What names end in, after that of the module; the more particular first.
const ENDS: [(&str, Role); 9] = [
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora_A.weight", Role::Down),
    (".lora_B.weight", Role::Up),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    (".alpha", Role::Alpha),
];

/// The module of a tensor and what it is there; `None` if that is not to be told.
fn parse(name: &str) -> Option<(&str, Role)> {
    let ended = ENDS.iter().find_map(|(end, role)| Some((name.strip_suffix(end)?, *role)));
    ended.or_else(|| {
        let (module, last) = name.strip_suffix(".weight")?.rsplit_once('.')?;
        match last {
            // XLabs' modules are called so: `processor.qkv_lora1`.
            "down" if module.contains(".processor.") => Some((module, Role::Down)),
            "up" if module.contains(".processor.") => Some((module, Role::Up)),
            // peft may keep the adapter's own name: `lora_A.default.weight`.
            _ => {
                let role = [(".lora_A", Role::Down), (".lora_B", Role::Up)];
                role.into_iter().find_map(|(end, role)| Some((module.strip_suffix(end)?, role)))
            }
        }
    })
}

#[derive(Default)]
struct Parts {
    down: Option<Factor>,
    up: Option<Factor>,
    alpha: Option<Factor>,
}

/// Reads the names of all tensors.
///
/// # Errors
/// [`Error::Invalid`] for adapters of another kind, a module with half a pair, and factors that do not fit together.
pub(super) fn read(file: &TensorFile) -> Result<Read> {
    let mut modules: BTreeMap<&str, Parts> = BTreeMap::new();
    let mut rest = Vec::new();
    for (name, stored) in file.tensors() {
        refusal::check_kind(file, name)?;
        let Some((module, role)) = parse(name) else {
            rest.push(name.clone());
            continue;
        };
        let parts = modules.entry(module).or_default();
        let place = match role {
            Role::Down => &mut parts.down,
            Role::Up => &mut parts.up,
            Role::Alpha => &mut parts.alpha,
        };
        if let Some(other) = place.replace(Factor { name: name.clone(), stored: stored.clone() }) {
            let what = format!("{}: tensors '{}' and '{name}' are the same factor", file.name(), other.name);
            return Err(Error::invalid(what, refusal::DAMAGED));
        }
    }
    let mut pairs = BTreeMap::new();
    for (module, parts) in modules {
        match parts {
            Parts { down: Some(down), up: Some(up), alpha } => {
                pairs.insert(module.to_owned(), pair(file, down, up, alpha)?);
            }
            Parts { down: None, up: None, alpha } => rest.extend(alpha.map(|alpha| alpha.name)),
            Parts { down, up, .. } => {
                let (there, missing) = if down.is_some() { (down, "up") } else { (up, "down") };
                let there = there.map(|factor| factor.name).unwrap_or_default();
                let what =
                    format!("{}: '{there}' is half a pair, the other factor ({missing}) is missing", file.name());
                return Err(Error::invalid(what, refusal::DAMAGED));
            }
        }
    }
    Ok(Read { pairs, rest })
}

/// Two factors as matrices. Those of convolutions have more dimensions, (r, c, h, w) and (o, r, 1, 1).
fn pair(file: &TensorFile, down: Factor, up: Factor, alpha: Option<Factor>) -> Result<Pair> {
    let wrong = |factor: &Factor, why: &str| {
        let (file, name, shape) = (file.name(), &factor.name, &factor.stored.shape);
        Error::invalid(format!("{file}: tensor '{name}' has shape {shape:?}, {why}"), refusal::DAMAGED)
    };
    let matrix = |factor: &Factor| {
        let (rows, rest) = factor.stored.shape.split_first()?;
        let columns = rest.iter().try_fold(1usize, |product, n| product.checked_mul(*n))?;
        (matches!(rest.len(), 1 | 3) && *rows > 0 && columns > 0).then_some((*rows, columns))
    };
    let (rank, columns) = matrix(&down).ok_or_else(|| wrong(&down, "which is no factor of a matrix"))?;
    let (rows, other) = matrix(&up).ok_or_else(|| wrong(&up, "which is no factor of a matrix"))?;
    if rank != other {
        let (name, shape) = (&down.name, &down.stored.shape);
        return Err(wrong(&up, &format!("which does not fit '{name}' of shape {shape:?}")));
    }
    Ok(Pair { down, up, alpha, rank, rows, columns })
}

#[cfg(test)]
mod tests {
    use super::{Role, parse};

    #[test]
    fn every_program_is_understood() {
        for (name, module, role) in [
            (
                "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight",
                "lora_unet_double_blocks_0_img_attn_qkv",
                Role::Down,
            ),
            (
                "lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha",
                "lora_te1_text_model_encoder_layers_0_mlp_fc1",
                Role::Alpha,
            ),
            ("transformer.x_embedder.lora_B.weight", "transformer.x_embedder", Role::Up),
            ("base_model.model.proj_out.lora_A.default.weight", "base_model.model.proj_out", Role::Down),
            ("text_encoder.a.q_proj.lora_linear_layer.up.weight", "text_encoder.a.q_proj", Role::Up),
            ("transformer.a.to_q.lora.down.weight", "transformer.a.to_q", Role::Down),
            ("double_blocks.0.processor.qkv_lora1.up.weight", "double_blocks.0.processor.qkv_lora1", Role::Up),
        ] {
            assert_eq!(parse(name), Some((module, role)), "{name}");
        }
        for name in ["a.diff", "a.diff_b", "a.lora_B.bias", "a.weight", "lora_A.weight", "a.lora_A.b.c.weight"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
