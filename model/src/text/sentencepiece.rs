//! T5's tokenizer from the pieces of a sentencepiece model (Kudo & Richardson 2018, <https://arxiv.org/abs/1808.06226>):
//! `spiece.model`, which repositories ship, or the metadata of a GGUF file, to which llama.cpp copies them.

use std::collections::BTreeMap;

use serde_json::json;

use crate::weights::Fact;
use crate::{Error, Result};

/// The pieces of a unigram model, and how text is prepared for them.
#[derive(Debug, PartialEq)]
pub(crate) struct SentencePieces {
    pieces: Vec<Piece>,
    normalization: Normalization,
}

/// A piece: its text, the logarithm of its probability, and what it is.
#[derive(Debug, PartialEq)]
struct Piece {
    text: String,
    score: f64,
    kind: Kind,
}

/// What a piece is (sentencepiece `sentencepiece_model.proto`, `SentencePiece.Type`; ggml has the same numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A piece of text.
    Normal,
    /// What stands for all that is not known.
    Unknown,
    /// A mark such as the end: never produced by text.
    Mark,
}

/// How text is prepared.
#[derive(Debug, PartialEq)]
enum Normalization {
    /// By a table of characters, as the model was trained.
    Table(Vec<u8>),
    /// NFKC, which T5's table follows, where a file does not bring it.
    Nfkc,
    /// Not at all.
    Identity,
}

impl Kind {
    fn of(number: u64) -> Self {
        match number {
            2 => Self::Unknown,
            3 | 4 => Self::Mark,
            _ => Self::Normal,
        }
    }
}

impl SentencePieces {
    /// Reads a `spiece.model`; `file` is the name errors print.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if it is none, or not of the kind that T5 uses.
    pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let wrong = |what: &str| Error::Tokenizer { file: file.to_owned(), what: what.to_owned() };
        let broken = || wrong("not a sentencepiece model");
        const UNIGRAM: u64 = 1;
        let (mut pieces, mut table, mut kind) = (Vec::new(), Vec::new(), UNIGRAM);
        for field in Fields(bytes) {
            match field.ok_or_else(broken)? {
                (1, Wire::Bytes(message)) => pieces.push(Piece::parse(message).ok_or_else(broken)?),
                (2, Wire::Bytes(trainer)) => {
                    for field in Fields(trainer) {
                        if let (3, Wire::Number(number)) = field.ok_or_else(broken)? {
                            kind = number;
                        }
                    }
                }
                (3, Wire::Bytes(normalizer)) => {
                    for field in Fields(normalizer) {
                        if let (2, Wire::Bytes(bytes)) = field.ok_or_else(broken)? {
                            table = bytes.to_vec();
                        }
                    }
                }
                _ => {}
            }
        }
        if pieces.is_empty() {
            return Err(broken());
        }
        if kind != UNIGRAM {
            return Err(wrong("not a unigram model of sentencepiece, which T5's is"));
        }
        if !pieces.iter().any(|piece: &Piece| piece.kind == Kind::Unknown) {
            return Err(wrong("has no piece for what is unknown"));
        }
        let normalization = if table.is_empty() { Normalization::Identity } else { Normalization::Table(table) };
        Ok(Self { pieces, normalization })
    }

    /// What the metadata of a GGUF file says; `None` if it brings no such tokenizer.
    pub(crate) fn of_facts(facts: &BTreeMap<String, Fact>) -> Option<Self> {
        let numbers = |key: &str| match facts.get(key) {
            Some(Fact::Numbers(numbers)) => Some(numbers.as_slice()),
            _ => None,
        };
        if facts.get("tokenizer.ggml.model") != Some(&Fact::Text("t5".into())) {
            return None;
        }
        let Some(Fact::Texts(texts)) = facts.get("tokenizer.ggml.tokens") else { return None };
        let scores = numbers("tokenizer.ggml.scores").filter(|scores| scores.len() == texts.len())?;
        let kinds = numbers("tokenizer.ggml.token_type").unwrap_or_default();
        let pieces = texts.iter().zip(scores).enumerate().map(|(id, (text, &score))| {
            let kind = kinds.get(id).map_or(Kind::Normal, |kind| Kind::of(*kind as u64));
            Piece { text: text.clone(), score, kind }
        });
        let normalization = match numbers("tokenizer.ggml.precompiled_charsmap") {
            Some(table) if !table.is_empty() => Normalization::Table(table.iter().map(|byte| *byte as u8).collect()),
            _ => Normalization::Nfkc,
        };
        Some(Self { pieces: pieces.collect(), normalization })
    }

    /// The same as a `tokenizer.json`, as transformers converts T5's (`convert_slow_tokenizer.py`).
    pub(crate) fn json(&self) -> String {
        let marks = self.pieces.iter().enumerate().filter(|(_, piece)| piece.kind != Kind::Normal);
        let added = marks.map(|(id, piece)| {
            json!({
                "id": id, "content": piece.text, "special": true,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            })
        });
        let prepared = match &self.normalization {
            Normalization::Table(table) => {
                Some(json!({ "type": "Precompiled", "precompiled_charsmap": base64(table) }))
            }
            Normalization::Nfkc => Some(json!({ "type": "NFKC" })),
            Normalization::Identity => None,
        };
        let spaces = [
            json!({ "type": "Strip", "strip_left": false, "strip_right": true }),
            json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": "▁" }),
        ];
        let vocabulary: Vec<_> = self.pieces.iter().map(|piece| json!([piece.text, piece.score])).collect();
        json!({
            "version": "1.0", "truncation": null, "padding": null, "post_processor": null, "decoder": null,
            "added_tokens": added.collect::<Vec<_>>(),
            "normalizer": {
                "type": "Sequence", "normalizers": prepared.into_iter().chain(spaces).collect::<Vec<_>>(),
            },
            "pre_tokenizer": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
            "model": {
                "type": "Unigram", "vocab": vocabulary,
                "unk_id": self.pieces.iter().position(|piece| piece.kind == Kind::Unknown),
            },
        })
        .to_string()
    }
}

