//! Memory of two kinds.

use std::ops::{Add, AddAssign};

use serde::Serialize;

/// Memory that something takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Allocated.
    pub heap: u64,
    /// Read from files where it is: the system drops it when others need the memory, and reads it again.
    pub mapped: u64,
}

impl Memory {
    /// Allocated memory.
    pub fn heap(bytes: u64) -> Self {
        Self { heap: bytes, mapped: 0 }
    }

    /// The larger of two, each kind by itself.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { heap: self.heap.max(other.heap), mapped: self.mapped.max(other.mapped) }
    }
}

impl Add for Memory {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let sum = |a: u64, b: u64| a.saturating_add(b);
        Self { heap: sum(self.heap, other.heap), mapped: sum(self.mapped, other.mapped) }
    }
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
