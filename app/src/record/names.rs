//! What other programs call samplers and schedules: what the catalogue does not know by itself.

use flowline_model::{Latents, Rng};
use flowline_sampler::catalog::{Choice, Samplers};

/// Our name, and what others call it: k-diffusion and its users, diffusers, stable-diffusion.cpp.
const SAMPLERS: &[(&str, &[&str])] = &[
    ("euler", &["Euler", "FlowMatchEuler", "FlowMatchEulerDiscrete", "FlowMatchEulerDiscreteScheduler"]),
    ("heun", &["Heun", "FlowMatchHeun", "FlowMatchHeunDiscrete", "FlowMatchHeunDiscreteScheduler"]),
];

/// Names of the plain schedule: equal steps in the model's own time, shifted as that model is trained. This is what
/// every model's default is here, so nothing is chosen.
const PLAIN_SCHEDULES: &[&str] = &["simple", "normal", "discrete", "automatic"];

/// Our sampler of that name. Some programs write the schedule behind it (`euler simple`): it comes back too.
pub(super) fn sampler(written: &str) -> Result<(Choice, Option<&str>), &'static str> {
    if let Some(ours) = ours(written) {
        return Ok((Choice::new(ours), None));
    }
    if let Some((name, schedule)) = written.rsplit_once(' ')
        && let Some(ours) = ours(name)
        // "Euler a" is another sampler, not Euler on a schedule called "a".
        && schedule.len() > 1
    {
        return Ok((Choice::new(ours), Some(schedule)));
    }
    Err("no sampler here means the same")
}

/// Whether the schedule of that name is the model's own.
pub(super) fn schedule(written: &str) -> Result<(), &'static str> {
    match PLAIN_SCHEDULES.iter().any(|plain| same(plain, written)) {
        true => Ok(()),
        false => Err("no schedule here means the same; the model's own is used"),
    }
}

/// The source of noise of that name: of all that others have, PyTorch's on the CPU is here too.
pub(super) fn rng(written: &str) -> Result<Rng, &'static str> {
    match same(written, "cpu") {
        true => Ok(Rng::TorchCpu),
        false => Err("this source of noise is not here: the same seed makes another picture"),
    }
}

/// What AUTOMATIC1111 calls our sampler; our own name where it has none.
pub(super) fn a1111_sampler(choice: &Choice) -> String {
    match SAMPLERS.iter().find(|(ours, _)| *ours == choice.name && choice.given.is_empty()) {
        Some((_, [theirs, ..])) => (*theirs).to_owned(),
        _ => choice.to_string(),
    }
}

/// The catalogue knows most names of other programs by itself.
fn ours(written: &str) -> Option<String> {
    let known = SAMPLERS.iter().find(|(_, theirs)| theirs.iter().any(|name| same(name, written)));
    let samplers = Samplers::<Latents>::builtin();
    let listed = || match samplers.translated(&Choice::new(written)) {
        // Under their name, so that whoever replays it is told of the other form.
        Some(_) => Some(written.to_owned()),
        None => samplers.about(written).ok().map(|about| about.name.to_owned()),
    };
    known.map(|(ours, _)| (*ours).to_owned()).or_else(listed)
}

/// Compares without regard to case, spaces, dashes and underscores.
fn same(a: &str, b: &str) -> bool {
    let letters = |name: &str| -> String {
        name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect()
    };
    letters(a) == letters(b)
}
