//! The file of a kept run: safetensors, so that other programs can look into it.
//!
//! The latents after `k` steps are called `latents.k`, from 0, the denoised prediction that step `k` saw `denoised.k`,
//! from 1, and whatever else a sampler or a guidance rule remembers `memory.j`. Each tensor is there once, however often
//! it is remembered. The metadata has one entry, [`KEY`], a JSON text with the record of the picture and, for each
//! state, the numbers and the names of the tensors that it consists of.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::TensorId;
use flowline_sampler::{Saved, Schedule, State};
use safetensors::SafeTensors;
use safetensors::tensor::SafeTensorError;
use serde::{Deserialize, Serialize};

use super::{DAMAGED, Kept, KeptStep};
use crate::latents::file::{of_view, write};
use crate::{Error, Latents, Request, Result};

/// The entry of the metadata.
const KEY: &str = "flowline-trajectory";
/// The largest text under it that is read, bytes.
const LARGEST_TEXT: usize = 32 << 20;
/// How deep memories may hold memories: guidance in guidance, a sampler in a decorator.
const DEEPEST: usize = 16;

/// The text under [`KEY`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: u32,
    /// The program that wrote it.
    flowline: String,
    request: Request,
    /// The start, then one for each step.
    states: Vec<Stood>,
}

/// A [`Saved`] with names instead of latents; its own latents and the step's prediction are named by its place.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stood {
    sigma: f64,
    evaluations: u64,
    sampler: Memory,
    guidance: Memory,
}

/// A [`State`] with names instead of latents.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    numbers: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    latents: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inner: Vec<Memory>,
}

fn latents_name(at: usize) -> String {
    format!("latents.{at}")
}

fn denoised_name(step: usize) -> String {
    format!("denoised.{step}")
}

impl Kept {
    /// The version of the file's form that this program writes and reads.
    pub const VERSION: u32 = 1;

    /// The bytes of a safetensors file with the whole run.
    ///
    /// # Errors
    /// [`Error::Trajectory`] if a memory holds a number that is not finite; if the latents cannot be read back.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut names = Names::default();
        names.add(latents_name(0), &self.start.x);
        for (step, kept) in (1..).zip(&self.steps) {
            names.add(denoised_name(step), &kept.denoised);
            names.add(latents_name(step), &kept.state.x);
        }
        let saved = [&self.start].into_iter().chain(self.steps.iter().map(|step| &step.state));
        let states = saved.map(|saved| {
            let (sampler, guidance) = (names.memory(&saved.stepper)?, names.memory(&saved.velocity)?);
            Ok(Stood { sigma: saved.sigma, evaluations: saved.evaluations, sampler, guidance })
        });
        let states = states.collect::<Result<_>>()?;
        let (version, flowline) = (Self::VERSION, env!("CARGO_PKG_VERSION").to_owned());
        let text = serde_json::to_string(&Text { version, flowline, request: self.request.clone(), states })
            .map_err(|e| damaged(format!("the trajectory cannot be written ({e})")))?;
        write(&names.named, Some((KEY, text)))
    }

    /// Reads what [`Kept::to_bytes`] wrote, and trusts nothing: what is read fits together, and needs no more memory
    /// than the file is long, a few times over.
    ///
    /// # Errors
    /// [`Error::Trajectory`] saying what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| match error {
            SafeTensorError::MetadataIncompleteBuffer | SafeTensorError::InvalidHeaderLength => {
                damaged(format!("the trajectory is cut short: its {} bytes are not all there should be", bytes.len()))
            }
            error => damaged(format!("the file is no trajectory: not safetensors ({error})")),
        })?;
        let Some(text) = metadata.metadata().as_ref().and_then(|entries| entries.get(KEY)) else {
            let hint = "give a file that --keep-trajectory wrote";
            return Err(Error::Trajectory { what: "the file holds tensors, but no trajectory".into(), hint });
        };
        let Text { request, states, .. } = read_text(text)?;
        check(&request, &states)?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(format!("the tensors cannot be read ({e})")))?;
        let mut tensors = Tensors { file, read: HashMap::new(), shape: None };
        let offset = request.steps_before();
        let mut read = Vec::with_capacity(states.len());
        for (taken, stood) in states.into_iter().enumerate() {
            let denoised = match taken {
                0 => None,
                step => Some(tensors.get(&denoised_name(step))?),
            };
            let x = tensors.get(&latents_name(taken))?;
            let stepper = tensors.state(stood.sampler, DEEPEST)?;
            let velocity = tensors.state(stood.guidance, DEEPEST)?;
            let (sigma, evaluations) = (stood.sigma, stood.evaluations);
            read.push((denoised, Saved { taken, offset, sigma, evaluations, x, stepper, velocity }));
        }
        tensors.finish()?;
        let mut read = read.into_iter();
        let Some((None, start)) = read.next() else { return Err(damaged("the trajectory is empty")) };
        let steps = read.filter_map(|(denoised, state)| Some(Arc::new(KeptStep { denoised: denoised?, state })));
        Ok(Self { request, start, steps: steps.collect() })
    }
}

fn damaged(what: impl Into<String>) -> Error {
    Error::Trajectory { what: what.into(), hint: DAMAGED }
}

