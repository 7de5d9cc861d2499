//! The one list of samplers and schedules. Command-line help, JSON listings, the window's controls and the tests are
//! generated from it.
//!
//! An [`Entry`] describes one of them and builds it from [`Values`]; a [`Catalog`] is a value that callers may extend
//! with entries of their own. `name:key=value,key=value` is the written form everywhere ([`Choice`]).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::builtin::decorators;
pub use crate::choice::Choice;
use crate::facts::Facts;
use crate::proof::fresh_noise;
use crate::{Error, Latent, Result, Sampler, Schedule};

/// What people read about a sampler or a schedule, and what they may set.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// The canonical name, lower case with dashes.
    pub name: &'static str,
    /// Other names people type.
    pub aliases: &'static [&'static str],
    /// Names under which other programs run the form for variance-exploding models, which samples another distribution
    /// on a flow model; they mean this one here. See [`Samplers::translated`].
    pub ve_names: &'static [&'static str],
    /// One line for somebody who has never heard of it.
    pub meaning: &'static str,
    /// The update, in the notation of the crate's convention.
    pub formula: &'static str,
    /// Where it comes from.
    pub citation: &'static str,
    /// What may be set, in display order.
    pub parameters: &'static [Parameter],
}

/// One thing that may be set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// As written in `name:key=value`.
    pub key: &'static str,
    /// One line.
    pub meaning: &'static str,
    /// Type, default and range.
    pub kind: Kind,
}

/// Type, default and range of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A real number inside `[min, max]`.
    Number {
        /// Value when none is given.
        default: f64,
        /// Smallest allowed.
        min: f64,
        /// Largest allowed.
        max: f64,
    },
    /// One of a few words.
    Word {
        /// Value when none is given.
        default: &'static str,
        /// All allowed ones.
        options: &'static [&'static str],
    },
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// For [`Kind::Number`].
    Number(f64),
    /// For [`Kind::Word`].
    Word(String),
}

/// A complete, checked set of values: every parameter of an entry has one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(BTreeMap<&'static str, Value>);

/// What a schedule is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Number of steps, at least 1.
    pub steps: usize,
    /// Tokens the transformer sees for the picture: `(height / 16) (width / 16)` for FLUX.1 at f8.
    pub image_tokens: usize,
}

/// One sampler or schedule: `B` is what its values are built into.
pub struct Entry<B: ?Sized> {
    /// Its description.
    pub about: About,
    pub(crate) build: Arc<B>,
}

/// Builds a sampler from its values.
pub type BuildSampler<T> = dyn Fn(&Values) -> Result<Box<dyn Sampler<T>>> + Send + Sync;
/// Builds a schedule from its values.
pub type BuildSchedule = dyn Fn(&Values, Plan) -> Result<Schedule> + Send + Sync;

/// Puts something around a sampler.
pub type BuildDecorator<T> = dyn Fn(&Values, Box<dyn Sampler<T>>) -> Result<Box<dyn Sampler<T>>> + Send + Sync;

/// What can be put around a sampler with `+`.
pub struct Decorator<T> {
    /// Its description.
    pub about: About,
    build: Arc<BuildDecorator<T>>,
}

/// A list of samplers for states of type `T`.
pub type Samplers<T> = Catalog<BuildSampler<T>>;
/// A list of schedules.
pub type Schedules = Catalog<BuildSchedule>;

/// A list of entries, found by name or alias.
pub struct Catalog<B: ?Sized> {
    /// `sampler` or `schedule`, for messages.
    kind: &'static str,
    entries: Vec<Entry<B>>,
    pub(crate) decorators: Vec<About>,
}

impl<B: ?Sized> Clone for Entry<B> {
    fn clone(&self) -> Self {
        Self { about: self.about.clone(), build: Arc::clone(&self.build) }
    }
}

impl<B: ?Sized> Clone for Catalog<B> {
    fn clone(&self) -> Self {
        Self { kind: self.kind, entries: self.entries.clone(), decorators: self.decorators.clone() }
    }
}

impl<T: Latent> Entry<BuildSampler<T>> {
    /// An entry that builds a sampler.
    pub fn sampler<S: Sampler<T> + 'static>(
        about: About,
        build: impl Fn(&Values) -> Result<S> + Send + Sync + 'static,
    ) -> Self {
        let build = move |values: &Values| -> Result<Box<dyn Sampler<T>>> { Ok(Box::new(build(values)?)) };
        Self { about, build: Arc::new(build) }
    }
}

impl<T> Decorator<T> {
    /// A decorator that builds a sampler from its values and the sampler inside.
    pub fn new(
        about: About,
        build: impl Fn(&Values, Box<dyn Sampler<T>>) -> Result<Box<dyn Sampler<T>>> + Send + Sync + 'static,
    ) -> Self {
        Self { about, build: Arc::new(build) }
    }
}

impl Entry<BuildSchedule> {
    /// An entry that builds a schedule.
    pub fn schedule(about: About, build: impl Fn(&Values, Plan) -> Result<Schedule> + Send + Sync + 'static) -> Self {
        Self { about, build: Arc::new(build) }
    }
}

