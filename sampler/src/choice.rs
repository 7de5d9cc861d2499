//! How a sampler or a schedule is written: `name:key=value,key=value+around:key=value`.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A sampler or schedule by name with some of its parameters, as people write it: `langevin:scale=0.5,decay=1`, and
/// what is put around it, each with parameters of its own: `heun+corrector:k=2`.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Name or alias.
    pub name: String,
    /// Parameters that were given, in order, as written.
    pub given: Vec<(String, String)>,
    /// What is put around it, innermost first.
    pub and: Vec<Choice>,
}

impl Choice {
    /// A choice without parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), given: Vec::new(), and: Vec::new() }
    }

    /// The same with one parameter more.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.given.push((key.into(), value.to_string()));
        self
    }
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = parts(text).into_iter().map(one);
        let mut choice = parts.next().unwrap_or_else(|| one(""))?;
        choice.and = parts.collect::<Result<_>>()?;
        Ok(choice)
    }
}

/// One name with its parameters.
fn one(text: &str) -> Result<Choice> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let refuse = |what: String| Error::Parameter {
        owner: name.trim().to_owned(),
        what,
        hint: "write it as name:key=value,key=value".into(),
    };
    let mut given = Vec::new();
    for pair in rest.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| refuse(format!("'{}' has no value", pair.trim())))?;
        given.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    match name.trim() {
        "" => Err(refuse("the name is empty".into())),
        name => Ok(Choice { name: name.to_owned(), given, and: Vec::new() }),
    }
}

/// Cuts at every `+` that stands alone before a letter: `1e+3`, `+0.5` and `DPM++ 2M` stay whole.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices('+') {
        let (before, after) = (&text[..at], &text[at + 1..]);
        if !before.ends_with('+') && after.trim_start().starts_with(|c: char| c.is_alphabetic()) {
            parts.push(&text[begin..at]);
            begin = at + 1;
        }
    }
    parts.push(&text[begin..]);
    parts
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (i, (key, value)) in self.given.iter().enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { ':' } else { ',' })?;
        }
        self.and.iter().try_for_each(|outer| write!(f, "+{outer}"))
    }
}
