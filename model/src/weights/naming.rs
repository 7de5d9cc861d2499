//! Other names for the same tensors. Networks ask for diffusers' names; a file in the names of a model's authors is
//! translated when it is opened, here and nowhere else. One file a model beside this one.

mod flux;
mod reverse;
mod sd3;
mod t5;
mod vae;

use std::collections::BTreeSet;

pub(super) use self::reverse::{Authored, Composed, Share, authored};

/// The namings that are known; all others are taken for diffusers'.
static NAMINGS: [Naming; 4] = [flux::NAMING, sd3::NAMING, vae::NAMING, t5::NAMING];

/// How the authors of a model named its tensors.
struct Naming {
    /// A tensor that only files in these names hold.
    sign: &'static str,
    /// What all names begin with in files that hold more than one part.
    whole: &'static str,
    /// What the numbered blocks begin with whose last one [`Naming::parts`] is told.
    blocks: &'static str,
    /// What a stored tensor is to a network, given the number of the last block; `None` if its name is no other.
    parts: fn(&str, usize) -> Option<Vec<Part>>,
    /// All modules, for adapters: what stands before their names and the network's, to be followed by a number if it is
    /// not empty. The first module tells the network.
    modules: &'static [(&'static str, &'static str, Modules)],
    /// What GGUF calls the model; `None` if there is nothing to write in these names.
    architecture: Option<&'static str>,
    /// Tensors that belong to no module.
    bare: &'static [&'static str],
    /// Tensors of the network that repeat another.
    repeated: &'static [&'static str],
    /// The tensors of a module.
    leaves: fn(&str) -> &'static [&'static str],
}

/// What most modules hold.
fn weight_and_bias(_module: &str) -> &'static [&'static str] {
    &["weight", "bias"]
}

/// What a stored tensor, or a share of it, is to a network.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// The network's name for it.
    pub(super) name: String,
    /// Which rows it is.
    pub(super) rows: Rows,
    /// Whether it is stored as a pixelwise convolution, (o, c, 1, 1), of what the network takes for a linear map, (o, c).
    pixelwise: bool,
}

/// Some rows of a tensor, which is cut into `of` equal shares: those of the shares `taken`, in this order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rows {
    pub(super) taken: &'static [usize],
    pub(super) of: usize,
}

pub(super) const ALL: Rows = Rows { taken: &[0], of: 1 };
/// The second half before the first: where the authors say (shift, scale), diffusers says (scale, shift).
const SWAPPED: Rows = Rows { taken: &[1, 0], of: 2 };
/// Of queries, keys and values on top of each other.
const Q_OF_3: Rows = Rows { taken: &[0], of: 3 };
const K_OF_3: Rows = Rows { taken: &[1], of: 3 };
const V_OF_3: Rows = Rows { taken: &[2], of: 3 };

impl Part {
    fn new(name: String, rows: Rows) -> Self {
        Self { name, rows, pixelwise: false }
    }

    /// Its shape, if the stored tensor has shape `stored`; `None` if that cannot be cut so.
    pub(super) fn shape(&self, stored: &[usize]) -> Option<Vec<usize>> {
        let mut shape = match (self.pixelwise, stored) {
            (true, [o, c, 1, 1]) => vec![*o, *c],
            _ => stored.to_vec(),
        };
        let Rows { taken, of } = self.rows;
        if of > 1 {
            let rows = shape.first_mut()?;
            if !rows.is_multiple_of(of) {
                return None;
            }
            *rows = *rows / of * taken.len();
        }
        Some(shape)
    }
}

/// What stands for one module of the authors: modules of the network, and the rows of each.
type Modules = &'static [(&'static str, &'static [(&'static str, Rows)])];

/// The parts of a tensor `leaf` of `module`, below `at` in the network.
fn parts_of(modules: Modules, at: &str, module: &str, leaf: &str) -> Option<Vec<Part>> {
    let (_, parts) = modules.iter().find(|(stored, _)| *stored == module)?;
    Some(parts.iter().map(|(name, rows)| Part::new(format!("{at}{name}.{leaf}"), *rows)).collect())
}

/// The naming of one file.
pub(super) struct Names {
    naming: &'static Naming,
    prefix: &'static str,
    last: usize,
}

impl Names {
    /// The naming of a file with these tensors; `None` if it is diffusers'.
    pub(super) fn of(tensors: &BTreeSet<&str>) -> Option<Self> {
        for naming in &NAMINGS {
            for prefix in ["", naming.whole] {
                if tensors.contains(format!("{prefix}{}", naming.sign).as_str()) {
                    let number = |name: &&str| {
                        let block = name.strip_prefix(prefix)?.strip_prefix(naming.blocks)?;
                        block.split_once('.')?.0.parse().ok()
                    };
                    let last = tensors.iter().filter_map(number).max().unwrap_or(0);
                    return Some(Self { naming, prefix, last });
                }
            }
        }
        None
    }

    /// What a stored tensor is to the network. One that these names do not know keeps its own.
    pub(super) fn parts(&self, stored: &str) -> Vec<Part> {
        let name = stored.strip_prefix(self.prefix).unwrap_or(stored);
        (self.naming.parts)(name, self.last).unwrap_or_else(|| itself(name))
    }
}

/// The modules of the authors of the network with these tensors, and what the weight of each is to it. Adapters that were
/// trained with the authors' code call them so.
pub(super) fn modules(network: &BTreeSet<&str>) -> Vec<(String, Vec<Part>)> {
    let there = |parts: &[Part]| parts.iter().all(|part| network.contains(part.name.as_str()));
    let mut found = Vec::new();
    for naming in &NAMINGS {
        let first = naming.modules.first().and_then(|(_, _, modules)| modules.first());
        if !first
            .is_some_and(|(first, _)| (naming.parts)(&format!("{first}.weight"), 0).is_some_and(|parts| there(&parts)))
        {
            continue;
        }
        for (theirs, ours, modules) in naming.modules {
            let number = |name: &&str| name.strip_prefix(ours)?.split_once('.')?.0.parse::<usize>().ok();
            let blocks: BTreeSet<usize> = network.iter().filter_map(number).collect();
            let last = blocks.last().copied().unwrap_or(0);
            let numbered = blocks.iter().map(|block| (format!("{theirs}{block}."), format!("{ours}{block}.")));
            let places = if ours.is_empty() { vec![Default::default()] } else { numbered.collect() };
            for (theirs, ours) in places {
                for (module, _) in *modules {
                    let name = format!("{theirs}{module}");
                    let parts = (naming.parts)(&format!("{name}.weight"), last);
                    let parts = parts.or_else(|| parts_of(modules, &ours, module, "weight")).unwrap_or_default();
                    if there(&parts) {
                        found.push((name, parts));
                    }
                }
            }
        }
    }
    found
}

/// What a tensor of a file in diffusers' names is to the network: itself.
pub(super) fn itself(stored: &str) -> Vec<Part> {
    vec![Part::new(stored.to_owned(), ALL)]
}
