//! `-i PICTURE --strength S` and `--tilt IMAGE:STRENGTH`: the pictures that a picture begins at and is pulled towards.

use std::path::{Path, PathBuf};

use flowline_model::{Draft, Pipeline, Spec, Start, Tilt, Warning};

use crate::args::{Beginning, TiltBy};
use crate::{Failure, Result, picture};

/// A picture that somebody brings, in a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Its file.
    pub picture: PathBuf,
    /// The width it is wanted in; what neither this nor the height decides is the picture's own.
    pub width: Option<u32>,
    /// The height.
    pub height: Option<u32>,
}

/// Such a picture in a model's hands.
#[derive(Clone, Debug)]
pub struct Held {
    /// The hash of its latents.
    pub sha256: String,
    /// Its width and height.
    pub size: (u32, u32),
    /// What was done to it.
    pub warnings: Vec<Warning>,
}

/// Whoever can hold pictures for a model.
pub trait Holder {
    /// The model.
    fn model(&mut self) -> Result<&Spec>;
    /// Holds a picture.
    fn bring(&mut self, brought: &Brought) -> Result<Held>;
}

impl Holder for Pipeline {
    fn model(&mut self) -> Result<&Spec> {
        Ok(self.spec())
    }

    fn bring(&mut self, Brought { picture, width, height }: &Brought) -> Result<Held> {
        let picture::Found { pixels, mut warnings } = picture::read(picture)?;
        let own = pixels.dimensions();
        let of = |side: u32, by: u32, to: u32| (f64::from(side) * f64::from(to) / f64::from(by.max(1))).round() as u32;
        let size = match (*width, *height) {
            (Some(width), Some(height)) => (width, height),
            (Some(width), None) => (width, self.spec().nearest_size(width, of(own.1, own.0, width)).1),
            (None, Some(height)) => (self.spec().nearest_size(of(own.0, own.1, height), height).0, height),
            (None, None) => self.spec().nearest_size(own.0, own.1),
        };
        self.spec().check_size(size.0, size.1)?;
        let (pixels, resized) = picture::fitted(pixels, picture, size);
        warnings.extend(resized);
        Ok(Held { sha256: self.hold_picture(&pixels)?, size, warnings })
    }
}

/// Has `holder` hold the pictures that are brought, and puts them into `draft`; what should be said about them.
///
/// # Errors
/// A strength without a picture, a file that is no picture, a model that cannot encode one.
pub fn choose(
    beginning: &Beginning,
    tilt: Option<&TiltBy>,
    draft: &mut Draft,
    holder: &mut impl Holder,
) -> Result<Vec<Warning>> {
    let mut warnings = begin(beginning, draft, holder)?;
    if let Some(by) = tilt {
        let (width, height) = holder.model()?.entry.defaults.size;
        let (width, height) = (draft.width.unwrap_or(width), draft.height.unwrap_or(height));
        let brought = Brought { picture: by.picture.clone(), width: Some(width), height: Some(height) };
        let held = holder.bring(&brought)?;
        draft.tilt = Some(Tilt { sha256: held.sha256, strength: by.strength });
        warnings.extend(held.warnings);
    }
    Ok(warnings)
}

fn begin(
    Beginning { picture, strength }: &Beginning,
    draft: &mut Draft,
    holder: &mut impl Holder,
) -> Result<Vec<Warning>> {
    let recorded = draft.start.take();
    let Some(picture) = picture else {
        // Without the picture itself the pipeline refuses a start, unless a run that is held has it behind it.
        draft.start = recorded.map(|start| Start { strength: strength.unwrap_or(start.strength), ..start });
        return match (strength, &draft.start) {
            (Some(_), None) => {
                Err(Failure::usage("--strength needs a picture to begin at", "give one: -i picture.png"))
            }
            _ => Ok(Vec::new()),
        };
    };
    let brought = Brought { picture: picture.clone(), width: draft.width, height: draft.height };
    let Held { sha256, size, mut warnings } = holder.bring(&brought)?;
    (draft.width, draft.height) = (Some(size.0), Some(size.1));
    if recorded.as_ref().is_some_and(|recorded| recorded.sha256 != sha256) {
        warnings.push(differs(picture));
    }
    let before = recorded.as_ref().map(|recorded| recorded.strength);
    let strength = strength.or(before).unwrap_or(Start::STRENGTH);
    if before != Some(strength) && draft.schedule.is_some() {
        // A record's list of sigmas is cut off at another strength, or not at all; the schedule's name gives the whole.
        draft.sigmas = None;
    }
    draft.start = Some(Start { sha256, strength, steps: recorded.and_then(|recorded| recorded.steps) });
    Ok(warnings)
}

fn differs(picture: &Path) -> Warning {
    let message = format!("{} is not the picture that the record begins at", picture.display());
    Warning::new("start-differs", message)
}
