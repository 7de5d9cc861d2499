//! What is written down when the program stumbles over a mistake of its own: enough to mend it, and nothing of the user's.

use std::backtrace::Backtrace;
use std::fmt::Write as _;
use std::panic::{self, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, thread};

use flowline_model::{MadeWith, text};

use crate::places::{self, Kind};

/// The last thing the engine said, by its kind.
static LAST_EVENT: Mutex<&str> = Mutex::new("nothing yet");
/// Where the last report is.
static LAST_REPORT: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Notes what kind of thing the engine said last.
pub fn note(event: &'static str) {
    *LAST_EVENT.lock().unwrap_or_else(PoisonError::into_inner) = event;
}

/// Where the last report of this run is.
pub fn last_report() -> Option<PathBuf> {
    LAST_REPORT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Writes a report into `folder` whenever a thread panics from now on, and says on stderr where it is. Panics that are
/// another library's way to refuse a file are its caller's business, and nobody hears of them.
pub fn watch(folder: Option<PathBuf>) {
    panic::set_hook(Box::new(move |info| {
        if text::refuses_by_panic() {
            return;
        }
        let place = folder.as_deref().and_then(|folder| write(folder, &report(info)).ok());
        let at = info.location().map_or_else(String::new, |at| format!(" ({}:{})", source(at.file()), at.line()));
        eprintln!("error: flowline has stumbled over a mistake of its own{at}");
        match &place {
            Some(file) => eprintln!("hint: please report it; what is known is in {}", file.display()),
            None => eprintln!("hint: please report it, with what you did"),
        }
        *LAST_REPORT.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
}

/// The usual folder for reports; `None` for a user without one.
pub fn usual_folder() -> Option<PathBuf> {
    Some(places::of_program(Kind::Data).ok()?.join("reports"))
}

fn report(info: &PanicHookInfo<'_>) -> String {
    let made = MadeWith::here();
    let payload = info.payload();
    let said = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<12}{value}");
    };
    line("program", &format!("flowline {}", made.flowline));
    line("computes on", &made.device);
    line("system", std::env::consts::OS);
    line("thread", thread::current().name().unwrap_or("unnamed"));
    line("last event", *LAST_EVENT.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(at) = info.location() {
        line("place", &format!("{}:{}", source(at.file()), at.line()));
    }
    line("message", unquoted(said.unwrap_or_default()));
    let _ = write!(text, "\n{}", Backtrace::force_capture());
    text
}

/// A message as far as it quotes nothing: what is quoted may be a prompt.
fn unquoted(message: &str) -> &str {
    message.split(['`', '"', '\'', '\n']).next().unwrap_or_default()
}

/// A source file's path within its package.
fn source(file: &str) -> &str {
    let begin =
        ["/registry/src/", "/app/src/", "/model/src/", "/sampler/src/"].iter().find_map(|part| file.rfind(part));
    begin.and_then(|begin| file.get(begin + 1..)).unwrap_or(file)
}

fn write(folder: &Path, report: &str) -> std::io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let file = folder.join(format!("{}-{:09}-{}.txt", time.as_secs(), time.subsec_nanos(), std::process::id()));
    fs::write(&file, report)?;
    Ok(file)
}
