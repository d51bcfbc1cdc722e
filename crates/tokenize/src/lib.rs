//! Text to packed rows of token ids, exact and resumable.
//!
//! ```text
//!  input ─▶ read ───▶ block ─▶ pack ─▶ shard ─▶ files ───▶ recorder ─▶ commit
//!  files    stretches parse,   rows    counts   Parquet    records     places, manifest
//!           blocks    encode           └──────── lane ───────┘
//! ```
//!
//! [`plan()`] looks at what there is and says what a run would do; [`run()`] does it. The same work in steps, for many
//! processes: [`begin()`] writes down what is to be made, [`make()`] makes one of its [`tasks()`], [`commit()`] ends it.
//! The library is silent: it reports through events and its [`Report`].
//! It knows no command line, no environment and no terminal.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make and change files as they like"))]

mod options;
mod split_input;
mod split_names;
pub mod input;
pub mod group;
mod split_plan;
mod place;
mod folder;
mod template;
mod read;
mod documents;
mod sampling;
mod chat;
mod block;
mod preview;
mod probe;
mod pack;
mod worker;
mod shard;
mod files;
mod ordered;
mod task;
mod feeder;
mod lane;
mod recorder;
mod made;
mod compare;
mod card;
mod context;
mod interruption;
mod license;
mod disk;
mod event;
pub mod plan;
mod reply;
mod report;
mod make;
mod commit;
pub mod run;
pub mod audit;
pub mod error;

pub use card::CardReport;
pub use commit::commit;
pub use error::Error;
pub use event::{Event, Progress};
pub use make::{make, tasks};
pub use place::Place;
pub use plan::{Options, Plan, plan};
pub use preview::{Preview, PreviewedRecord, PreviewedText, read_record};
pub use probe::{Probe, Probed, example, probes};
pub use report::{PartReport, Report};
pub use run::{Planned, begin, run};
pub use template::{TemplateOptions, taken_apart, template};
