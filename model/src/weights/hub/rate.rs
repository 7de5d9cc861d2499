//! How fast bytes come, and how long the rest will take.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The bytes of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rate {
    seen: VecDeque<(Instant, u64)>,
}

/// The time a rate is taken over: long enough to be steady, short enough to follow a network.
const WINDOW: Duration = Duration::from_secs(10);

/// Bytes are noted no more often than this.
const PAUSE: Duration = Duration::from_millis(100);

impl Rate {
    /// Notes that `bytes` have come in all, at `now`.
    pub(super) fn note(&mut self, now: Instant, bytes: u64) {
        if self.seen.back().is_some_and(|(last, _)| now.duration_since(*last) < PAUSE) {
            return;
        }
        self.seen.push_back((now, bytes));
        while self.seen.len() > 2 && self.seen.front().is_some_and(|(first, _)| now.duration_since(*first) > WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Bytes a second at `now`, when `bytes` have come in all; `None` while too little is known.
    pub(super) fn per_second(&self, now: Instant, bytes: u64) -> Option<f64> {
        let (first, before) = *self.seen.front()?;
        let seconds = now.duration_since(first).as_secs_f64();
        (seconds >= 0.25).then(|| bytes.saturating_sub(before) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(start, 0), None);
        // A fast minute, then a slow one.
        for tenth in 0..1200_u64 {
            let bytes = if tenth < 600 { tenth * 1000 } else { 600_000 + (tenth - 600) * 10 };
            rate.note(start + Duration::from_millis(100 * tenth), bytes);
        }
        let end = start + Duration::from_millis(100 * 1199);
        let found = rate.per_second(end, 600_000 + 599 * 10).unwrap();
        assert!((found - 100.0).abs() < 2.0, "{found}");
    }
}
