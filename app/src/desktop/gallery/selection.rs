//! Which pictures of a list are selected, and where the keyboard is. Knows numbers only.

use std::collections::BTreeSet;
use std::ops::Range;

/// The selected places of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    chosen: BTreeSet<usize>,
    /// Where the keyboard is.
    cursor: Option<usize>,
    /// Where a range began.
    anchor: usize,
}

/// What is done with the places between the old and the new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only the new one is selected.
    Only,
    /// All from where the range began.
    Range,
    /// The new one changes, the others stay.
    Toggle,
    /// Nothing changes, only the keyboard moves.
    Move,
}

/// Where the keyboard goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One to the left.
    Left,
    /// One to the right.
    Right,
    /// A row up.
    Up,
    /// A row down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// The first.
    First,
    /// The last.
    Last,
}

/// A list as it lies on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// How many pictures there are.
    pub count: usize,
    /// How many in a row.
    pub columns: usize,
    /// How many rows a page has.
    pub rows: usize,
}

impl Selection {
    /// Whether a place is selected.
    pub fn contains(&self, place: usize) -> bool {
        self.chosen.contains(&place)
    }

    /// The selected places, in order.
    pub fn places(&self) -> impl ExactSizeIterator<Item = usize> {
        self.chosen.iter().copied()
    }

    /// How many are selected.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// Where the keyboard is.
    pub fn cursor(&self) -> Option<usize> {
        self.cursor
    }

    /// Goes to `place`.
    pub fn go(&mut self, place: usize, reach: Reach) {
        match reach {
            Reach::Only => self.chosen = BTreeSet::from([place]),
            Reach::Range => self.chosen = (self.anchor.min(place)..=self.anchor.max(place)).collect(),
            Reach::Toggle => {
                if !self.chosen.remove(&place) {
                    self.chosen.insert(place);
                }
            }
            Reach::Move => {}
        }
        if reach != Reach::Range {
            self.anchor = place;
        }
        self.cursor = Some(place);
    }

    /// Goes a step; the first step goes to the first picture.
    pub fn step(&mut self, step: Step, reach: Reach, layout: Layout) {
        let Some(last) = layout.count.checked_sub(1) else { return };
        let columns = layout.columns.max(1);
        let page = columns * layout.rows.max(1);
        let place = match (self.cursor, step) {
            (_, Step::First) => 0,
            (_, Step::Last) => last,
            (None, _) => 0,
            (Some(at), Step::Left) => at.saturating_sub(1),
            (Some(at), Step::Right) => at + 1,
            // A step beyond the edge stays in its column.
            (Some(at), Step::Up) => at.checked_sub(columns).unwrap_or(at),
            (Some(at), Step::Down) => Some(at + columns).filter(|below| *below <= last).unwrap_or(at),
            (Some(at), Step::PageUp) => at.checked_sub(page).unwrap_or(at % columns),
            (Some(at), Step::PageDown) => at + page,
        };
        self.go(place.min(last), reach);
    }

    /// Selects these.
    pub fn all(&mut self, places: Range<usize>) {
        self.chosen = places.collect();
    }

    /// Selects none.
    pub fn clear(&mut self) {
        self.chosen.clear();
    }

    /// The list has changed: what was at a place is now where `moved` says, or is gone.
    pub fn follow(&mut self, count: usize, moved: impl Fn(usize) -> Option<usize>) {
        self.chosen = self.chosen.iter().filter_map(|place| moved(*place)).collect();
        // What follows a picture that is gone takes its place.
        self.cursor = self.cursor.and_then(|at| moved(at).or_else(|| Some(at.min(count.checked_sub(1)?))));
        self.anchor = moved(self.anchor).or(self.cursor).unwrap_or_default();
    }
}
