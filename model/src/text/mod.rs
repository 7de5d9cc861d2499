//! From a prompt to what a transformer is conditioned on: tokenizers and text encoders.
//!
//! Each encoder is read from the `config.json` and the weights of a transformers checkpoint, under the names found there.

mod attention;
pub mod clip;
mod clip_vocabulary;
mod embedding;
mod place;
mod prompt_reader;
mod sentencepiece;
pub mod t5;
pub mod tokenizer;

pub use self::clip::{ClipText, ClipTextConfig, ClipTextOutput};
pub(crate) use self::place::{Place, row};
pub use self::prompt_reader::{PromptReader, Reading, Tokens};
pub(crate) use self::sentencepiece::SentencePieces;
pub use self::t5::{T5Config, T5Encoder};
pub use self::tokenizer::{Encoded, Frame, Tokenizer, refuses_by_panic};

use std::ops::ControlFlow;

use candle_core::Tensor;

/// Called with the hidden states (b, l, c) a text encoder has just computed: first the embeddings, then the output of
/// every layer. [`ControlFlow::Break`] cancels the encoding.
pub type OnHidden<'a> = &'a mut dyn FnMut(&Tensor) -> ControlFlow<()>;
