//! `--dry-run`: what would be done, and the memory it takes.

use std::fmt::Write as _;

use flowline_model::vae::Tiling;
use flowline_model::weights::Memory;
use flowline_model::{MemoryPlan, Request, Residency, Spec, Start};
use serde::Serialize;

use super::output;
use crate::Result;

#[derive(Serialize)]
struct Plan<'a> {
    request: &'a Request,
    memory: MemoryPlan,
}

/// Shows what each of `requests` decides. In JSON one request is an object, and several are a list of them.
///
/// # Errors
/// Those of stdout.
pub fn show(requests: &[Request], spec: &Spec, json: bool) -> Result<()> {
    let plans: Vec<_> = requests.iter().map(|request| Plan { request, memory: request.memory_plan(spec) }).collect();
    match (json, &plans[..]) {
        (true, [one]) => output::pretty(one),
        (true, several) => output::pretty(&several),
        (false, _) => {
            let texts = plans.iter().map(|plan| describe(plan.request) + &describe_memory(&plan.memory));
            output::data(texts.collect::<Vec<_>>().join("\n").as_bytes())
        }
    }
}

/// A request for people, one line a field.
pub fn describe(request: &Request) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<10}{}", output::printable(value).replace('\n', &format!("\n{:<10}", "")));
    };
    row("model", &request.model.name);
    for weights in &request.model.weights {
        row("", &format!("{} {}", weights.file, weights.sha256));
    }
    for lora in &request.model.loras {
        row("adapter", &format!("{lora}"));
    }
    row("prompt", &request.prompt);
    if !request.negative_prompt.is_empty() {
        row("negative", &request.negative_prompt);
    }
    row("size", &format!("{} x {}", request.width, request.height));
    row("seeds", &listed(request.seeds.iter()));
    row("steps", &request.steps.to_string());
    row("sampler", &request.sampler.to_string());
    row("schedule", &request.schedule.to_string());
    row("sigmas", &listed(request.sigmas.iter()));
    row("cfg", &request.cfg.to_string());
    row("rule", &request.rule.to_string());
    row("rng", &request.rng.to_string());
    if let Some(tilt) = &request.tilt {
        row("tilt", &format!("by {} towards the image {}", tilt.strength, tilt.sha256));
    }
    if let Some(start) = &request.start {
        row("start", &beginning(start, request.steps));
    }
    if let Some(branch) = &request.branch {
        row("branch", &branch.to_string());
    }
    if let Some(guidance) = request.guidance {
        row("guidance", &guidance.to_string());
    }
    if let Some(steps) = request.stop_after {
        row("stops", &format!("after step {steps}"));
    }
    row("computes", &format!("in {} on {}", request.made_with.dtype, request.made_with.device));
    text
}

/// Where a run of so many steps begins.
pub fn beginning(start: &Start, steps: usize) -> String {
    let of = match start.steps {
        Some(whole) => format!(", {steps} of {whole} steps"),
        None => String::new(),
    };
    format!("at strength {} of the image {}{of}", start.strength, start.sha256)
}

/// A memory plan for people.
fn describe_memory(plan: &MemoryPlan) -> String {
    let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / (1u64 << 20) as f64);
    let both = |memory: Memory| match memory {
        Memory { heap, mapped: 0 } => mib(heap),
        Memory { heap: 0, mapped } => format!("{} mapped from disk", mib(mapped)),
        Memory { heap, mapped } => format!("{} and {} mapped from disk", mib(heap), mib(mapped)),
    };
    let available = plan.available.map(|bytes| format!(", {} are available", mib(bytes))).unwrap_or_default();
    let turns = match plan.residency {
        Residency::Whole => "",
        Residency::InTurn => "; the text encoders leave before the transformer is read",
    };
    let strips = match plan.tiling {
        Tiling::None => String::new(),
        tiling => format!(", {tiling}"),
    };
    let rows = [
        ("memory", format!("at most {}{available}{turns}", both(plan.peak))),
        ("", format!("text encoders {}, and {} at work", both(plan.text_encoders), mib(plan.encoding))),
        ("", format!("transformer {}, and {} at work", both(plan.transformer), mib(plan.denoising))),
        ("", format!("autoencoder {}, and {} at work{strips}", both(plan.autoencoder), mib(plan.decoding))),
    ];
    rows.iter().map(|(name, value)| format!("{name:<10}{value}\n")).collect()
}

/// Values on one line; the middle of a long list is left out.
fn listed<T: ToString>(values: impl ExactSizeIterator<Item = T>) -> String {
    const SHOWN: usize = 32;
    let count = values.len();
    let mut shown: Vec<_> = values.map(|value| value.to_string()).collect();
    if count > SHOWN {
        shown.splice(SHOWN - 1..count - 1, ["…".to_owned()]);
    }
    shown.join(", ")
}
