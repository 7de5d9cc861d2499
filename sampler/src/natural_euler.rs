//! Natural Euler: straight steps in the coordinates of a curve (DDIM and its kin).

use crate::catalog::{About, BuildSampler, Choice, Entry, Kind, Parameter};
use crate::facts::{Bias, Evaluations, Facts, Group, LastStep};
use crate::path::Path;
use crate::{Env, Latent, Prediction, Result, Sampler, Schedule, Step, Stepped, Stepper};

/// The parameter that chooses a path, the same for the sampler and for the schedule.
pub const PATH: Parameter = Parameter {
    key: "path",
    meaning: "how data and noise are mixed on the way",
    kind: Kind::Word { default: "spherical", options: &["linear", "spherical", "vp"] },
};

/// Natural Euler on a path: freeze both posterior means and move along the curve,
///
/// ```text
/// y' = alpha' D + beta' N
/// ```
///
/// On the spherical path this is the rotation of DDIM, `y' = y cos d + (2/pi) v_y sin d` with `d = pi (t' - t) / 2`
/// (Song, Meng, Ermon 2020, arXiv 2010.02502; lqiang67/rectified-flow `curved_euler_sampler.py:39-52`). At the same
/// sigmas it is Euler on the straight path, whichever path it is: what a path brings is its grid, so this sampler asks
/// for the schedule of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NaturalEuler {
    /// The path to move along.
    pub path: Path,
}

impl<T: Latent> Sampler<T> for NaturalEuler {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(*self))
    }

    fn facts(&self) -> Facts {
        let (group, bias, last) = (Group::Start, Bias::Shrinks, LastStep::Denoised);
        Facts { group, order: 1.0, bias, evaluations: Evaluations::each(1), last, resolves: false, label: None }
    }

    fn preferred_schedule(&self) -> Option<Choice> {
        Some(Choice::new("path").with("path", self.path.name()))
    }
}

impl<T: Latent> Stepper<T> for NaturalEuler {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let Prediction { data, noise } = env.predict(x, step.sigma)?;
        let to = self.path.matching(step.next);
        let y = T::lincomb(&[(to.data, &data), (to.noise, &noise)])?;
        // Back to the straight path, where states live between steps.
        Ok(Stepped { x: T::lincomb(&[(1.0 / to.scale(), &y)])?, denoised: data })
    }
}

/// [`NaturalEuler`] for the catalogue.
pub fn ddim<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "ddim",
        aliases: &["natural-euler", "curved-euler"],
        ve_names: &[],
        meaning: "move along another diffusion's curve instead of the straight line, on that curve's grid",
        formula: "y' = alpha' D + beta' N, x' = y'/(alpha' + beta')",
        citation: "Song, Meng, Ermon 2020, arXiv 2010.02502; lqiang67/rectified-flow curved_euler_sampler.py:39-52",
        parameters: &[PATH],
    };
    Entry::sampler(about, |values| Ok(NaturalEuler { path: values.word("path").parse()? }))
}
