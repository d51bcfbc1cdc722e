//! Text to packed rows of token ids, exact and resumable.
//!
//! ```text
//!  input ─▶ read ─▶ block ─▶ pack ─▶ unit ─▶ shards ─▶ split ─▶ run
//!  files    cut     parse,   rows    journal  Parquet  commit   manifest
//!                   encode
//! ```
//!
//! [`plan()`] looks at what there is and says what a run would do; [`run()`] does it.
//! The library is silent: it reports through events and its [`Report`].
//! It knows no command line, no environment and no terminal.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make and change files as they like"))]

pub mod tokenizer;

pub mod input;
mod read;
mod block;
mod pack;
mod pool;
mod unit;
mod shards;
mod recorder;
mod grow;
mod ordered;
mod split;
mod license;
mod disk;
pub mod plan;
pub mod run;
pub mod audit;
pub mod error;

pub use error::Error;
pub use plan::{Options, Plan, plan};
pub use run::{Event, Report, run};
