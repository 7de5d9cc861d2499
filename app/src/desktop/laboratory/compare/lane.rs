//! One of the runs side by side, as far as it has come.

use std::sync::Arc;

use image::RgbImage;

use crate::Failure;
use crate::desktop::laboratory::slide::Slide;
use crate::engine::laboratory::Compare;

/// One sampler's run, as far as it has come.
#[derive(Default)]
pub(super) struct Lane {
    /// As it is written.
    pub(super) name: String,
    pub(super) steps: Vec<Compare>,
    /// Once it has arrived.
    pub(super) image: Option<Arc<RgbImage>>,
    /// The distances once it has arrived: of every prediction, and of the end.
    pub(super) distances: Vec<f64>,
    pub(super) lost: Option<Failure>,
    pub(super) slide: Slide,
}

impl Lane {
    /// The last step that was taken within so many evaluations.
    pub(super) fn at(&self, evaluations: f64) -> Option<&Compare> {
        self.steps.iter().take_while(|step| step.evaluations as f64 <= evaluations).last()
    }

    pub(super) fn evaluations(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.evaluations)
    }

    /// What is seen of it after so many evaluations.
    pub(super) fn seen(&self, evaluations: f64) -> Option<&Arc<RgbImage>> {
        let arrived = self.image.as_ref().filter(|_| evaluations >= self.evaluations() as f64);
        arrived.or_else(|| self.at(evaluations)?.preview.as_ref())
    }

    /// How far it is from the reference after each step.
    pub(super) fn distances(&self) -> Vec<[f64; 2]> {
        let told = |(step, distance): (&Compare, f64)| [step.evaluations as f64, distance];
        match self.distances.split_last() {
            // The end stands where its last step does, as the place where it arrived.
            Some((end, seen)) => {
                let mut places: Vec<_> = self.steps.iter().zip(seen.iter().copied()).map(told).collect();
                match places.last_mut() {
                    Some(last) => last[1] = *end,
                    None => places.push([self.evaluations() as f64, *end]),
                }
                places
            }
            None => self.steps.iter().filter_map(|step| Some(told((step, step.distance?)))).collect(),
        }
    }
}
