//! The editor's graph, as the graph that would be run: `{"nodes": [{"id", "type", "inputs", "widgets_values"}], "links":
//! [[id, from, slot, to, slot, kind]]}` (`web/scripts/app.js`, `graphToPrompt` there). What a control is called stands
//! only in the node's source, so controls are read of the nodes that matter here.

use serde_json::{Map, Value, json};

/// What the controls of a kind of node are called, in order; empty for one that means nothing.
const CONTROLS: &[(&str, &[&str])] = &[
    ("KSampler", &["seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"]),
    (
        "KSamplerAdvanced",
        &[
            "add_noise",
            "noise_seed",
            "",
            "steps",
            "cfg",
            "sampler_name",
            "scheduler",
            "start_at_step",
            "end_at_step",
            "",
        ],
    ),
    ("SamplerCustom", &["add_noise", "noise_seed", "", "cfg"]),
    ("CLIPTextEncode", &["text"]),
    ("CLIPTextEncodeFlux", &["clip_l", "t5xxl", "guidance"]),
    ("CLIPTextEncodeSD3", &["clip_l", "clip_g", "t5xxl", "empty_padding"]),
    ("EmptyLatentImage", &["width", "height", "batch_size"]),
    ("EmptySD3LatentImage", &["width", "height", "batch_size"]),
    ("FluxGuidance", &["guidance"]),
    ("RandomNoise", &["noise_seed"]),
    ("KSamplerSelect", &["sampler_name"]),
    ("BasicScheduler", &["scheduler", "steps", "denoise"]),
    ("CFGGuider", &["cfg"]),
    ("ModelSamplingFlux", &["max_shift", "base_shift", "width", "height"]),
    ("ModelSamplingSD3", &["shift"]),
    ("CheckpointLoaderSimple", &["ckpt_name"]),
    ("UNETLoader", &["unet_name", "weight_dtype"]),
    ("LoraLoader", &["lora_name", "strength_model", "strength_clip"]),
    ("LoraLoaderModelOnly", &["lora_name", "strength_model"]),
    ("VAELoader", &["vae_name"]),
    ("PrimitiveNode", &["value"]),
    ("PrimitiveString", &["value"]),
    ("PrimitiveStringMultiline", &["value"]),
];

/// A node that is switched off: never run, or passed by.
const OFF: [u64; 2] = [2, 4];

/// The graph that this workflow runs.
pub(super) fn graph(workflow: &Map<String, Value>) -> Map<String, Value> {
    let list = |name: &str| workflow.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let links: Map<String, Value> = list("links").iter().filter_map(link).collect();
    list("nodes").iter().filter_map(|node| self::node(node, &links)).collect()
}

/// A link's number, and the node and slot it comes from.
fn link(link: &Value) -> Option<(String, Value)> {
    let link = link.as_array()?;
    Some((id(link.first()?)?, json!([id(link.get(1)?)?, link.get(2)?])))
}

fn node(node: &Value, links: &Map<String, Value>) -> Option<(String, Value)> {
    if node.get("mode").and_then(Value::as_u64).is_some_and(|mode| OFF.contains(&mode)) {
        return None;
    }
    let class = node.get("type")?.as_str()?;
    let mut inputs = Map::new();
    match node.get("widgets_values") {
        Some(Value::Array(values)) => {
            let controls = CONTROLS.iter().find(|(known, _)| *known == class).map_or(&[][..], |(_, names)| names);
            let named = controls.iter().zip(values).filter(|(name, _)| !name.is_empty());
            inputs.extend(named.map(|(name, value)| ((*name).to_owned(), value.clone())));
        }
        // Some nodes name their controls themselves.
        Some(Value::Object(values)) => inputs.extend(values.clone()),
        _ => {}
    }
    // A control that is linked has its last value too, which does not count.
    for input in node.get("inputs").and_then(Value::as_array).into_iter().flatten() {
        let from = input.get("link").and_then(id).and_then(|link| links.get(&link));
        if let (Some(name), Some(from)) = (input.get("name").and_then(Value::as_str), from) {
            inputs.insert(name.to_owned(), from.clone());
        }
    }
    Some((id(node.get("id")?)?, json!({ "class_type": class, "inputs": inputs })))
}

/// A number of a node or link, written either way.
fn id(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}
