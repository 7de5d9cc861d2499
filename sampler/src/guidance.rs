//! Guidance: fields made of fields.
//!
//! [`Guided`] evaluates the field of the prompt, that of the negative or empty prompt and, for some kinds, a weakened
//! one, and a [`Rule`] says what becomes of them. Rules wrap rules:
//!
//! ```
//! use flowline_sampler::fields::AffineGaussian;
//! use flowline_sampler::guidance::{Absent, CfgZeroStar, Guided, Interval, Rescale};
//!
//! let field = |mean| AffineGaussian { mean, variance: 0.25 };
//! let rule = CfgZeroStar { scale: 5.0, zero_from: 1.0 };
//! let rule = Interval { low: 0.2, high: 0.9, rule: Rescale { share: 0.7, rule } };
//! let guided = Guided { positive: field(1.0), negative: field(0.0), weakened: Absent, rule };
//! # let _ = guided;
//! ```
//!
//! A rule asks for the predictions it needs and no others, each is evaluated at most once, and the meter counts
//! them. A rule sees sigma, not the step's number: a sampler that evaluates twice a step is guided the same as one
//! that does so once.
//!
//! [`Rules`] is the list of them by name, written `apg:scale=6+rescale:share=0.7+interval:low=0.2,high=0.9`.
//!
//! [`Tilted`] and [`OnPath`] change one field without asking for another. What they change is said in their own words:
//! every [`Velocity`] is a field on the straight path, `D = x - sigma v`, and one that lives on another path is no
//! `Velocity` but a [`PathVelocity`], so that no sampler can take it for a straight one.

mod adaptive_projected;
mod catalogue;
mod cfg_zero_star;
mod modifiers;
mod on_path;
mod tangential;
mod tilt;

pub use adaptive_projected::AdaptiveProjected;
pub use catalogue::{BuildRule, Rules};
pub use cfg_zero_star::CfgZeroStar;
pub use modifiers::{Interval, Rescale, SkipLayer};
pub use on_path::{OnPath, PathVelocity, Straightened};
pub use tangential::Tangential;
pub use tilt::Tilted;

use crate::{Error, Latent, Meter, Result, State, Velocity};

/// What becomes of the predictions. A rule with a memory serves one run; a new run takes a new rule.
pub trait Rule<T>: Send {
    /// The guided velocity.
    ///
    /// # Errors
    /// Those of the fields and of the latent's arithmetic.
    fn guide(&mut self, at: &mut Predictions<'_, '_, T>) -> Result<T>;

    /// Whether it ever asks for the weakened prediction, which few models can give.
    fn needs_weakened(&self) -> bool {
        false
    }

    /// What must be kept to continue later with the same bits; most rules have none. See [`Velocity::save`].
    fn save(&self) -> State<T> {
        State::default()
    }

    /// Takes back what [`Rule::save`] gave.
    ///
    /// # Errors
    /// [`Error::State`] if it is somebody else's.
    fn restore(&mut self, state: State<T>) -> Result<()> {
        state.expect_empty("this guidance")
    }
}

impl<T, R: Rule<T> + ?Sized> Rule<T> for Box<R> {
    fn guide(&mut self, at: &mut Predictions<'_, '_, T>) -> Result<T> {
        (**self).guide(at)
    }

    fn needs_weakened(&self) -> bool {
        (**self).needs_weakened()
    }

    fn save(&self) -> State<T> {
        (**self).save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        (**self).restore(state)
    }
}

/// The predictions at one point, each evaluated when it is first asked for.
pub struct Predictions<'p, 'm, T> {
    x: &'p T,
    sigma: f64,
    positive: Lazy<'p, T>,
    negative: Lazy<'p, T>,
    weakened: Lazy<'p, T>,
    meter: &'p mut Meter<'m>,
}

struct Lazy<'p, T> {
    field: &'p mut dyn Velocity<T>,
    value: Option<T>,
}

impl<T: Clone> Lazy<'_, T> {
    fn get(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<T> {
        match &self.value {
            Some(value) => Ok(value.clone()),
            None => Ok(self.value.insert(self.field.velocity(x, sigma, meter)?).clone()),
        }
    }
}

impl<T: Latent> Predictions<'_, '_, T> {
    /// Where they are made.
    pub fn x(&self) -> &T {
        self.x
    }

    /// At which sigma.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// `v` of the prompt.
    ///
    /// # Errors
    /// Those of the field.
    pub fn positive(&mut self) -> Result<T> {
        self.positive.get(self.x, self.sigma, self.meter)
    }

    /// `v` of the negative or empty prompt.
    ///
    /// # Errors
    /// Those of the field.
    pub fn negative(&mut self) -> Result<T> {
        self.negative.get(self.x, self.sigma, self.meter)
    }

    /// `v` of the prompt from a model made worse on purpose.
    ///
    /// # Errors
    /// Those of the field; [`Error::Velocity`] if it is [`Absent`].
    pub fn weakened(&mut self) -> Result<T> {
        self.weakened.get(self.x, self.sigma, self.meter)
    }
}

