//! A picture of the library, as the list knows it: its file, and what its record says in short.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flowline_model::Rng;
use serde::{Deserialize, Serialize};

use crate::record::{Record, Source};

/// A picture of the library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its file.
    pub file: File,
    /// Whether it has a star, see [`super::star`].
    #[serde(skip)]
    pub starred: bool,
    /// What is in it.
    pub content: Content,
}

/// A file as it was when it was read: whoever writes it again changes one of these.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Content {
    /// It was not read yet.
    Unread,
    /// A picture.
    Picture(About),
    /// It cannot be read: what is wrong with it.
    Damaged(String),
}

/// What a picture's record says, in short.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The beginning of its prompt.
    pub prompt: String,
    /// The model that made it, as its program called it.
    pub model: Option<String>,
    /// The sampler.
    pub sampler: Option<String>,
    /// Its seed.
    pub seed: Option<u64>,
    /// Width and height.
    pub size: (u32, u32),
    /// All that can be searched, in lower case: `name:value`, a line each.
    words: String,
}

/// Characters of a prompt that the list shows.
const PROMPT: usize = 240;
/// Bytes of a record that can be searched; a hostile one may be as long as it likes.
const SEARCHED: usize = 8 << 10;
/// What other programs call the model in their records; it is never taken over, so it is among the unused.
const MODELS: &[&str] = &["model", "ckpt_name", "unet_name", "base_model", "models.diffusion_model", "models.model"];

impl Entry {
    /// The name of its file.
    pub fn name(&self) -> String {
        name(&self.file.path)
    }

    /// What its record says, if it was read and is whole.
    pub fn about(&self) -> Option<&About> {
        match &self.content {
            Content::Picture(about) => Some(about),
            Content::Unread | Content::Damaged(_) => None,
        }
    }

    /// Its name for those who do not see it: what it shows, else its file.
    pub fn title(&self) -> String {
        match &self.content {
            Content::Picture(about) if !about.prompt.is_empty() => about.prompt.clone(),
            Content::Damaged(_) => format!("{}, damaged", self.name()),
            Content::Picture(_) | Content::Unread => self.name(),
        }
    }

    /// Whether `word`, in lower case, stands in its name or its record.
    pub(super) fn says(&self, word: &str) -> bool {
        self.about().is_some_and(|about| about.words.contains(word)) || self.name().to_lowercase().contains(word)
    }
}

/// The name of the file at `path`.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl About {
    /// The short form of `record`.
    pub fn new(record: &Record) -> Self {
        let draft = &record.draft;
        let named = |name: &&str| {
            let found = record.unused.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        let model = record.request.as_ref().map(|request| request.model.name.clone());
        let mut words = String::new();
        let source = (record.source != Source::Unknown).then(|| ("program".to_owned(), record.source.to_string()));
        // Where noise comes from is a word of every record; it finds something only where it is not the usual.
        let usual = Rng::default().name();
        for (name, value) in record.understood.iter().chain(&record.unused).chain(&source) {
            if words.len() >= SEARCHED {
                break;
            }
            if name != "rng" || value != usual {
                words.extend(format!("{name}:{value}\n").to_lowercase().chars().take(SEARCHED));
            }
        }
        Self {
            prompt: draft.prompt.chars().take(PROMPT).collect(),
            model: model.or_else(|| MODELS.iter().find_map(named)).filter(|model| !model.is_empty()),
            sampler: draft.sampler.as_ref().map(|sampler| sampler.name.clone()),
            seed: draft.seeds.first().copied(),
            size: record.size,
            words,
        }
    }
}

/// Year, month and day of a number of days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
pub(super) fn calendar(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that the day of the leap is the last.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + 400 * era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::calendar;

    #[test]
    fn days_have_dates() {
        let dates = [(0, (1970, 1, 1)), (11_016, (2000, 2, 29)), (11_017, (2000, 3, 1)), (20_778, (2026, 11, 21))];
        for (days, date) in dates {
            assert_eq!(calendar(days), date);
        }
    }
}
