//! Prompts to token ids, with the `tokenizer.json` of a transformers checkpoint.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer};

use super::SentencePieces;
use crate::weights::ModelFiles;
use crate::{Error, Result};

/// What every encoded prompt looks like: `start` (if any), the prompt, `end`, then `pad` up to `length`.
///
/// Tokens are named by their text, because their ids differ from vocabulary to vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Number of ids.
    pub length: usize,
    /// The token before the prompt.
    pub start: Option<String>,
    /// The token after the prompt, kept when a prompt is cut.
    pub end: String,
    /// The token that fills what is left.
    pub pad: String,
}

impl Frame {
    /// Ids that CLIP reads.
    pub const CLIP_LENGTH: usize = 77;

    /// T5: `</s>` after the prompt, `<pad>` behind it. FLUX.1 reads 512 tokens, schnell 256.
    pub fn t5(length: usize) -> Self {
        Self { length, start: None, end: "</s>".into(), pad: "<pad>".into() }
    }

    /// CLIP-L: 77 ids, filled up with the end token.
    pub fn clip_l() -> Self {
        let end = "<|endoftext|>";
        Self { length: Self::CLIP_LENGTH, start: Some("<|startoftext|>".into()), end: end.into(), pad: end.into() }
    }

    /// CLIP-G: 77 ids, filled up with the token of id 0, an exclamation mark (Stability-AI/sd3.5 `other_impls.py`).
    pub fn clip_g() -> Self {
        Self { pad: "!".into(), ..Self::clip_l() }
    }
}

/// A prompt as ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Exactly [`Frame::length`] ids.
    pub ids: Vec<u32>,
    /// How many there were before padding and cutting, start and end token included.
    pub tokens: usize,
    /// The part of the prompt that did not fit, as it was typed.
    pub cut: Option<String>,
}

/// A vocabulary, the rules to split text into it, and the frame the ids are put in.
pub struct Tokenizer {
    file: String,
    inner: tokenizers::Tokenizer,
    length: usize,
    start: Option<u32>,
    end: u32,
    pad: u32,
}

impl Tokenizer {
    /// Reads the `tokenizer.json` at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, and those of [`Self::from_bytes`].
    pub fn open(path: &Path, frame: &Frame) -> Result<Self> {
        let bytes = fs::read(path).map_err(|e| Error::io(path, e))?;
        Self::from_bytes(&path.display().to_string(), &bytes, frame)
    }

    /// Reads the tokenizer in `folder` of a model (empty: at its top), in whichever of its forms is there:
    /// `tokenizer.json`; `vocab.json` and `merges.txt`, which are all that FLUX.1 and SD3 ship for CLIP; `spiece.model`.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none, and those of [`Self::from_bytes`].
    pub fn of_folder(files: &ModelFiles, folder: &str, frame: &Frame) -> Result<Self> {
        let at = |file: &str| if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") };
        let (json, vocabulary, pieces) = (at("tokenizer.json"), at("vocab.json"), at("spiece.model"));
        if !files.has(&json) && files.has(&vocabulary) {
            let merges = at("merges.txt");
            let (vocab_json, merges_txt) = (files.read(&vocabulary)?, files.read(&merges)?);
            let merges_txt = std::str::from_utf8(&merges_txt)
                .map_err(|e| Error::Tokenizer { file: merges.clone(), what: format!("not UTF-8 ({e})") })?;
            return Self::from_clip_vocabulary(&vocabulary, &vocab_json, merges_txt, frame);
        }
        if !files.has(&json) && files.has(&pieces) {
            let read = SentencePieces::parse(&pieces, &files.read(&pieces)?)?;
            return Self::from_bytes(&pieces, read.json().as_bytes(), frame);
        }
        Self::from_bytes(&json, &files.read(&json)?, frame)
    }

    /// Reads a `tokenizer.json`; `file` is the name errors print.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if it is not one or lacks a token of the frame, [`Error::Invalid`] if the frame has no
    /// room for a prompt.
    pub fn from_bytes(file: &str, json: &[u8], frame: &Frame) -> Result<Self> {
        let wrong = |what: String| Error::Tokenizer { file: file.to_owned(), what };
        let broken = |what: String| wrong(format!("not a tokenizer ({what})"));
        // The library panics on text that is none, and on JSON that is none.
        let text = std::str::from_utf8(json).map_err(|e| broken(e.to_string()))?;
        let whole: Value = serde_json::from_str(text).map_err(|e| broken(e.to_string()))?;
        if whole.get("normalizer").is_some_and(|normalizer| !has_whole_tables(normalizer)) {
            return Err(broken("its table of characters is cut off".into()));
        }
        let mut inner = caught(|| tokenizers::Tokenizer::from_bytes(json)).map_err(broken)?;
        // Some files carry the length of their first use; ours is the frame's.
        inner.with_truncation(None).map_err(|e| wrong(e.to_string()))?.with_padding(None);
        let id = |token: &str| inner.token_to_id(token).ok_or_else(|| wrong(format!("has no token '{token}'")));
        let start = frame.start.as_deref().map(id).transpose()?;
        let (end, pad) = (id(&frame.end)?, id(&frame.pad)?);
        let length = frame.length;
        if length <= usize::from(start.is_some()) + 1 {
            return Err(Error::invalid(
                format!("{length} tokens leave no room for a prompt"),
                "ask for a longer text length",
            ));
        }
        Ok(Self { file: file.to_owned(), inner, length, start, end, pad })
    }

