//! Text to packed rows of token ids, exact and resumable.
//!
//! ```text
//!  input ─▶ read ───▶ block ─▶ pack ─▶ shard ─▶ files ───▶ recorder ─▶ commit
//!  files    stretches parse,   rows    counts   Parquet    records     places, manifest
//!           blocks    encode           └──────── lane ───────┘
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
mod shard;
mod files;
mod ordered;
mod task;
mod feeder;
mod lane;
mod recorder;
mod compare;
mod commit;
mod context;
mod license;
mod disk;
mod event;
pub mod plan;
pub mod run;
pub mod audit;
pub mod error;

pub use error::Error;
pub use event::{Event, Progress};
pub use plan::{Options, Plan, plan};
pub use run::{PartReport, Report, run};
