//! The contract: every file mashbill puts on disk.
//!
//! ```text
//!  catalog/<category>/<name>.toml ──▶ download ──▶ <category>/<name>.jsonl        records
//!        dataset                                   <category>/<name>.stats.json   source, license, counts
//!                                                  curriculum.lock                commits, files, hashes
//!
//!  <category>/<name>.jsonl ──▶ tokenize ──▶ <output>/<split>/shard_NNNN.parquet   packed rows
//!        record                                            _documents/            where each document stands
//!                                                          <split>_stats.json     counts, timings
//!                                                          <split>_rejects.jsonl  refused lines
//!                                           <output>/manifest.json                what is complete
//!                                           <output>/README.md                    the dataset card
//!                                           <output>/.mashbill/                   plan and records of a run that goes on
//! ```
//!
//! Each file has one module here with its type, its path, its writer and its
//! reader. This crate knows no tokenizer, no network, no thread pool and no terminal.

pub mod error;
pub mod figures;
pub mod held_out;
pub mod layout;
pub mod name;
pub mod catalog;
pub mod untaken;
pub mod lock;
pub mod dataset_stats;
pub mod special_tokens;
pub mod chat;
pub mod loss_spans;
pub mod shard;
pub mod documents;
pub mod row_cache;

pub mod task;
pub mod stats;
pub mod manifest;
pub mod find;
pub mod card;
pub mod split_rows;
pub mod recipe;
pub mod training_run;

pub use error::Error;