impl Piece {
    /// A `SentencePiece` message; `None` if it is none.
    fn parse(message: &[u8]) -> Option<Self> {
        let mut piece = Self { text: String::new(), score: 0.0, kind: Kind::Normal };
        for field in Fields(message) {
            match field? {
                (1, Wire::Bytes(text)) => piece.text = std::str::from_utf8(text).ok()?.to_owned(),
                (2, Wire::Fixed(score)) => piece.score = f64::from(f32::from_bits(score)),
                (3, Wire::Number(kind)) => piece.kind = Kind::of(kind),
                _ => {}
            }
        }
        piece.score.is_finite().then_some(piece)
    }
}

/// What a field of a protobuf message holds.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed(u32),
    /// Eight bytes, which no field that is read has.
    Other,
}

/// The fields of a protobuf message (<https://protobuf.dev/programming-guides/encoding/>); `None` once where it is broken.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number in groups of seven bits, the low ones first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for group in 0..10 {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f).checked_shl(7 * group)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let key = self.number()?;
        let wire = match key & 7 {
            0 => Wire::Number(self.number()?),
            1 => self.take(8).map(|_| Wire::Other)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((key >> 3, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let six = (bits >> (18 - 6 * digit)) & 63;
            let known = DIGITS.get(six as usize).filter(|_| digit <= three.len());
            text.push(known.map_or('=', |digit| char::from(*digit)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_its_rfc() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in pairs {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn a_model_that_is_none_is_refused_and_nothing_panics() {
        for bytes in [&b""[..], b"\0", b"<html>", &[0x0a, 0xff], &[0xff; 32], &[0x0a, 2, 0x0a, 9], &[0x12, 2, 0x18, 1]]
        {
            assert!(matches!(SentencePieces::parse("spiece.model", bytes), Err(Error::Tokenizer { .. })), "{bytes:?}");
        }
    }
}
