//! ComfyUI's record: the graph that was run, under `prompt`: `{"3": {"class_type": "KSampler", "inputs": {...}}, ...}`.
//! An input is a value or a link `["4", 0]` to another node's output (`comfy/sd.py`, `nodes.py`, `execution.py` there).
//! Where only the editor's graph is there, under `workflow`, it is brought into this form first.

mod workflow;

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::json_object::object;
use super::reading::{Field, Reading, scalar};
use super::{Found, Source, Texts};
use crate::error::Result;

/// Inputs that say the same in every node upstream of a sampler.
const INPUTS: &[(&str, Field)] = &[
    ("width", Field::Width),
    ("height", Field::Height),
    ("seed", Field::Seed),
    ("noise_seed", Field::Seed),
    ("steps", Field::Steps),
    ("sampler_name", Field::Sampler),
    ("scheduler", Field::Schedule),
    ("cfg", Field::Cfg),
    ("guidance", Field::Guidance),
];

/// Inputs that hold a text: the plain encoder's, FLUX's and SD3's, and those of nodes that only hold a text.
const TEXTS: &[&str] = &["text", "t5xxl", "clip_l", "string", "value", "prompt"];

/// Inputs that name the file of a model.
const MODELS: &[&str] = &["unet_name", "ckpt_name", "lora_name", "vae_name", "clip_name", "clip_name1", "clip_name2"];

struct Graph(Map<String, Value>);

/// A value, and the node and the input that it is written into.
struct Written<'g> {
    text: String,
    place: (&'g str, &'g str),
}

/// Reads ComfyUI's record.
pub(super) fn read(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let text = texts.get("prompt")?.trim_start();
    if !text.starts_with('{') {
        return None;
    }
    let graph = match object(name, "prompt", text) {
        Ok(graph) => Graph(graph),
        Err(failure) => return Some(Err(failure)),
    };
    let sampler = graph.sampler()?;
    Some(Ok(Found { source: Source::ComfyUi, request: None, reading: graph.reading(sampler) }))
}

/// Reads the editor's graph.
pub(super) fn read_workflow(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let text = texts.get("workflow")?.trim_start();
    if !text.starts_with('{') {
        return None;
    }
    let graph = match object(name, "workflow", text) {
        Ok(workflow) => Graph(workflow::graph(&workflow)),
        Err(failure) => return Some(Err(failure)),
    };
    let sampler = graph.sampler()?;
    Some(Ok(Found { source: Source::ComfyUi, request: None, reading: graph.reading(sampler) }))
}

impl Graph {
    /// The sampler node; the one that starts from nothing, where there are several.
    fn sampler(&self) -> Option<&str> {
        let is_sampler = |class: &str| {
            class.starts_with("KSampler") && class != "KSamplerSelect" || class.starts_with("SamplerCustom")
        };
        let samplers = || self.0.keys().filter(|id| is_sampler(self.class(id)));
        let from_nothing = |id: &&String| {
            let denoise = self.input(id, "denoise").and_then(Value::as_f64);
            denoise.is_none_or(|denoise| denoise == 1.0)
        };
        samplers().find(from_nothing).or_else(|| samplers().next()).map(String::as_str)
    }

    fn reading(&self, sampler: &str) -> Reading {
        let mut reading = Reading::default();
        let mut taken = Vec::new();
        for (field, input) in [(Field::Prompt, "positive"), (Field::NegativePrompt, "negative")] {
            if let Some(Written { text, place }) = self.text(sampler, input) {
                reading.take(field, input, &text);
                taken.push(place);
            }
        }
        let upstream = self.upstream(sampler);
        for (input, field) in INPUTS {
            if let Some(Written { text, place }) = upstream.iter().find_map(|id| self.value(id, input)) {
                reading.take(*field, input, &text);
                taken.push(place);
            }
        }
        let nodes = self.0.len();
        reading.leave("workflow", &format!("{nodes} nodes"), "only the sampler and what feeds it is read");
        self.leave_rest(&upstream, &taken, &mut reading);
        reading
    }

    /// Reports the values in nodes that were looked at and are not taken over: models by the input alone, all else with
    /// the node's kind.
    fn leave_rest(&self, upstream: &[&str], taken: &[(&str, &str)], reading: &mut Reading) {
        for id in upstream {
            let inputs = self.0.get(*id).and_then(|node| node.get("inputs")).and_then(Value::as_object);
            for (input, value) in inputs.into_iter().flatten() {
                let is_taken = taken.contains(&(*id, input.as_str()));
                let is_whole = input == "denoise" && value.as_f64() == Some(1.0);
                let Some(value) = scalar(value).filter(|_| !is_taken && !is_whole) else { continue };
                match MODELS.contains(&input.as_str()) {
                    true => reading.leave(input, &value, ""),
                    false => reading.leave(&format!("{}.{input}", self.class(id)), &value, ""),
                }
            }
        }
    }

    /// The text that conditions `sampler` through `input`, or through its guider's input of that name.
    fn text<'g>(&'g self, sampler: &'g str, input: &'g str) -> Option<Written<'g>> {
        let through_guider = self.link(sampler, "guider").and_then(|guider| {
            let single = || self.link(guider, "conditioning").filter(|_| input == "positive");
            self.link(guider, input).or_else(single)
        });
        let from = self.link(sampler, input).or(through_guider)?;
        let upstream = self.upstream(from);
        let encoder = upstream.iter().find(|id| self.class(id).contains("TextEncode"))?;
        // An emptied conditioning says nothing, whatever text it was made from.
        let zeroed = upstream.iter().take_while(|id| id != &encoder).any(|id| self.class(id) == "ConditioningZeroOut");
        if zeroed {
            return None;
        }
        TEXTS.iter().find_map(|input| self.value(encoder, input))
    }

    /// A value written into a node, or into the node it is linked to.
    fn value<'g>(&'g self, id: &'g str, input: &'g str) -> Option<Written<'g>> {
        let written = |id: &'g str, input: &'g str| {
            Some(Written { text: self.input(id, input).and_then(scalar)?, place: (id, input) })
        };
        written(id, input).or_else(|| {
            let linked = self.link(id, input)?;
            std::iter::once(&input).chain(TEXTS).find_map(|input| written(linked, input))
        })
    }

    /// The node itself and all that feed it, nearest first. A graph with a circle ends too.
    fn upstream<'g>(&'g self, from: &'g str) -> Vec<&'g str> {
        let (mut seen, mut order) = (BTreeSet::from([from]), Vec::new());
        let mut next = VecDeque::from([from]);
        while let Some(id) = next.pop_front() {
            order.push(id);
            let inputs = self.0.get(id).and_then(|node| node.get("inputs")).and_then(Value::as_object);
            let links = inputs.into_iter().flat_map(Map::keys).filter_map(|input| self.link(id, input));
            next.extend(links.filter(|linked| seen.insert(linked)));
        }
        order
    }

    fn class(&self, id: &str) -> &str {
        self.0.get(id).and_then(|node| node.get("class_type")).and_then(Value::as_str).unwrap_or_default()
    }

    fn input(&self, id: &str, input: &str) -> Option<&Value> {
        self.0.get(id)?.get("inputs")?.get(input)
    }

    fn link(&self, id: &str, input: &str) -> Option<&str> {
        self.input(id, input)?.as_array()?.first()?.as_str()
    }
}