    /// The ids of a prompt.
    ///
    /// Start and end tokens stand for themselves only where the frame puts them. Typed into a prompt (`</s>`), or
    /// produced by an unknown character, they are left out, so that no prompt can end early; transformers would let
    /// them through. The text around them is kept.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the vocabulary cannot express the prompt.
    pub fn encode(&self, prompt: &str) -> Result<Encoded> {
        let encoding = caught(|| self.inner.encode(prompt, false)).map_err(|e| self.failed(e))?;
        let framing = |id: u32| id == self.end || Some(id) == self.start;
        let starts = encoding.get_offsets().iter().map(|offsets| offsets.0);
        let (prompt_ids, starts): (Vec<u32>, Vec<usize>) =
            encoding.get_ids().iter().copied().zip(starts).filter(|(id, _)| !framing(*id)).unzip();

        let frame_tokens = usize::from(self.start.is_some()) + 1;
        let room = self.length - frame_tokens;
        let cut = starts.get(room).map(|first| prompt[prompt.floor_char_boundary(*first)..].trim());
        let mut ids: Vec<u32> = self.start.into_iter().collect();
        ids.extend(prompt_ids.iter().take(room));
        ids.push(self.end);
        ids.resize(self.length, self.pad);
        Ok(Encoded {
            ids,
            tokens: prompt_ids.len() + frame_tokens,
            cut: cut.filter(|text| !text.is_empty()).map(str::to_owned),
        })
    }

    /// The words of `prompt` that are not among the `known` ones, in order, each once.
    ///
    /// A word is a run of letters and digits after the normalisation of this tokenizer (for the embedded model: lower
    /// case, and a hyphen separates). For models that were trained on few words and can list them.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the prompt cannot be normalised.
    pub fn unknown_words(&self, known: &BTreeSet<String>, prompt: &str) -> Result<Vec<String>> {
        let mut text = NormalizedString::from(prompt);
        if let Some(normalizer) = self.inner.get_normalizer() {
            caught(|| normalizer.normalize(&mut text)).map_err(|e| self.failed(e))?;
        }
        let mut seen = BTreeSet::new();
        let words = text.get().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        Ok(words.filter(|word| !known.contains(*word) && seen.insert(*word)).map(str::to_owned).collect())
    }

    fn failed(&self, what: String) -> Error {
        Error::Tokenizer { file: self.file.clone(), what }
    }
}

/// Whether all tables of characters in a normaliser are as long as they say. The library believes them.
///
/// A table is base64; its first four bytes, little-endian, say how many bytes of its trie follow (google/sentencepiece
/// `normalizer.cc`, `DecodePrecompiledCharsMap`).
fn has_whole_tables(normalizer: &Value) -> bool {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    match normalizer {
        Value::Array(parts) => parts.iter().all(has_whole_tables),
        Value::Object(fields) => fields.iter().all(|(name, value)| match value {
            Value::String(table) if name == "precompiled_charsmap" => {
                let six = |digit: u8| DIGITS.iter().position(|known| *known == digit).map(|six| six as u64);
                let bits = table.bytes().take(8).try_fold(0u64, |bits, digit| Some(bits << 6 | six(digit)?));
                let size = bits.map(|bits| ((bits >> 16) as u32).swap_bytes());
                let room = (table.len() / 4 * 3).saturating_sub(4) as u64;
                table.is_empty() || size.is_some_and(|size| table.len() >= 8 && u64::from(size) <= room)
            }
            value => has_whole_tables(value),
        }),
        _ => true,
    }
}

thread_local! {
    static REFUSES: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread would be the tokenizers library's way to refuse a file, now: an error like others, of
/// which a panic hook need not tell.
pub fn refuses_by_panic() -> bool {
    REFUSES.get()
}

/// What the tokenizers library makes of a file or a text. It panics on some files that contradict themselves; that is an
/// error like others.
fn caught<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> std::result::Result<T, String> {
    REFUSES.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    REFUSES.set(false);
    match done {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(_) => Err("it contradicts itself".into()),
    }
}