/// The field that a rule makes of two or three others.
#[derive(Clone, Debug)]
pub struct Guided<P, N, R, W = Absent> {
    /// The field of the prompt.
    pub positive: P,
    /// The field of the negative or empty prompt.
    pub negative: N,
    /// The field of the prompt with a part of the model left out, for [`SkipLayer`].
    pub weakened: W,
    /// What becomes of them.
    pub rule: R,
}

/// The place of a field that there is not. Evaluating it is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absent;

impl<T> Velocity<T> for Absent {
    fn velocity(&mut self, _: &T, _: f64, _: &mut Meter<'_>) -> Result<T> {
        Err(Error::Velocity("this guidance needs a weakened field, and there is none".into()))
    }
}

impl<T, P, N, R, W> Velocity<T> for Guided<P, N, R, W>
where
    T: Latent,
    P: Velocity<T>,
    N: Velocity<T>,
    W: Velocity<T>,
    R: Rule<T>,
{
    fn velocity(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<T> {
        Ok(self.velocity_and_unconditional(x, sigma, meter)?.0)
    }

    /// The negative field is the unconditional one; where the rule does without it, there is none.
    fn velocity_and_unconditional(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<(T, Option<T>)> {
        let mut at = Predictions {
            x,
            sigma,
            positive: Lazy { field: &mut self.positive, value: None },
            negative: Lazy { field: &mut self.negative, value: None },
            weakened: Lazy { field: &mut self.weakened, value: None },
            meter,
        };
        Ok((self.rule.guide(&mut at)?, at.negative.value))
    }

    fn save(&self) -> State<T> {
        let inner = vec![self.positive.save(), self.negative.save(), self.weakened.save(), self.rule.save()];
        State { inner, ..State::default() }
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        let State { numbers, latents, inner } = state;
        match <[State<T>; 4]>::try_from(inner) {
            Ok([positive, negative, weakened, rule]) if numbers.is_empty() && latents.is_empty() => {
                self.positive.restore(positive)?;
                self.negative.restore(negative)?;
                self.weakened.restore(weakened)?;
                self.rule.restore(rule)
            }
            _ => Err(Error::State("guidance keeps the states of its three fields and its rule".into())),
        }
    }
}

/// The plain rule of classifier-free guidance, see [`Cfg`]: `v = v_negative + scale (v_positive - v_negative)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassifierFree {
    /// How far to go; 1 is the positive field itself and evaluates nothing else.
    pub scale: f64,
}

impl<T: Latent> Rule<T> for ClassifierFree {
    fn guide(&mut self, at: &mut Predictions<'_, '_, T>) -> Result<T> {
        let positive = at.positive()?;
        match self.scale == 1.0 {
            true => Ok(positive),
            false => T::lincomb(&[(self.scale, &positive), (1.0 - self.scale, &at.negative()?)]),
        }
    }
}

/// Classifier-free guidance,
///
/// ```text
/// v = v_negative + scale (v_positive - v_negative)
/// ```
///
/// (Ho and Salimans 2022, arXiv 2207.12598; the form of Stability-AI/sd3.5 `sd3_impls.py:214-216`, where `scale = 1`
/// is no guidance and evaluates the positive field only). On `v` or on the predicted data is the same: one is affine
/// in the other. It is [`Guided`] by [`ClassifierFree`], in fewer words.
#[derive(Clone, Debug)]
pub struct Cfg<P, N> {
    /// The field of the prompt.
    pub positive: P,
    /// The field of the negative or empty prompt.
    pub negative: N,
    /// How far to go from the negative towards the positive field; 1 is the positive field itself.
    pub scale: f64,
}

impl<T: Latent, P: Velocity<T>, N: Velocity<T>> Velocity<T> for Cfg<P, N> {
    fn velocity(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<T> {
        Ok(self.velocity_and_unconditional(x, sigma, meter)?.0)
    }

    /// The negative field is the unconditional one; at `scale = 1` it is not evaluated and there is none.
    fn velocity_and_unconditional(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<(T, Option<T>)> {
        let positive = self.positive.velocity(x, sigma, meter)?;
        if self.scale == 1.0 {
            return Ok((positive, None));
        }
        let negative = self.negative.velocity(x, sigma, meter)?;
        Ok((T::lincomb(&[(self.scale, &positive), (1.0 - self.scale, &negative)])?, Some(negative)))
    }

    fn save(&self) -> State<T> {
        let inner = vec![self.positive.save(), self.negative.save()];
        State { inner, ..State::default() }
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        let State { numbers, latents, inner } = state;
        match <[State<T>; 2]>::try_from(inner) {
            Ok([positive, negative]) if numbers.is_empty() && latents.is_empty() => {
                self.positive.restore(positive)?;
                self.negative.restore(negative)
            }
            _ => Err(Error::State("guidance keeps the states of its two fields".into())),
        }
    }
}
