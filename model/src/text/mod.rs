//! Text encoders and tokenizers.
