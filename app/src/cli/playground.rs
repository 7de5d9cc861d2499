//! `flowline playground`: particles in the plane, carried by any sampler, as an animation.

use std::fs;
use std::path::Path;

use flowline_sampler::catalog::{Choice, Plan};

use super::output;
use crate::args::Playground;
use crate::library::atomic::Whole;
use crate::library::{Destination, Library, SaveOptions};
use crate::playground::field::Field;
use crate::playground::scene::{Scene, Trails};
use crate::playground::{Carried, Setup, animation, crossing};
use crate::{Exit, Failure, Registry, Result, record};

/// The picture's tokens that schedules are made for: 1024 x 1024 pixels of a large model.
const TOKENS: usize = 4096;

/// Carries the particles, draws them, and says where the pictures are.
///
/// # Errors
/// Unknown names, a sampler that fails, a place that cannot be written to.
pub fn run(args: &Playground, registry: &Registry) -> Result<Exit> {
    let library = args.output.as_deref().map(|path| library(path, args.force)).transpose()?;
    if let Some(folder) = &args.frames {
        check_frames(folder)?;
    }
    let field = Field::named(&args.field)?;
    let chosen = args.sampler.clone().unwrap_or_else(|| first(registry));
    let sampler = registry.proof_samplers().build(&chosen)?;
    let preferred = sampler.preferred_schedule().unwrap_or_else(|| Choice::new("uniform"));
    let schedule = args.schedule.clone().unwrap_or(preferred);
    let schedule = registry.schedules().build(&schedule, Plan { steps: args.steps, image_tokens: TOKENS })?;
    let steps = schedule.steps();
    let setup = Setup { field: &field, sampler: &*sampler, schedule, particles: args.particles, seed: args.seed };
    let carried = Carried::new(&setup)?;
    tell(&carried);
    let title = format!("{chosen}  ·  {steps} steps  ·  {}", field.name);
    let scene = Scene::new(&carried, args.coupling, title, args.size);
    if let Some((library, path)) = library.as_ref().zip(args.output.as_deref()) {
        let saved = library.store(path, |out| match args.still {
            true => record::write_png(out, &scene.at(0.0, Trails::Whole).to_image(1.0), &[]),
            false => {
                let moments = animation::moments();
                animation::write(out, &moments, |sigma| scene.at(sigma, Trails::Fading).to_image(1.0))
            }
        })?;
        output::data(format!("{}\n", saved.display()).as_bytes())?;
    }
    if let Some(folder) = &args.frames {
        write_frames(folder, &scene)?;
        output::data(format!("{}\n", folder.display()).as_bytes())?;
    }
    Ok(Exit::Done)
}

/// The sampler that is listed first.
fn first(registry: &Registry) -> Choice {
    Choice::new(registry.samplers().iter().map(|about| about.name).next().unwrap_or_default())
}

/// What was measured, on stderr.
fn tell(carried: &Carried) {
    let each = carried.evaluations as f64 / carried.paths.len().max(1) as f64;
    output::say(&format!("evaluations: {} ({each} a particle)", carried.evaluations));
    output::say(&format!("straightness of the flow's paths: {:.4} (1 is straight)", carried.straightness()));
    let [independent, rectified] = [carried.independent(), carried.rectified()].map(|lines| crossing(&lines));
    output::say(&format!(
        "crossing of the pairs' lines: {independent:.4} independent, {rectified:.4} rectified (0 is none)"
    ));
}

/// Where the animation goes, if it can go there.
fn library(path: &Path, force: bool) -> Result<Library> {
    if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
        let what = format!("{} is no name of an animation", path.display());
        return Err(Failure::usage(what, "end it in .png; an animated PNG is one file"));
    }
    let options = SaveOptions { force, metadata: false };
    let library = Library::new(Destination::File(path.to_owned()), options);
    library.check()?;
    Ok(library)
}

/// Says before any work whether the moments can be written.
fn check_frames(folder: &Path) -> Result<()> {
    if !folder.exists() {
        // It is created when it is needed; its parent must be there.
        return Library::new(Destination::Folder(folder.to_owned()), SaveOptions { force: false, metadata: false })
            .check();
    }
    let mut entries = fs::read_dir(folder).map_err(|error| Failure::io(folder, error))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            let what = format!("the folder {} is not empty", folder.display());
            Err(Failure::new(what, "give --frames a new one"))
        }
    }
}

fn write_frames(folder: &Path, scene: &Scene<'_>) -> Result<()> {
    if !folder.is_dir() {
        fs::create_dir(folder).map_err(|error| Failure::io(folder, error))?;
    }
    for (index, sigma) in animation::moments().into_iter().enumerate() {
        let path = folder.join(format!("frame-{:04}.png", index + 1));
        let picture = scene.at(sigma, Trails::Fading).to_image(1.0);
        let whole = Whole::write(folder, |out| record::write_png(out, &picture, &[]));
        whole.and_then(|whole| whole.replace(&path)).map_err(|error| Failure::io(&path, error))?;
    }
    Ok(())
}