fn read_text(text: &str) -> Result<Text> {
    if text.len() > LARGEST_TEXT {
        return Err(damaged(format!("the trajectory's description has {} bytes, far too many", text.len())));
    }
    // The version first: another may well have other fields.
    #[derive(Deserialize)]
    struct Form {
        version: u32,
    }
    let unreadable = |e: serde_json::Error| damaged(format!("the trajectory's description cannot be read ({e})"));
    let form: Form = serde_json::from_str(text).map_err(unreadable)?;
    if form.version != Kept::VERSION {
        let what = format!("the trajectory has form {}, this program knows {}", form.version, Kept::VERSION);
        return Err(Error::Trajectory { what, hint: "use the flowline that wrote it" });
    }
    serde_json::from_str(text).map_err(unreadable)
}

/// Whether the states are those of the request's run, as far as that can be told without tensors.
fn check(request: &Request, states: &[Stood]) -> Result<()> {
    if request.seeds.len() != 1 {
        return Err(damaged(format!("the trajectory has {} seeds, a run has one", request.seeds.len())));
    }
    let schedule = Schedule::explicit(request.sigmas.clone())
        .map_err(|e| damaged(format!("the trajectory has a wrong schedule: {e}")))?;
    if schedule.steps() != request.steps || states.len() > schedule.sigmas().len() {
        let (found, steps, sigmas) = (states.len(), request.steps, request.sigmas.len());
        return Err(damaged(format!("the trajectory holds {found} states for {steps} steps and {sigmas} sigmas")));
    }
    let mut evaluations = 0;
    for (at, (stood, sigma)) in states.iter().zip(schedule.sigmas()).enumerate() {
        if stood.sigma != *sigma {
            let what = format!("state {at} of the trajectory is at sigma {}, its schedule at {sigma}", stood.sigma);
            return Err(damaged(what));
        }
        if stood.evaluations < evaluations {
            return Err(damaged(format!("state {at} of the trajectory has fewer evaluations than the one before")));
        }
        evaluations = stood.evaluations;
    }
    Ok(())
}

/// Every tensor of a run under the name that the file gives it.
#[derive(Default)]
struct Names<'a> {
    named: Vec<(String, &'a Latents)>,
    known: HashMap<TensorId, String>,
}

impl<'a> Names<'a> {
    /// A tensor that has a name of its own, also if it is there under another.
    fn add(&mut self, name: String, latents: &'a Latents) {
        self.known.entry(latents.tensor().id()).or_insert_with(|| name.clone());
        self.named.push((name, latents));
    }

    /// The name of a tensor that is remembered somewhere.
    fn find(&mut self, latents: &'a Latents) -> String {
        if let Some(name) = self.known.get(&latents.tensor().id()) {
            return name.clone();
        }
        let name = format!("memory.{}", self.named.len());
        self.add(name.clone(), latents);
        name
    }

    fn memory(&mut self, state: &'a State<Latents>) -> Result<Memory> {
        if !state.numbers.iter().all(|number| number.is_finite()) {
            return Err(damaged("the sampler remembers a number that is not finite, which no file can hold"));
        }
        let latents = state.latents.iter().map(|latents| self.find(latents)).collect();
        let inner = state.inner.iter().map(|inner| self.memory(inner)).collect::<Result<_>>()?;
        Ok(Memory { numbers: state.numbers.clone(), latents, inner })
    }
}

/// The tensors of a file, each read once.
struct Tensors<'a> {
    file: SafeTensors<'a>,
    read: HashMap<String, Latents>,
    /// The shape of the first; all have one.
    shape: Option<Vec<usize>>,
}

impl Tensors<'_> {
    fn get(&mut self, name: &str) -> Result<Latents> {
        if let Some(latents) = self.read.get(name) {
            return Ok(latents.clone());
        }
        let missing = |_| damaged(format!("the trajectory lacks the tensor '{name}'"));
        let latents = of_view(&self.file.tensor(name).map_err(missing)?)
            .map_err(|what| damaged(format!("the trajectory's tensor '{name}' {what}")))?;
        let found = latents.tensor().dims();
        let expected = self.shape.get_or_insert_with(|| found.to_vec());
        if found != expected.as_slice() || found.first() != Some(&1) {
            let what = format!("the trajectory's tensor '{name}' has shape {found:?}, the first has {expected:?}");
            return Err(damaged(what));
        }
        self.read.insert(name.to_owned(), latents.clone());
        Ok(latents)
    }

    fn state(&mut self, memory: Memory, deeper: usize) -> Result<State<Latents>> {
        let Some(deeper) = deeper.checked_sub(1) else {
            return Err(damaged("the trajectory's memories hold memories without end"));
        };
        let latents = memory.latents.iter().map(|name| self.get(name)).collect::<Result<_>>()?;
        let inner = memory.inner.into_iter().map(|inner| self.state(inner, deeper)).collect::<Result<_>>()?;
        Ok(State { numbers: memory.numbers, latents, inner })
    }

    /// Refuses tensors that nothing names.
    fn finish(&self) -> Result<()> {
        let mut left: Vec<_> = self.file.names().into_iter().filter(|name| !self.read.contains_key(*name)).collect();
        left.sort_unstable();
        match left.first() {
            None => Ok(()),
            Some(name) => Err(damaged(format!("the trajectory has no use for the tensor '{name}'"))),
        }
    }
}
