//! Bytes, as people say them.

use std::fmt;

/// A number of bytes: `33.7 GB`, `268 kB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub u64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_000 => write!(f, "{} bytes", self.0),
            1_000..999_500 => write!(f, "{:.0} kB", bytes / 1e3),
            999_500..999_500_000 => write!(f, "{:.0} MB", bytes / 1e6),
            _ => write!(f, "{:.1} GB", bytes / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_naturally() {
        let written = [0, 999, 1000, 999_499, 999_500, 999_499_999, 999_500_000, 33_700_000_000]
            .map(Amount)
            .map(|a| a.to_string());
        assert_eq!(written, ["0 bytes", "999 bytes", "1 kB", "999 kB", "1 MB", "999 MB", "1.0 GB", "33.7 GB"]);
    }
}
