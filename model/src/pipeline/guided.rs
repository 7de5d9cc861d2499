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
        let transformer = self.parts.as_ref().ok_or(Error::Cancelled)?.transformer.as_ref();
        let tilt = self.target(request)?;
        let side = |conditioning: &'a Conditioning| -> Box<dyn Velocity<Latents> + 'a> {
            let field = Conditioned { transformer, conditioning };
            match &tilt {
                None => Box::new(field),
                Some((target, strength)) => Box::new(Tilted { field, target: (*target).clone(), strength: *strength }),
            }
        };
        Ok(Box::new(Guided {
            positive: side(&conditions.positive),
            negative: side(&conditions.negative),
            weakened: Absent,
            rule: self.spec.rules.build(&request.rule)?,
        }))
    }
}

/// The transformer under one conditioning, as a velocity field.
struct Conditioned<'a> {
    transformer: &'a dyn Transformer,
    conditioning: &'a Conditioning,
}

impl Velocity<Latents> for Conditioned<'_> {
    fn velocity(&mut self, x: &Latents, sigma: f64, meter: &mut Meter<'_>) -> flowline_sampler::Result<Latents> {
        meter.evaluation()?;
        let mut tick = || meter.tick().map_err(Error::from);
        let v = self.transformer.velocity(x.tensor(), self.conditioning, sigma, &mut tick);
        v.and_then(Latents::new).map_err(foreign)
    }
}
