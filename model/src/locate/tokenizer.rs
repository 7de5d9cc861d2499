//! The vocabulary of a text encoder: loose weight files bring none.

use std::path::{Path, PathBuf};

use super::loose::Loose;
use super::search::Places;
use crate::text::{Frame, SentencePieces, Tokenizer};
use crate::weights::identify::Role;
use crate::weights::{Assembled, ModelFiles};
use crate::{Error, Result, Warning};

/// A folder's files that are a tokenizer together, the best form first.
const FORMS: [&[&str]; 3] = [&["tokenizer.json"], &["vocab.json", "merges.txt"], &["spiece.model"]];

/// Finds the tokenizer of the text encoder `part` and puts it into the folder `at` of the model. Says where it was found, if
/// that is not with the encoder.
///
/// # Errors
/// [`Error::Fetchable`] saying which files are missing and where they may be put.
pub(super) fn put(
    at: &str,
    role: Role,
    part: &Loose,
    places: &Places,
    folder: &mut Assembled,
) -> Result<Option<Warning>> {
    for place in places.tokenizers(role, at, &part.files) {
        let Some(form) = FORMS.iter().find(|form| is_tokenizer(&place, form, role)) else { continue };
        for file in FORMS.iter().copied().flatten() {
            // Nothing of the base's own stays beside it.
            folder.leave_out(format!("{at}/{file}"));
        }
        for file in *form {
            folder.put_file(format!("{at}/{file}"), place.join(file));
        }
        let own =
            part.files.first().and_then(|file| file.parent()?.parent()).is_some_and(|above| place.starts_with(above));
        let (name, place) = (role.name(), place.display());
        let told = || Warning::new("part-found", format!("the tokenizer of the {name} is taken from {place}"));
        return Ok((!own).then(told));
    }
    // A GGUF file may bring its own.
    if let Some(pieces) = SentencePieces::of_facts(part.facts()) {
        folder.put_text(format!("{at}/tokenizer.json"), pieces.json());
        return Ok(None);
    }
    let base = FORMS.iter().any(|form| form.iter().all(|file| folder.has(&format!("{at}/{file}"))));
    if base { Ok(None) } else { Err(missing(role, at, part)) }
}

/// Whether these files of a folder are a tokenizer of such an encoder.
fn is_tokenizer(place: &Path, form: &[&str], role: Role) -> bool {
    let files = ModelFiles::Folder(place.to_owned());
    let frame = match role {
        Role::T5 => Frame::t5(16),
        _ => Frame::clip_l(),
    };
    form.iter().all(|file| files.has(file)) && Tokenizer::of_folder(&files, "", &frame).is_ok()
}

fn missing(role: Role, at: &str, part: &Loose) -> Error {
    // Neither repository is gated.
    let (files, reference) = match role {
        Role::T5 => ("tokenizer.json or spiece.model", "google/t5-v1_1-xxl:spiece.model"),
        _ => ("tokenizer.json, or vocab.json and merges.txt", "openai/clip-vit-large-patch14:tokenizer.json"),
    };
    let beside: PathBuf = part.files.first().and_then(|file| file.parent()).unwrap_or(Path::new(".")).join(at);
    let what = format!("the {} ({}) has no tokenizer ({files})", role.name(), part.name());
    let hint = format!("`flowline models pull {reference}` fetches it; or put the files into {}", beside.display());
    Error::Fetchable { what, reference, hint }
}
