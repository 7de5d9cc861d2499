//! How a [`Request`] is written: the form of the record, and the older form that is still read.

use serde::{Deserialize, Deserializer, de::Error as _};

use super::{Request, rule};

impl<'de> Deserialize<'de> for Request {
    /// A record of an older form becomes the request of today's form that it means.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The derived function: a function of the type comes before one of its trait.
        let mut request = Self::deserialize(deserializer)?;
        if request.rule.name.is_empty() {
            // Form 1 knew plain classifier-free guidance only, and keyed noise only.
            if request.schema != 1 {
                return Err(D::Error::missing_field("rule"));
            }
            request.rule = rule::plain(request.cfg);
        }
        if request.schema == 1 {
            request.schema = Self::SCHEMA;
        }
        Ok(request)
    }
}

impl serde::Serialize for Request {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Choices are written as people type them.
pub(super) mod choice {
    use flowline_sampler::catalog::Choice;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(choice: &Choice, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(choice)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Choice, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }

    /// Stands for a choice that is not there; no name is empty.
    pub fn absent() -> Choice {
        Choice::new("")
    }
}

/// As [`choice`], for one that may be left open.
pub(super) mod maybe_choice {
    use flowline_sampler::catalog::Choice;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(choice: &Option<Choice>, serializer: S) -> Result<S::Ok, S::Error> {
        choice.as_ref().map(ToString::to_string).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Choice>, D::Error> {
        let written = Option::<String>::deserialize(deserializer)?;
        written.map(|choice| choice.parse().map_err(D::Error::custom)).transpose()
    }
}

/// Seeds are written as strings: JSON readers lose the low bits of large integers.
pub(super) mod seeds {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(seeds: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(seeds.iter().map(u64::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
        let written = Vec::<String>::deserialize(deserializer)?;
        written.iter().map(|seed| seed.parse().map_err(D::Error::custom)).collect()
    }
}