impl<T: Latent> Samplers<T> {
    /// Builds the chosen sampler.
    ///
    /// # Errors
    /// [`Error::Unknown`] or [`Error::Parameter`].
    pub fn build(&self, choice: &Choice) -> Result<Box<dyn Sampler<T>>> {
        let entry = self.find(&choice.name)?;
        let mut sampler = (entry.build)(&entry.about.values(choice)?)?;
        let decorators = decorators::<T>();
        for outer in &choice.and {
            let about = self.decorator(outer)?;
            let values = about.values(outer)?;
            let Some(decorator) = decorators.iter().find(|d| d.about.name == about.name) else {
                return Err(Error::Unknown { kind: self.kind, name: outer.name.clone(), nearest: None });
            };
            sampler = (decorator.build)(&values, sampler)?;
        }
        Ok(sampler)
    }

    /// What the chosen sampler declares about itself.
    ///
    /// # Errors
    /// As [`Samplers::build`].
    pub fn facts(&self, choice: &Choice) -> Result<Facts> {
        Ok(self.build(choice)?.facts())
    }

    /// The sampler that will run if `choice` is written by one of the names under which other programs run the form for
    /// variance-exploding models: it is not what that name means there, and people should be told. `None` for our own
    /// names as the listing has them, which differ from some of those by a dash only.
    pub fn translated(&self, choice: &Choice) -> Option<&About> {
        let (about, written) = (self.about(&choice.name).ok()?, choice.name.trim());
        let ours = [about.name].iter().chain(about.aliases).any(|name| name.eq_ignore_ascii_case(written));
        let theirs = about.ve_names.iter().any(|name| canonical(name) == canonical(written));
        (theirs && !ours).then_some(about)
    }

    /// The same catalogue with the decorators of this crate.
    pub(crate) fn decorated(mut self) -> Self {
        self.decorators = decorators::<T>().into_iter().map(|decorator| decorator.about).collect();
        self
    }

    /// The schedule to use with `choice` when nobody names one; `None` leaves it to the model. See
    /// [`Sampler::preferred_schedule`].
    ///
    /// # Errors
    /// As [`Samplers::build`].
    pub fn preferred_schedule(&self, choice: &Choice) -> Result<Option<Choice>> {
        Ok(self.build(choice)?.preferred_schedule())
    }
}

impl Samplers<Vec<f64>> {
    /// How much of the noise is fresh after each of `steps` uniform steps of the chosen sampler; see [`fresh_noise`].
    ///
    /// # Errors
    /// As [`Samplers::build`], and if it draws more than 64 noises a step.
    pub fn fresh_noise(&self, choice: &Choice, steps: usize) -> Result<Vec<f64>> {
        fresh_noise(&*self.build(choice)?, steps)
    }
}

impl Schedules {
    /// Builds the chosen schedule.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Parameter`] or [`Error::Schedule`].
    pub fn build(&self, choice: &Choice, plan: Plan) -> Result<Schedule> {
        let entry = self.find(&choice.name)?;
        if let Some(outer) = choice.and.first() {
            return Err(self.refuse_decorator(outer));
        }
        (entry.build)(&entry.about.values(choice)?, plan)
    }
}

impl<B: ?Sized> Catalog<B> {
    /// A catalogue of `entries`; `kind` is what messages call one of them.
    pub fn new(kind: &'static str, entries: Vec<Entry<B>>) -> Self {
        Self { kind, entries, decorators: Vec::new() }
    }

    /// What can be put around an entry with `+`, in display order.
    pub fn decorators(&self) -> impl Iterator<Item = &About> {
        self.decorators.iter()
    }

    /// All entries, in display order.
    pub fn iter(&self) -> impl Iterator<Item = &About> {
        self.entries.iter().map(|entry| &entry.about)
    }

    /// Adds an entry; one of the same name is replaced.
    pub fn add(&mut self, entry: Entry<B>) {
        self.entries.retain(|old| canonical(old.about.name) != canonical(entry.about.name));
        self.entries.push(entry);
    }

    /// The description of the entry called `name`.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name.
    pub fn about(&self, name: &str) -> Result<&About> {
        Ok(&self.find(name)?.about)
    }

    /// The same choice under its canonical name with every parameter spelled out: what a record keeps.
    ///
    /// # Errors
    /// [`Error::Unknown`] or [`Error::Parameter`].
    pub fn complete(&self, choice: &Choice) -> Result<Choice> {
        let and = choice.and.iter().map(|outer| self.decorator(outer)?.complete(outer)).collect::<Result<_>>()?;
        Ok(Choice { and, ..self.about(&choice.name)?.complete(choice)? })
    }

    pub(crate) fn decorator(&self, choice: &Choice) -> Result<&About> {
        let wanted = canonical(&choice.name);
        let mut names = self.decorators.iter();
        names
            .find(|about| [about.name].iter().chain(about.aliases).any(|name| canonical(name) == wanted))
            .ok_or_else(|| self.refuse_decorator(choice))
    }

