//! A schedule that is shaped by hand and cannot stop falling.

use std::ops::RangeInclusive;

use flowline_sampler::Schedule;

/// The sigmas of a schedule, as points that can be moved one at a time. Both ends stay, and every other point stays
/// between its neighbours, so what there is to see is always a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve(Vec<f64>);

/// How close to a neighbour a point may come, as long as there is room for it.
const NEAREST: f64 = 1e-4;

impl Default for Curve {
    /// A single step.
    fn default() -> Self {
        Self(vec![1.0, 0.0])
    }
}

impl Curve {
    /// The points of `schedule`.
    pub fn of(schedule: &Schedule) -> Self {
        Self(schedule.sigmas().to_vec())
    }

    /// From the noisiest to the cleanest.
    pub fn sigmas(&self) -> &[f64] {
        &self.0
    }

    /// How many steps it has.
    pub fn steps(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    /// Where the point `index` may be; `None` for the ends, for points that are not there, and where the neighbours
    /// leave no room.
    pub fn room(&self, index: usize) -> Option<RangeInclusive<f64>> {
        let (before, after) = (*self.0.get(index.checked_sub(1)?)?, *self.0.get(index + 1)?);
        let nearest = NEAREST.min((before - after) / 3.0);
        let (low, high) = (after + nearest, before - nearest);
        (after < low && low <= high && high < before).then_some(low..=high)
    }

    /// The same with the point `index` at `sigma`, or as near to it as its neighbours let it; a point that cannot be
    /// moved stays.
    #[must_use]
    pub fn moved(&self, index: usize, sigma: f64) -> Self {
        let mut curve = self.clone();
        if let (Some(room), Some(point)) = (self.room(index), curve.0.get_mut(index))
            && !sigma.is_nan()
        {
            *point = sigma.clamp(*room.start(), *room.end());
        }
        curve
    }

    /// The inner point nearest to this place of the chart, whose axes are steps and sigmas.
    pub fn nearest(&self, step: f64) -> Option<usize> {
        let last = self.steps().checked_sub(1).filter(|last| *last > 0)?;
        Some((step.round().max(1.0) as usize).min(last))
    }

    /// Where `sigma` lies along the steps: at 0 or before, at the last step or after, or between two points.
    pub fn place(&self, sigma: f64) -> f64 {
        let pairs = self.0.iter().zip(self.0.iter().skip(1)).enumerate();
        let mut inside = pairs.filter(|(_, (before, after))| sigma <= **before && sigma >= **after);
        match inside.next() {
            Some((index, (before, after))) => index as f64 + (before - sigma) / (before - after),
            None if self.0.first().is_some_and(|first| sigma > *first) => 0.0,
            None => self.steps() as f64,
        }
    }

    /// How long the steps are, in their order.
    pub fn spacing(&self) -> impl Iterator<Item = f64> {
        self.0.iter().zip(self.0.iter().skip(1)).map(|(sigma, next)| sigma - next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_done_to_a_curve_it_stays_a_schedule() {
        let mut curve = Curve::of(&Schedule::uniform(12).unwrap());
        // Far, near, beyond the neighbours, and what is no number at all.
        let places = [2.0, -1.0, 0.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, 1.0, 1e-300];
        for round in 0..500 {
            curve = curve.moved((round * 7) % 15, places[round % places.len()]);
            let schedule = Schedule::explicit(curve.sigmas().to_vec());
            assert!(schedule.is_ok(), "after {round} moves: {:?}: {schedule:?}", curve.sigmas());
        }
        assert_eq!((curve.sigmas()[0], curve.sigmas()[12]), (1.0, 0.0), "the ends stay");
    }

    #[test]
    fn a_point_goes_where_it_is_put_or_as_near_as_it_may() {
        let curve = Curve::of(&Schedule::uniform(4).unwrap());
        assert_eq!(curve.moved(2, 0.6).sigmas(), [1.0, 0.75, 0.6, 0.25, 0.0]);
        let low = curve.moved(2, 0.1).sigmas()[2];
        assert!(low > 0.25 && low < 0.2502, "{low}");
        assert_eq!(curve.moved(0, 0.9), curve);
        assert_eq!(curve.moved(4, 0.1), curve);
        assert_eq!(curve.moved(99, 0.1), curve);
        assert_eq!([1.5, 1.0, 0.875, 0.75, 0.0, -1.0].map(|sigma| curve.place(sigma)), [0.0, 0.0, 0.5, 1.0, 4.0, 4.0]);
        let spacing: Vec<f64> = curve.moved(2, 0.6).spacing().collect();
        assert!((spacing[1] - 0.15).abs() < 1e-12 && (spacing[2] - 0.35).abs() < 1e-12, "{spacing:?}");
    }

    #[test]
    fn where_no_other_number_lies_between_the_neighbours_nothing_moves() {
        let next = 1.0_f64.next_down();
        let tight = Curve(vec![1.0, next, next.next_down(), 0.0]);
        assert_eq!(tight.room(1), Some(next..=next), "its own place alone");
        assert_eq!((tight.moved(1, 0.5), tight.moved(1, 2.0)), (tight.clone(), tight));
        let single = Curve::of(&Schedule::uniform(1).unwrap());
        assert_eq!((single.room(0), single.room(1), single.nearest(0.4)), (None, None, None));
    }
}
