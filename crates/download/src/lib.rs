//! The curriculum: which datasets there are, which are missing, and how they become JSON Lines.
//!
//! ```text
//!  catalog ──▶ pin ──▶ budget ──▶ plan ──▶ fetch ──▶ convert ──▶ <category>/<name>.jsonl + .stats.json
//!  what, how   commit,  how much   files,   Hub,      rows,
//!  much        files    of each    bytes    verified  checkpoint
//! ```
//!
//! [`plan()`] says what a run would do, [`run()`] does it, and [`status()`] looks at what is there
//! without asking anybody. The library is silent: it reports through events and its [`Report`].

pub mod catalog;
mod glob;
mod card;
mod choice;
mod pin;
pub mod estimate;
pub mod status;
pub mod budget;
pub mod plan;
pub mod convert;
pub mod run;
pub mod audit;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;

pub use catalog::{Catalog, Selection};
pub use error::Error;
pub use plan::{Budget, Options, Plan, plan};
pub use run::{Event, Report, run};
pub use status::{Status, status};
