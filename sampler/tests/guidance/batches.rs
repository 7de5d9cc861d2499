//! Guidance of several items at once.

use std::ops::ControlFlow;

use flowline_sampler::guidance::{
    Absent, AdaptiveProjected, CfgZeroStar, ClassifierFree, Guided, Rescale, Rule, Tangential,
};
use flowline_sampler::{Latent, Measure, Meter, Result, Velocity};

use crate::{assert_close, costed, dot, guided, mixture, negative, points, velocity};

/// A batch: every item a vector.
#[derive(Clone, Debug, PartialEq)]
struct Batch(Vec<Vec<f64>>);

impl Latent for Batch {
    fn lincomb(terms: &[(f64, &Self)]) -> Result<Self> {
        let item = |i: usize| Vec::lincomb(&terms.iter().map(|(c, x)| (*c, &x.0[i])).collect::<Vec<_>>());
        Ok(Self((0..terms[0].1.0.len()).map(item).collect::<Result<_>>()?))
    }
}

impl Measure for Batch {
    fn dot(&self, other: &Self) -> Result<Vec<f64>> {
        Ok(self.0.iter().zip(&other.0).map(|(a, b)| dot(a, b)).collect())
    }

    fn mean(&self) -> Result<Vec<f64>> {
        Ok(self.0.iter().map(|x| x.iter().sum::<f64>() / x.len() as f64).collect())
    }

    fn elements(&self) -> usize {
        self.0[0].len()
    }

    fn scaled(&self, factors: &[f64]) -> Result<Self> {
        assert_eq!(factors.len(), self.0.len());
        Ok(Self(self.0.iter().zip(factors).map(|(x, f)| x.iter().map(|x| x * f).collect()).collect()))
    }
}

/// A field of vectors on batches, one evaluation for all.
struct Batched<V>(V);

impl<V: Velocity<Vec<f64>>> Velocity<Batch> for Batched<V> {
    fn velocity(&mut self, x: &Batch, sigma: f64, meter: &mut Meter<'_>) -> Result<Batch> {
        meter.evaluation()?;
        let mut on = || ControlFlow::Continue(());
        let mut inner = Meter::new(&mut on);
        Ok(Batch(x.0.iter().map(|x| self.0.velocity(x, sigma, &mut inner)).collect::<Result<_>>()?))
    }
}

#[test]
fn the_items_of_a_batch_do_not_see_each_other() {
    fn apg<T>() -> AdaptiveProjected<T> {
        let mut apg = AdaptiveProjected::new(6.0);
        (apg.momentum, apg.norm_threshold) = (-0.6, 0.8);
        apg
    }
    fn every<T: Measure>() -> Vec<Box<dyn Rule<T>>> {
        vec![
            Box::new(Rescale { share: 0.7, rule: ClassifierFree { scale: 6.0 } }),
            Box::new(CfgZeroStar { scale: 6.0, zero_from: 1.0 }),
            Box::new(Tangential { scale: 6.0 }),
            Box::new(apg()),
        ]
    }
    let items = [points(3)[..2].to_vec(), points(3)[2..4].to_vec(), points(3)[4..].to_vec()];
    for index in 0..every::<Batch>().len() {
        let rule = every::<Batch>().swap_remove(index);
        let (positive, negatives) = (Batched(mixture()), Batched(negative()));
        let mut together = Guided { positive, negative: negatives, weakened: Absent, rule };
        let mut alone = [(); 3].map(|()| guided(every::<Vec<f64>>().swap_remove(index)));
        for sigma in [0.9, 0.5, 0.2] {
            let batch = costed(&mut together, &Batch(items.to_vec()), sigma).0;
            for ((batched, item), field) in batch.0.iter().zip(&items).zip(&mut alone) {
                assert_close(batched, &velocity(field, item, sigma), 1e-13);
            }
        }
    }
}
