//! A whole dataset, or a training run, on one HTML page that needs nothing else.
//!
//! ```text
//!  tokenized folder ─┐
//!  folder of records ┼─▶ one pass of `verify`, looked at by a thread each ─▶ DatasetPage ─▶ HTML
//!                    ┘
//!  training run ───────▶ its records, line by line ────────────────────────▶ RunPage ─────▶ HTML
//! ```
//!
//! A page is bounded: lists, curves and rows to look at have a most, so its size does not depend on the dataset's, nor does
//! the memory that making it takes. What it shows of a tokenizer or of the curriculum is given by whoever asks.

mod error;
mod pass;
mod page;
mod names;
mod duplicates;
mod scripts;
mod targets;
mod said;
mod tokenized;
mod records;
mod curve;
mod yaml;
mod training;

pub use error::{Error, Result};
pub use page::{DatasetPage, VerifyVerdict};
pub use pass::Pass;
pub use records::of_records;
pub use tokenized::{Spell, of_tokenized};
pub use training::{RunPage, of_run};
