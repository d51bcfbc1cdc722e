//! Text to packed rows of token ids, exact and resumable.

pub mod tokenizer;
