//! What the window remembers between two runs: one small file of the user's, written beside the window's thread.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use serde::{Deserialize, Serialize};

use super::preferences::Preferences;
use super::settings::Saved;
use crate::error::Failure;
use crate::library::atomic::Whole;
use crate::places::{self, Kind};

/// Most prompts that are remembered.
const PROMPTS: usize = 500;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// How the user likes the program.
    pub preferences: Preferences,
    /// The prompt as it stood.
    pub prompt: String,
    /// The model at work, whose settings these are.
    pub model: Option<String>,
    /// The settings as they stood.
    pub settings: Option<Saved>,
    /// Prompts that pictures were made of, newest first.
    pub history: Vec<String>,
    /// Settings that were given a name.
    pub presets: BTreeMap<String, Saved>,
}

impl Kept {
    /// Puts `prompt` first among the prompts of before.
    pub fn used(&mut self, prompt: &str) {
        self.history.retain(|known| known != prompt);
        self.history.insert(0, prompt.to_owned());
        self.history.truncate(PROMPTS);
    }
}

/// Where it is kept. Dropped, it waits until the last words are written.
pub struct Store {
    last: Kept,
    words: Option<Sender<Kept>>,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// What `file` remembers, and a store that writes there. What makes no sense is set aside and told.
    pub fn open(file: PathBuf) -> (Self, Kept, Option<Failure>) {
        let (kept, failure) = match read(&file) {
            Ok(kept) => (kept, None),
            Err(failure) => (Kept::default(), Some(failure)),
        };
        let (words, inbox) = mpsc::channel::<Kept>();
        let write = move || {
            while let Ok(mut kept) = inbox.recv() {
                // The last word counts.
                kept = inbox.try_iter().last().unwrap_or(kept);
                // A full disk costs a preference, and there is nobody left to be told.
                let _ = write(&file, &kept);
            }
        };
        let writer = thread::Builder::new().name("memory".into()).spawn(write).ok();
        (Self { last: kept.clone(), words: Some(words), writer }, kept, failure)
    }

    /// Writes `kept` down if it is news. Returns at once.
    pub fn keep(&mut self, kept: &Kept) {
        if self.last != *kept {
            self.last.clone_from(kept);
            if let Some(words) = &self.words {
                let _ = words.send(kept.clone());
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.words = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// The usual place; `None` for a user without one.
pub fn usual_place() -> Option<PathBuf> {
    Some(places::of_program(Kind::Config).ok()?.join("window.json"))
}

/// What is remembered in the usual place, for those who need it before the window opens; nothing where that makes no sense.
pub fn usual() -> Kept {
    let text = usual_place().and_then(|file| fs::read(file).ok());
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn read(file: &Path) -> Result<Kept, Failure> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(Failure::io(file, error)),
    };
    serde_json::from_slice(&text).map_err(|error| {
        let aside = file.with_extension("damaged.json");
        let hint = match fs::rename(file, &aside) {
            Ok(()) => format!("it was set aside as {}, and everything begins anew", aside.display()),
            Err(_) => "everything begins anew".into(),
        };
        Failure::new(format!("what the window remembered is damaged ({error})"), hint)
    })
}

fn write(file: &Path, kept: &Kept) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let text = serde_json::to_vec_pretty(kept)?;
    Whole::write(folder, |to| to.write_all(&text))?.replace(file)
}
