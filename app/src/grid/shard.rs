//! Which of several machines makes which cells.

use std::str::FromStr;

use crate::{Failure, Result};

/// A part of the cells: every `count`-th from the `index`-th.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shard {
    /// `I/N`: the `index`-th of `count`, from 1.
    Part {
        /// From 1 to `count`.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// `auto` or `auto/N`: as the job's environment says.
    Auto {
        /// How many there are, where it was given.
        count: Option<usize>,
    },
}

const HINT: &str = "write it as 2/8, the second of eight; or as auto in a Slurm array, auto/8 in a Kubernetes job";

impl FromStr for Shard {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Failure::usage(format!("'{text}' is no shard"), HINT);
        let number = |written: &str| written.trim().parse::<usize>().ok().filter(|n| *n > 0).ok_or_else(refused);
        let (index, count) = match text.split_once('/') {
            Some((index, count)) => (index, Some(number(count)?)),
            None => (text, None),
        };
        match (index.trim().eq_ignore_ascii_case("auto"), count) {
            (true, count) => Ok(Self::Auto { count }),
            (false, None) => Err(refused()),
            (false, Some(count)) => within(number(index)?, count),
        }
    }
}

fn within(index: usize, count: usize) -> Result<Shard> {
    match index <= count {
        true => Ok(Shard::Part { index, count }),
        false => Err(Failure::usage(format!("there is no shard {index} of {count}"), HINT)),
    }
}

impl Shard {
    /// Index and count, both from 1, with `variable` looking into the environment.
    ///
    /// A Slurm array counts from the smallest of its indices in steps of its own; an indexed job of Kubernetes counts
    /// from 0 and does not say how many there are.
    ///
    /// # Errors
    /// If the environment does not say, or says what makes no sense.
    pub fn numbers(self, variable: impl Fn(&str) -> Option<String>) -> Result<(usize, usize)> {
        let count = match self {
            Self::Part { index, count } => return Ok((index, count)),
            Self::Auto { count } => count,
        };
        let read = |name: &str| {
            let Some(written) = variable(name) else { return Ok(None) };
            let refused = || {
                let hint = "give the shard's number yourself: --shard I/N";
                Failure::usage(format!("{name} is '{written}', which is no number"), hint)
            };
            written.trim().parse::<usize>().map(Some).map_err(|_| refused())
        };
        let slurm = read("SLURM_ARRAY_TASK_ID")?;
        let (index, told) = match (slurm, read("JOB_COMPLETION_INDEX")?) {
            (Some(id), _) => {
                let first = read("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
                let step = read("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
                (id.saturating_sub(first) / step, read("SLURM_ARRAY_TASK_COUNT")?)
            }
            (None, Some(index)) => (index, None),
            (None, None) => {
                let hint = "give its number: --shard I/N; auto is for Slurm arrays and Kubernetes indexed jobs";
                return Err(Failure::usage("nothing says which shard this is", hint));
            }
        };
        let Some(count) = count.or(told).filter(|count| *count > 0) else {
            return Err(Failure::usage("nothing says how many shards there are", "give their number: --shard auto/N"));
        };
        match within(index.saturating_add(1), count)? {
            Self::Part { index, count } => Ok((index, count)),
            Self::Auto { .. } => Ok((1, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shard: &str, variables: &[(&str, &str)]) -> Result<(usize, usize), String> {
        let look =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        shard.parse::<Shard>().and_then(|shard| shard.numbers(look)).map_err(|failure| failure.what)
    }

    #[test]
    fn a_shard_is_written_out_or_taken_from_the_job() {
        let array = [
            ("SLURM_ARRAY_TASK_ID", "14"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "6"),
        ];
        let indexed = [("JOB_COMPLETION_INDEX", "0")];
        assert_eq!(numbers("2/3", &array), Ok((2, 3)), "what is written counts");
        assert_eq!(numbers("auto", &array), Ok((3, 6)));
        assert_eq!(numbers("auto/9", &array), Ok((3, 9)));
        assert_eq!(numbers("auto/4", &indexed), Ok((1, 4)));
        assert_eq!(numbers("auto", &indexed), Err("nothing says how many shards there are".into()));
        assert_eq!(numbers("auto", &[]), Err("nothing says which shard this is".into()));
        assert_eq!(numbers("auto/2", &array), Err("there is no shard 3 of 2".into()));
        assert_eq!(
            numbers("auto", &[("SLURM_ARRAY_TASK_ID", "x")]),
            Err("SLURM_ARRAY_TASK_ID is 'x', which is no number".into())
        );
    }

    #[test]
    fn a_shard_that_is_none_is_refused() {
        for text in ["", "3", "0/3", "4/3", "1/0", "a/b", "1/2/3", "-1/3", "1/"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
