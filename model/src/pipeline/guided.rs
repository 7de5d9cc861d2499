//! The networks as a velocity field: the transformer under a prompt, pulled towards a picture, guided by a rule.

use flowline_sampler::guidance::{Absent, Guided, Tilted};
use flowline_sampler::{Meter, Velocity};

use super::Pipeline;
use crate::family::{Encoding, Transformer};
use crate::latents::foreign;
use crate::{Conditioning, Error, Latents, Request, Result};

/// What a picture is conditioned on.
pub(super) struct Conditions {
    positive: Conditioning,
    negative: Conditioning,
}

impl Pipeline {
    /// What `request` is conditioned on: the prompt, and the negative prompt where guidance uses it.
    pub(super) fn condition(&mut self, request: &Request) -> Result<Conditions> {
        let mut conditioning = |prompt: &str| -> Result<Conditioning> {
            let Encoding { context, pooled, .. } = self.encode(prompt)?;
            Ok(Conditioning { context, pooled, guidance: request.guidance })
        };
        let positive = conditioning(&request.prompt)?;
        let negative = match request.uses_negative() {
            true => conditioning(&request.negative_prompt)?,
            false => positive.clone(),
        };
        Ok(Conditions { positive, negative })
    }

    /// The field of one run; a rule with a memory begins with nothing remembered. Each prediction is tilted by itself,
    /// for tilting is exact for what is a distribution, and then the rule guides.
    pub(super) fn field<'a>(
        &'a self,
        request: &Request,
        conditions: &'a Conditions,
    ) -> Result<Box<dyn Velocity<Latents> + 'a>> {
        let transformer = self.parts.transformer.as_deref().ok_or(Error::Cancelled)?;
        let tilt = self.target(request)?;
        let side = |field: Conditioned<'a>| -> Box<dyn Velocity<Latents> + 'a> {
            match &tilt {
                None => Box::new(field),
                Some((target, strength)) => Box::new(Tilted { field, target: (*target).clone(), strength: *strength }),
            }
        };
        let Conditions { positive, negative } = conditions;
        let whole = |conditioning| Conditioned { transformer: Network::Whole(transformer), conditioning };
        let rule = self.spec.rules.build(&request.rule)?;
        let weakened: Box<dyn Velocity<Latents> + 'a> = match rule.needs_weakened() {
            false => Box::new(Absent),
            true => {
                let transformer = Network::Weakened(transformer.without(&request.skip_layers)?);
                side(Conditioned { transformer, conditioning: positive })
            }
        };
        Ok(Box::new(Guided { positive: side(whole(positive)), negative: side(whole(negative)), weakened, rule }))
    }
}

/// The transformer under one conditioning, as a velocity field.
struct Conditioned<'a> {
    transformer: Network<'a>,
    conditioning: &'a Conditioning,
}

/// The transformer, or the worse one that it makes of itself.
enum Network<'a> {
    Whole(&'a dyn Transformer),
    Weakened(Box<dyn Transformer + 'a>),
}

impl Velocity<Latents> for Conditioned<'_> {
    fn velocity(&mut self, x: &Latents, sigma: f64, meter: &mut Meter<'_>) -> flowline_sampler::Result<Latents> {
        meter.evaluation()?;
        let mut tick = || meter.tick().map_err(Error::from);
        let transformer = match &self.transformer {
            Network::Whole(transformer) => *transformer,
            Network::Weakened(transformer) => transformer.as_ref(),
        };
        let v = transformer.velocity(x.tensor(), self.conditioning, sigma, &mut tick);
        v.and_then(Latents::new).map_err(foreign)
    }
}
