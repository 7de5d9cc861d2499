//! The command that makes a picture again: "copy as command".

use flowline_model::catalog::{self, Entry};
use flowline_model::weights::{Activations, HeldAs, Holding};
use flowline_model::{Latents, Request, Rng};
use flowline_sampler::Schedule;
use flowline_sampler::catalog::{Choice, Plan, Samplers, Schedules};

/// The same as [`command_words`], as one line for a POSIX shell.
pub fn command_line(request: &Request) -> String {
    command_words(request).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// The words of the command that makes the pictures of `request` again, the program's name first. What the model does by
/// itself is left out.
///
/// The schedule goes by its name where that name gives these very sigmas, else the sigmas are written out. A picture
/// that was stopped after `k` steps is its denoised prediction, which is where a `k`th step straight to sigma 0 ends: so
/// it is written. What lies in other files, the images of a start and of a tilt and the trajectory of a branch, has no
/// words: such a picture is made again from its record. A model that came from a folder, and an adapter, is named as its
/// record does; the folder's place is not in the record.
pub fn command_words(request: &Request) -> Vec<String> {
    let entry = catalog::find(&request.model.name).ok();
    let mut words = Words(vec!["flowline".into(), "generate".into()]);
    match request.prompt.starts_with('-') || request.prompt.is_empty() {
        // Else it would be taken for an option, or for standard input.
        true => words.0.push(format!("--prompt={}", request.prompt)),
        false => words.0.push(request.prompt.clone()),
    }
    match request.negative_prompt.starts_with('-') {
        true => words.0.push(format!("--negative-prompt={}", request.negative_prompt)),
        false if request.negative_prompt.is_empty() => {}
        false => words.option("-n", &request.negative_prompt),
    }
    if entry != catalog::MODELS.first() {
        words.option("-m", &request.model.name);
    }
    let Holding { weights, activations } = request.model.holding;
    if weights != HeldAs::Auto {
        words.option("--weights", weights);
    }
    if activations != Activations::F32 {
        words.option("--activations", activations.name());
    }
    for lora in &request.model.loras {
        // A strength stands behind the last `=`, so a name that has one needs it written out.
        let plain = lora.scale == 1.0 && !lora.file.contains('=');
        let strength = if plain { String::new() } else { format!("={}", lora.scale) };
        words.option("--lora", format!("{}{strength}", lora.file));
    }
    if entry.map(|entry| entry.defaults.size) != Some((request.width, request.height)) {
        words.option("-W", request.width);
        words.option("-H", request.height);
    }
    words.option("-s", seeds(&request.seeds));
    if !is_default_sampler(entry, &request.sampler) {
        words.option("--sampler", &request.sampler);
    }
    match schedule(request) {
        Some(schedule) => {
            if entry.map(|entry| entry.defaults.steps) != Some(request.steps) {
                words.option("--steps", request.steps);
            }
            // A sampler may bring a schedule of its own, so the model's is left out only with the model's sampler.
            if !(is_default_sampler(entry, &request.sampler) && is_default_schedule(entry, schedule)) {
                words.option("--schedule", schedule);
            }
        }
        None => words.option("--sigmas", sigmas(request)),
    }
    if request.rule != Choice::new("cfg").with("scale", request.cfg) {
        // With the scale in it, which is --cfg.
        words.option("--rule", &request.rule);
    } else if entry.map(|entry| entry.defaults.cfg) != Some(request.cfg) {
        words.option("--cfg", request.cfg);
    }
    if request.rng != Rng::default() {
        words.option("--rng", request.rng);
    }
    if let Some(guidance) = request.guidance
        && entry.map(|entry| entry.defaults.guidance) != Some(Some(guidance))
    {
        words.option("--guidance", guidance);
    }
    words.0
}

/// A word as a POSIX shell must be given it (POSIX.1-2017, XCU 2.2.2).
pub fn quoted(word: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | ',' | '+' | '@' | '%');
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

struct Words(Vec<String>);

impl Words {
    fn option(&mut self, name: &str, value: impl ToString) {
        self.0.extend([name.to_owned(), value.to_string()]);
    }
}

/// `1,2,8..12`: runs of three and more by their ends, both of which are made.
fn seeds(seeds: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &seed in seeds {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(seed) => *last = seed,
            _ => runs.push((seed, seed)),
        }
    }
    let written = |&(first, last): &(u64, u64)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}..{last}"),
    };
    runs.iter().map(written).collect::<Vec<_>>().join(",")
}

fn is_default_sampler(entry: Option<&Entry>, sampler: &Choice) -> bool {
    let samplers = Samplers::<Latents>::builtin();
    entry.is_some_and(|entry| samplers.complete(&entry.defaults.sampler()).is_ok_and(|default| default == *sampler))
}

fn is_default_schedule(entry: Option<&Entry>, schedule: &Choice) -> bool {
    let schedules = Schedules::builtin();
    entry.is_some_and(|entry| schedules.complete(&entry.defaults.schedule()).is_ok_and(|default| default == *schedule))
}

/// The schedule's name, if it alone gives the request's sigmas.
fn schedule(request: &Request) -> Option<&Choice> {
    // FLUX.1 sees one token for 16 x 16 pixels. Where a model sees another number and the schedule depends on it, the
    // sigmas do not match and are written out.
    let image_tokens = (request.width / 16) as usize * (request.height / 16) as usize;
    let built = Schedules::builtin().build(&request.schedule, Plan { steps: request.steps, image_tokens }).ok()?;
    let same = Schedule::explicit(request.sigmas.clone()).is_ok_and(|sigmas| sigmas == built);
    (same && request.stop_after.is_none_or(|stop| stop == request.steps)).then_some(&request.schedule)
}

fn sigmas(request: &Request) -> String {
    let taken = request.stop_after.filter(|stop| *stop < request.steps);
    let walked = request.sigmas.iter().take(taken.unwrap_or(request.sigmas.len()));
    let end = taken.map(|_| "0".to_owned());
    walked.map(f64::to_string).chain(end).collect::<Vec<_>>().join(",")
}
