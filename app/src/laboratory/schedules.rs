//! Schedules that were given a name: files of sigmas in the user's configuration folder, as `--sigmas FILE` reads them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use flowline_sampler::Schedule;

use crate::args::listed_sigmas;
use crate::library::atomic::{Named, Whole};
use crate::places::{self, Kind};
use crate::{Failure, Result};

/// The longest list that is read from a file, bytes.
const LONGEST: u64 = 1 << 20;

/// The longest name, letters.
const LONGEST_NAME: usize = 64;

/// How the files end.
const ENDING: &str = "txt";

/// The list of sigmas in `file`, one a line or separated by commas.
///
/// # Errors
/// A file that cannot be read, or that holds no such list.
pub fn read_sigmas(file: &Path) -> Result<Vec<f64>> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
    opened.map_err(|error| Failure::io(file, error))?;
    let refused = |what: String| {
        let hint = "write them as 1,0.8,0.5,0.2,0 or one a line";
        Failure::new(format!("{} holds no list of sigmas: {what}", file.display()), hint)
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| refused(error.to_string()))?;
    listed_sigmas(text).map_err(|failure| refused(failure.what))
}

/// The folder of all schedules with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSchedules {
    folder: PathBuf,
}

impl NamedSchedules {
    /// Those of this user.
    ///
    /// # Errors
    /// If the system knows no folder for configuration.
    pub fn usual() -> Result<Self> {
        let none = || Failure::new("this user has no folder for configuration", "set XDG_CONFIG_HOME to one");
        Ok(Self::of(places::of_program(Kind::Config).map_err(|_| none())?.join("schedules")))
    }

    /// Those in `folder`, which is created when the first is kept.
    pub fn of(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// All names, sorted.
    ///
    /// # Errors
    /// If the folder is there and cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Failure::io(&self.folder, error)),
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let named = paths.filter(|path| path.extension().is_some_and(|ending| ending == ENDING));
        let mut names: Vec<String> = named
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .filter(|name| check(name).is_ok())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The schedule called `name`.
    ///
    /// # Errors
    /// A name that is none, a file that cannot be read or holds no schedule.
    pub fn read(&self, name: &str) -> Result<Schedule> {
        let path = self.path(name)?;
        Ok(Schedule::explicit(read_sigmas(&path)?)?)
    }

    /// Keeps `sigmas` under `name`, one a line, and says where. A name that is taken stays as it is.
    ///
    /// # Errors
    /// A name that is none or taken, a folder that cannot be written to.
    pub fn keep(&self, name: &str, sigmas: &[f64]) -> Result<PathBuf> {
        let path = self.path(name)?;
        fs::create_dir_all(&self.folder).map_err(|error| Failure::io(&self.folder, error))?;
        let mut text = String::new();
        for sigma in sigmas {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{sigma}");
        }
        let whole = Whole::write(&self.folder, |out| out.write_all(text.as_bytes()));
        match whole.and_then(|whole| whole.name(&path)).map_err(|error| Failure::io(&path, error))? {
            Named::Done => Ok(path),
            Named::Taken(_) => {
                let what = format!("there is a schedule named '{}' already", name.trim());
                Err(Failure::new(what, "give it another name; what is there stays"))
            }
        }
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        Ok(self.folder.join(format!("{}.{ENDING}", check(name)?)))
    }
}

/// `name` without spaces around it, if it can be the name of a file on every system.
fn check(name: &str) -> Result<&str> {
    let name = name.trim();
    let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_' | '.');
    let begins = name.chars().next().is_some_and(char::is_alphanumeric);
    match begins && name.chars().all(plain) && name.chars().count() <= LONGEST_NAME && !name.ends_with('.') {
        true => Ok(name),
        false => {
            let hint = format!("letters, digits, spaces, - _ and . make a name, at most {LONGEST_NAME} of them");
            Err(Failure::new(format!("'{name}' is no name for a schedule"), hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let kept = NamedSchedules::of(folder.path().join("new"));
        assert_eq!(kept.names().unwrap(), Vec::<String>::new());
        let sigmas = [1.0, 2.0 / 3.0, 0.1 + 0.2, 1e-9, 0.0];
        let path = kept.keep(" mein Plan 2 ", &sigmas).unwrap();
        assert_eq!(kept.names().unwrap(), ["mein Plan 2"]);
        assert_eq!(kept.read("mein Plan 2").unwrap().sigmas(), sigmas);
        assert_eq!(read_sigmas(&path).unwrap(), sigmas, "and --sigmas FILE reads it");
    }

    #[test]
    fn nothing_is_replaced_and_no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let kept = NamedSchedules::of(folder.path().to_owned());
        kept.keep("steep", &[1.0, 0.5, 0.0]).unwrap();
        assert!(kept.keep("steep", &[1.0, 0.0]).unwrap_err().what.contains("already"));
        assert_eq!(kept.read("steep").unwrap().steps(), 2);
        for name in ["", "  ", "../steep", "a/b", "a\\b", ".hidden", "x:y", "end.", "a\0b", &"x".repeat(65)] {
            assert!(kept.keep(name, &[1.0, 0.0]).is_err(), "{name:?}");
        }
        assert_eq!(kept.names().unwrap(), ["steep"]);
    }

    #[test]
    fn files_that_hold_no_schedule_are_refused_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let kept = NamedSchedules::of(folder.path().to_owned());
        for (name, text) in [("words", "noise then data"), ("rising", "0\n1"), ("empty", ""), ("open", "1\n0.5")] {
            fs::write(folder.path().join(format!("{name}.txt")), text).unwrap();
            assert!(!kept.read(name).unwrap_err().hint.is_empty(), "{name}");
        }
        fs::write(folder.path().join("bytes.txt"), [0xff, 0xfe]).unwrap();
        assert!(kept.read("bytes").is_err());
        assert!(kept.read("missing").is_err());
    }
}
