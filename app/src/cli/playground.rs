//! `flowline playground`: particles in the plane, carried by any sampler, as an animation.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use super::output;
use crate::args::Playground;
use crate::library::atomic::Whole;
use crate::library::{Destination, Library, SaveOptions};
use crate::playground::scene::{Scene, Trails};
use crate::playground::{Asked, Carried, Measured, animation};
use crate::{Exit, Failure, Registry, Result, record};

/// Carries the particles, draws them, and says where the pictures are.
///
/// # Errors
/// Unknown names, a sampler that fails, a place that cannot be written to.
pub fn run(args: &Playground, registry: &Registry) -> Result<Exit> {
    let library = args.output.as_deref().map(|path| library(path, args.force)).transpose()?;
    if let Some(folder) = &args.frames {
        check_frames(folder)?;
    }
    let asked = Asked {
        field: args.field.clone(),
        sampler: args.sampler.clone(),
        schedule: args.schedule.clone(),
        steps: args.steps,
        particles: args.particles,
        seed: args.seed,
    };
    let (chosen, carried) = asked.carry(registry, &mut || ControlFlow::Continue(()))?;
    tell(&carried);
    let steps = carried.sigmas.len().saturating_sub(1);
    let title = format!("{chosen}  ·  {steps} steps  ·  {}", args.field);
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

/// What was measured, on stderr.
fn tell(carried: &Carried) {
    let each = carried.evaluations as f64 / carried.paths.len().max(1) as f64;
    output::say(&format!("evaluations: {} ({each} a particle)", carried.evaluations));
    let Measured { straightness, independent, rectified } = carried.measured();
    output::say(&format!("straightness of the flow's paths: {straightness:.4} (1 is straight)"));
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
