//! Namings read the other way: which tensors the authors' file consists of, and where each of their rows comes from.
//!
//! There is no second table. Every name that a naming knows is tried, and counts if all that it is to the network is
//! there.

use std::collections::BTreeSet;

use super::{Modules, NAMINGS, Naming};

/// A model's tensors as its authors store them.
#[derive(Debug)]
pub(in crate::weights) struct Authored {
    /// What GGUF calls the model.
    pub(in crate::weights) architecture: &'static str,
    /// In the order of the tables.
    pub(in crate::weights) tensors: Vec<Composed>,
}

/// A tensor as it is stored: shares of the network's tensors, one below the other.
#[derive(Debug, PartialEq)]
pub(in crate::weights) struct Composed {
    /// Its name.
    pub(in crate::weights) name: String,
    /// From top to bottom.
    pub(in crate::weights) shares: Vec<Share>,
}

/// An equal share of the rows of a tensor of the network.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::weights) struct Share {
    /// The network's name for it.
    pub(in crate::weights) name: String,
    /// Which share.
    pub(in crate::weights) at: usize,
    /// Of how many.
    pub(in crate::weights) of: usize,
}

impl Composed {
    /// A tensor that is stored as the network has it.
    pub(in crate::weights) fn itself(name: &str) -> Self {
        Self { name: name.to_owned(), shares: vec![Share { name: name.to_owned(), at: 0, of: 1 }] }
    }
}

/// The tensors that a network with these would have in its authors' file; `None` if it is none of the known ones.
/// Tensors that the authors do not name keep their own.
pub(in crate::weights) fn authored(network: &BTreeSet<&str>) -> Option<Authored> {
    let readings = NAMINGS.iter().filter_map(|naming| {
        let tensors = naming.composed(network);
        let known = tensors.iter().any(|tensor| tensor.name == naming.sign);
        Some((naming.architecture.filter(|_| known)?, naming.repeated, tensors))
    });
    // Models share some modules, and none shares the most.
    let count = |tensors: &[Composed]| tensors.iter().map(|tensor| tensor.shares.len()).sum::<usize>();
    let (architecture, repeated, mut tensors) = readings.max_by_key(|(.., tensors)| count(tensors))?;
    let used: BTreeSet<_> = tensors.iter().flat_map(|tensor| &tensor.shares).map(|share| share.name.clone()).collect();
    let left = network.iter().filter(|name| !used.contains(**name) && !repeated.contains(name));
    tensors.extend(left.map(|name| Composed::itself(name)));
    Some(Authored { architecture, tensors })
}

impl Naming {
    /// All tensors of the tables whose parts are in the network.
    fn composed(&self, network: &BTreeSet<&str>) -> Vec<Composed> {
        // How many blocks there are decides what the last one is, and what the last one is does not decide its names.
        let numbered = self.modules.iter().filter(|(before, ..)| *before == self.blocks);
        let count = |modules| {
            (0..)
                .take_while(|block| !self.block(self.blocks, *block, modules, (usize::MAX, network)).is_empty())
                .count()
        };
        let last = numbered.map(|(.., modules)| count(modules)).max().unwrap_or(0).saturating_sub(1);
        let mut tensors: Vec<_> =
            self.bare.iter().filter_map(|name| self.tensor((*name).to_owned(), last, network)).collect();
        for (before, _, modules) in self.modules {
            if before.is_empty() {
                tensors.extend(self.table("", modules, (last, network)));
                continue;
            }
            let blocks = (0..).map(|block| self.block(before, block, modules, (last, network)));
            tensors.extend(blocks.take_while(|found| !found.is_empty()).flatten());
        }
        tensors
    }

    /// The tensors of the modules of one block.
    fn block(&self, before: &str, block: usize, modules: Modules, there: (usize, &BTreeSet<&str>)) -> Vec<Composed> {
        self.table(&format!("{before}{block}."), modules, there)
    }

    /// The tensors of modules whose names begin with `at`, given the last block and what is in the network.
    fn table(&self, at: &str, modules: Modules, (last, network): (usize, &BTreeSet<&str>)) -> Vec<Composed> {
        let names = modules
            .iter()
            .flat_map(|(module, _)| (self.leaves)(module).iter().map(move |leaf| format!("{at}{module}.{leaf}")));
        names.filter_map(|name| self.tensor(name, last, network)).collect()
    }

    /// One stored tensor, if all that it is to a network is there.
    fn tensor(&self, name: String, last: usize, network: &BTreeSet<&str>) -> Option<Composed> {
        let parts = (self.parts)(&name, last)?;
        let of = parts.first()?.rows.of;
        let share = |place: usize| {
            parts.iter().find_map(|part| {
                let at = part.rows.taken.iter().position(|taken| *taken == place)?;
                Some(Share { name: part.name.clone(), at, of: part.rows.taken.len() })
            })
        };
        let whole = parts.iter().all(|part| part.rows.of == of && network.contains(part.name.as_str()));
        let shares = whole.then(|| (0..of).map(share).collect::<Option<Vec<_>>>())??;
        Some(Composed { name, shares })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Names of a published checkpoint.
    fn list(name: &str) -> BTreeSet<String> {
        let path = format!("{}/tests/fixtures/tensor_lists/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let shapes: BTreeMap<String, Vec<usize>> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        shapes.into_keys().collect()
    }

    #[test]
    fn the_published_models_have_exactly_the_names_that_their_authors_gave() {
        for (model, authors, architecture) in [
            ("flux1-dev", "bfl", "flux"),
            ("sd3-medium", "sai", "sd3"),
            ("sd3.5-medium", "sai", "sd3"),
            ("sd3.5-large", "sai", "sd3"),
        ] {
            let network = list(&format!("{model}.diffusers"));
            let authored = authored(&network.iter().map(String::as_str).collect()).unwrap();
            assert_eq!(authored.architecture, architecture);
            let names: BTreeSet<_> = authored.tensors.iter().map(|tensor| tensor.name.clone()).collect();
            assert_eq!(names.len(), authored.tensors.len());
            assert!(names == list(&format!("{model}.{authors}")), "{model}");
        }
        assert!(authored(&list("vae16.diffusers").iter().map(String::as_str).collect()).is_none());
    }
}
