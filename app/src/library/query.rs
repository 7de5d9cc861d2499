//! What is looked for in the library, and what is found.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::entry::Entry;

/// What is looked for; all that is named must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Words, each of which stands somewhere in the record or the file's name; `seed:42` finds what the record says so.
    pub words: String,
    /// The model that made it.
    pub model: Option<String>,
    /// The sampler.
    pub sampler: Option<String>,
    /// How old it may be.
    pub age: Age,
    /// Which stars count.
    pub stars: Stars,
}

/// How old a picture may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Age {
    /// However old.
    #[default]
    Any,
    /// A day at most.
    Day,
    /// Seven days.
    Week,
    /// Thirty days.
    Month,
    /// A year.
    Year,
}

/// Which pictures count by their star.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stars {
    /// All.
    #[default]
    All,
    /// Those with one.
    Starred,
}

impl Age {
    /// All, the youngest last.
    pub const ALL: [Self; 5] = [Self::Any, Self::Day, Self::Week, Self::Month, Self::Year];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "Any date",
            Self::Day => "Last day",
            Self::Week => "Last 7 days",
            Self::Month => "Last 30 days",
            Self::Year => "Last year",
        }
    }

    fn longest(self) -> Option<Duration> {
        let days = match self {
            Self::Any => return None,
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
            Self::Year => 365,
        };
        Some(Duration::from_secs(days * 24 * 60 * 60))
    }
}

impl Query {
    /// Whether it asks for nothing in particular.
    pub fn is_any(&self) -> bool {
        Self { words: String::new(), ..self.clone() } == Self::default() && self.words.trim().is_empty()
    }

    /// The pictures among `entries` that it asks for, in their order. `now` is what ages are counted from.
    pub fn find(&self, entries: &[Arc<Entry>], now: SystemTime) -> Found {
        let words: Vec<String> = self.words.split_whitespace().map(str::to_lowercase).collect();
        let oldest = self.age.longest().and_then(|age| now.checked_sub(age));
        let asked = |entry: &&Arc<Entry>| {
            let about = entry.about();
            let is = |wanted: &Option<String>, known: Option<&String>| wanted.is_none() || wanted.as_ref() == known;
            (self.stars == Stars::All || entry.starred)
                && oldest.is_none_or(|oldest| entry.file.modified >= oldest)
                && is(&self.model, about.and_then(|about| about.model.as_ref()))
                && is(&self.sampler, about.and_then(|about| about.sampler.as_ref()))
                && words.iter().all(|word| entry.says(word))
        };
        let every = |of: fn(&Entry) -> Option<&String>| {
            let all: BTreeSet<&String> = entries.iter().filter_map(|entry| of(entry)).collect();
            all.into_iter().cloned().collect()
        };
        Found {
            query: self.clone(),
            entries: entries.iter().filter(asked).cloned().collect(),
            total: entries.len(),
            unread: 0,
            models: every(|entry| entry.about()?.model.as_ref()),
            samplers: every(|entry| entry.about()?.sampler.as_ref()),
        }
    }
}

/// What is found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// What was looked for.
    pub query: Query,
    /// The pictures, newest first.
    pub entries: Arc<[Arc<Entry>]>,
    /// How many there are in all.
    pub total: usize,
    /// How many of them were not read yet.
    pub unread: usize,
    /// The models that pictures were made with.
    pub models: Arc<[String]>,
    /// The samplers.
    pub samplers: Arc<[String]>,
}
