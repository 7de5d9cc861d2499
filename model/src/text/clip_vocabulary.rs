//! CLIP's tokenizer from `vocab.json` and `merges.txt`, the form in which the FLUX.1 and SD3 repositories ship it.

use serde_json::{Map, Value, json};

use super::tokenizer::{Frame, Tokenizer};
use crate::{Error, Result};

/// Pieces a prompt is split into before the merges (openai/CLIP `simple_tokenizer.py`).
const PIECES: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

impl Tokenizer {
    /// Builds the tokenizer that transformers builds from the two files; `file` is the name errors print.
    ///
    /// Lower case, composed characters, single spaces, then byte-level pairs with `</w>` at the end of a word
    /// (Sennrich, Haddow & Birch 2016, <https://arxiv.org/abs/1508.07909>).
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if a file is not what it should be, and those of [`Tokenizer::from_bytes`].
    pub fn from_clip_vocabulary(file: &str, vocab_json: &[u8], merges_txt: &str, frame: &Frame) -> Result<Self> {
        let wrong = |what: String| Error::Tokenizer { file: file.to_owned(), what };
        let vocabulary: Map<String, Value> =
            serde_json::from_slice(vocab_json).map_err(|e| wrong(format!("not a vocabulary ({e})")))?;
        let mut merges = Vec::new();
        for line in merges_txt.lines().filter(|line| !line.is_empty() && !line.starts_with("#version")) {
            let pair = line.split_once(' ').ok_or_else(|| wrong(format!("'{line}' is not a pair to merge")))?;
            merges.push(json!([pair.0, pair.1]));
        }
        let mut special: Vec<&str> = frame.start.as_deref().into_iter().chain([frame.end.as_str()]).collect();
        if !special.contains(&frame.pad.as_str()) {
            special.push(&frame.pad);
        }
        let mut added = Vec::new();
        for token in special {
            let id = vocabulary.get(token).ok_or_else(|| wrong(format!("has no token '{token}'")))?;
            added.push(json!({
                "id": id, "content": token, "special": true,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            }));
        }
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "post_processor": null, "decoder": null,
            "added_tokens": added,
            "normalizer": { "type": "Sequence", "normalizers": [
                { "type": "NFC" },
                { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
                { "type": "Lowercase" },
            ]},
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
                { "type": "Split", "pattern": { "Regex": PIECES }, "behavior": "Removed", "invert": true },
                { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
            ]},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": frame.end, "continuing_subword_prefix": "",
                "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocabulary, "merges": merges,
            },
        });
        Self::from_bytes(file, tokenizer.to_string().as_bytes(), frame)
    }
}
