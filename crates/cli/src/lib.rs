//! The Hugging Face Hub.
