//! What travels beside a request: a run to go on with, pictures to begin at and to be pulled towards. A request names both by what they
//! are, so it stays complete by itself.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use image::RgbImage;

use super::Pipeline;
use crate::request::{start, tilt};
use crate::weights::sha256;
use crate::{Error, Kept, Latents, Request, Result, vae};

/// A run to go on with.
pub(super) struct Held {
    kept: Kept,
    /// Its last state that counts.
    at: usize,
}

impl Pipeline {
    /// Holds a run, in place of one held before: from now on a request for the same run goes on from its last state, and
    /// a branch of it begins at its states, to the same bits as if everything were walked again.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the run was made by another model, [`Error::Trajectory`] if it is not what it says.
    pub fn hold(&mut self, kept: Kept) -> Result<()> {
        let at = kept.taken();
        self.hold_at(kept, at)
    }

    /// As [`Pipeline::hold`], with nothing after the state after `at` steps: a request for the same run goes on from
    /// there, to the same bits as if it had never been interrupted.
    ///
    /// # Errors
    /// As [`Pipeline::hold`]; [`Error::Invalid`] beyond the last step that was kept.
    pub fn hold_at(&mut self, kept: Kept, at: usize) -> Result<()> {
        kept.state(at)?;
        kept.check(&self.spec)?;
        self.held = Some(Held { kept, at });
        Ok(())
    }

    /// Holds no run any more.
    pub fn let_go(&mut self) {
        self.held = None;
    }

    /// Whether runs are kept, so that [`crate::StepDone::kept`] and [`crate::Picture::kept`] hold them. They are not,
    /// unless this says so.
    pub fn keep(&mut self, keep: bool) {
        self.keep = keep;
    }

    /// From now on, where `give_up` is set when a picture is stopped, nothing is decoded and the picture is not delivered:
    /// it is thrown away, or its kept run is gone on with another time.
    pub fn give_up_with(&mut self, give_up: Arc<AtomicBool>) {
        self.give_up = give_up;
    }

    /// Holds a picture for others to [begin at](crate::Start) or to be [tilted](crate::Tilt) towards, and returns the hash
    /// of its latents, which is its name in a request. It must have the size of the pictures to be made.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has a size that the model cannot make, or if the model's autoencoder cannot encode; those
    /// of the weight files.
    pub fn hold_picture(&mut self, picture: &RgbImage) -> Result<String> {
        self.spec.check_size(picture.width(), picture.height())?;
        let pixels = vae::from_rgb(picture, &self.device)?;
        let tiling = self.spec.encode_tiling(picture.width(), picture.height())?;
        let autoencoder = self.whole_autoencoder()?;
        let moments = autoencoder.encode_tiled(&pixels, tiling, &mut ())?;
        let latents = Latents::new(autoencoder.to_latents(&moments.mean)?)?;
        if !latents.is_finite()? {
            return Err(Error::NotFinite { stage: "autoencoder" });
        }
        let name = sha256(&latents.to_le_bytes()?);
        if !self.pictures.iter().any(|(known, _)| *known == name) {
            self.pictures.push((name.clone(), latents));
        }
        Ok(name)
    }

    /// Where the run of `request`, which has one seed, can be gone on with: the run that is held, if it is the same, no
    /// further than where the request stops.
    pub(super) fn continued(&self, request: &Request) -> Option<Kept> {
        let Held { kept, at } = self.held.as_ref().filter(|held| held.kept.request.same_run(request))?;
        Some(kept.until(request.stop_after.unwrap_or(usize::MAX).min(*at)))
    }

    /// The latents that `request` is tilted towards, and how strongly.
    pub(super) fn target(&self, request: &Request) -> Result<Option<(&Latents, f64)>> {
        let Some(tilt) = &request.tilt else { return Ok(None) };
        Ok(Some((self.picture(&tilt.sha256, request, "is tilted towards", tilt::HOW)?, tilt.strength)))
    }

    /// The latents that `request` begins at, and under how much noise.
    pub(super) fn start(&self, request: &Request) -> Result<Option<(&Latents, f64)>> {
        let Some(start) = &request.start else { return Ok(None) };
        Ok(Some((self.picture(&start.sha256, request, "begins at", start::HOW)?, start.strength)))
    }

    /// A picture that `request` `uses`, and that is given as `how` says.
    fn picture(&self, sha256: &str, request: &Request, uses: &str, how: &str) -> Result<&Latents> {
        let Some((_, latents)) = self.pictures.iter().find(|(name, _)| name.eq_ignore_ascii_case(sha256)) else {
            let what = format!("the picture {uses} an image that is not here");
            return Err(Error::invalid(what, format!("give it again: {how}")));
        };
        let (c, h, w) = self.spec.latent_shape(request.width, request.height);
        if latents.tensor().dims() != [1, c, h, w] {
            let (width, height) = (request.width, request.height);
            let what = format!("the image that the picture {uses} has another size than it, {width} x {height}");
            return Err(Error::invalid(what, format!("scale or crop it to {width} x {height}")));
        }
        Ok(latents)
    }

    /// Refuses, before a weight is read, a request without what must travel beside it, and one whose run would not fit
    /// into memory when it is kept.
    pub(super) fn check_beside(&self, request: &Request) -> Result<()> {
        self.target(request)?;
        // A run that is held needs no picture to begin at.
        let mut run = Some(request);
        while let Some(walked) = run {
            let held = |seed: &u64| self.continued(&walked.for_seed(*seed)).is_some();
            if walked.seeds.iter().all(held) {
                break;
            }
            self.start(walked)?;
            run = walked.branch.as_ref().map(|branch| &branch.parent);
        }
        if self.keep {
            let plan = request.memory_plan(&self.spec);
            let (c, h, w) = self.spec.latent_shape(request.width, request.height);
            // A state and a prediction for each step; what a sampler remembers is mostly among them.
            let kept =
                (2 * size_of::<f32>() as u64).saturating_mul((c * h * w) as u64).saturating_mul(request.steps as u64);
            let needed = plan.peak.heap.saturating_add(kept);
            if let Some(available) = plan.available.filter(|available| needed > *available) {
                return Err(Error::Memory { needed, available });
            }
        }
        Ok(())
    }
}