    fn refuse_decorator(&self, choice: &Choice) -> Error {
        let names: Vec<_> = self.decorators.iter().map(|about| about.name).collect();
        Error::Parameter {
            owner: choice.name.clone(),
            what: format!("a {} takes no '+{}'", self.kind, choice.name),
            hint: match names.is_empty() {
                true => format!("nothing can be put around a {}", self.kind),
                false => format!("what can be put around it is {}", names.join(", ")),
            },
        }
    }

    pub(crate) fn find(&self, name: &str) -> Result<&Entry<B>> {
        let wanted = canonical(name);
        let names = |about: &About| {
            [about.name].into_iter().chain([about.aliases, about.ve_names].into_iter().flatten().copied())
        };
        // A name comes before an alias: an added entry may take a name that was only an alias so far.
        let named = self.entries.iter().find(|e| canonical(e.about.name) == wanted);
        let found = named.or_else(|| self.entries.iter().find(|e| names(&e.about).any(|n| canonical(n) == wanted)));
        if let Some(entry) = found {
            return Ok(entry);
        }
        let all = self.entries.iter().flat_map(|e| names(&e.about).map(move |n| (e.about.name, n)));
        let nearest = all
            .map(|(name, known)| (strsim::damerau_levenshtein(&wanted, &canonical(known)), name))
            .min()
            .filter(|(distance, _)| *distance <= 2.max(wanted.chars().count() / 2))
            .map(|(_, name)| name.to_owned());
        Err(Error::Unknown { kind: self.kind, name: name.to_owned(), nearest })
    }
}

impl About {
    /// Checks what was given against the parameters and fills in the defaults.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an unknown key, a key given twice, a malformed or out-of-range value.
    pub fn values(&self, choice: &Choice) -> Result<Values> {
        let refuse = |what: String, hint: String| Error::Parameter { owner: self.name.to_owned(), what, hint };
        let mut values: BTreeMap<_, _> = self.parameters.iter().map(|p| (p.key, p.kind.default())).collect();
        let mut seen = Vec::new();
        for (key, written) in &choice.given {
            let Some(parameter) = self.parameters.iter().find(|p| p.key.eq_ignore_ascii_case(key)) else {
                let keys: Vec<_> = self.parameters.iter().map(|p| p.key).collect();
                let hint = match keys.is_empty() {
                    true => format!("{} takes no parameters", self.name),
                    false => format!("it takes {}", keys.join(", ")),
                };
                return Err(refuse(format!("there is no parameter '{key}'"), hint));
            };
            if seen.contains(&parameter.key) {
                return Err(refuse(format!("'{key}' is given twice"), "give it once".into()));
            }
            seen.push(parameter.key);
            let value = parameter.kind.parse(written);
            let value =
                value.ok_or_else(|| refuse(format!("'{key}={written}' is not allowed"), parameter.to_string()))?;
            values.insert(parameter.key, value);
        }
        Ok(Values(values))
    }

    /// `choice` under the canonical name with every parameter spelled out; what is put around it is left out.
    fn complete(&self, choice: &Choice) -> Result<Choice> {
        let values = self.values(choice)?;
        let given = self.parameters.iter().filter_map(|p| Some((p.key.to_owned(), values.0.get(p.key)?.to_string())));
        Ok(Choice { name: self.name.to_owned(), given: given.collect(), and: Vec::new() })
    }
}

impl Kind {
    /// The value when none is given.
    pub fn default(&self) -> Value {
        match self {
            Self::Number { default, .. } => Value::Number(*default),
            Self::Word { default, .. } => Value::Word((*default).to_owned()),
        }
    }

    fn parse(&self, written: &str) -> Option<Value> {
        match self {
            Self::Number { min, max, .. } => {
                let number: f64 = written.trim().parse().ok()?;
                // Adding zero makes -0 a plain 0.
                (number >= *min && number <= *max).then_some(Value::Number(number + 0.0))
            }
            Self::Word { options, .. } => {
                options.iter().find(|o| o.eq_ignore_ascii_case(written.trim())).map(|o| Value::Word((*o).to_owned()))
            }
        }
    }
}

impl Values {
    /// The number under `key`. A key that the entry did not declare as a number is a programming error.
    pub fn number(&self, key: &str) -> f64 {
        match self.0.get(key) {
            Some(Value::Number(number)) => *number,
            other => unreachable!("parameter '{key}' was declared as a number, found {other:?}"),
        }
    }

    /// The word under `key`. A key that the entry did not declare as a word is a programming error.
    pub fn word(&self, key: &str) -> &str {
        match self.0.get(key) {
            Some(Value::Word(word)) => word,
            other => unreachable!("parameter '{key}' was declared as a word, found {other:?}"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => f.write_str(word),
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Number { default, min, max } => write!(f, "{}: {min} to {max}, default {default}", self.key),
            Kind::Word { default, options } => write!(f, "{}: {}, default {default}", self.key, options.join(" | ")),
        }
    }
}

/// Names are compared without regard to case, dashes, underscores and spaces; `++` is `pp`.
fn canonical(name: &str) -> String {
    name.trim().to_lowercase().replace("++", "pp").chars().filter(|c| !matches!(c, '-' | '_' | ' ')).collect()
}
