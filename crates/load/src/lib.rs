//! Packed rows as training batches.
//!
//! ```text
//!  manifest.json ──▶ dataset ──▶ mix ─────▶ order ─────▶ stream ───▶ rows ────────▶ batch ───▶ loader
//!                    rows by     which      which row    the rows    pages or       ids,       threads ahead,
//!                    number      source     of it        of a step   decoded cache  labels     state behind
//! ```
//!
//! Which row stands at which place is a pure function of the seed and of numbers that fit into a few hundred
//! bytes ([`LoaderState`]): nothing is drawn, kept or replayed. So a run goes on exactly where it was, with another
//! world size, batch size or number of threads, and the way from a batch to its documents and back is
//! arithmetic.
//!
//! The crate reads local folders through [`mashbill_store::read_at::ReadAt`] and starts threads only in
//! [`Loader`]. It does not know Python, and it never writes but into a cache folder it is given.

mod error;
mod dataset;
mod mix;
mod order;
mod ordered_rows;
mod stream_options;
mod schedule;
mod stream;
mod whole;
mod rows;
mod cache;
mod batch;
mod loader;
mod table;
mod entry;
mod locate;
mod sources;

pub use batch::{Batch, BatchDocuments, Columns, LabelAlignment};
pub use cache::{CachedShard, build_cache};
pub use dataset::{Dataset, DatasetShard, DatasetSplit};
pub use error::{Error, Result};
pub use loader::{Loader, LoaderOptions, OnError};
pub use locate::{Appearance, LocatedDocument, LocatedRow, Locator};
pub use mashbill_format::recipe::{LastBatch, LoaderState, Shuffle, Stage};
pub use mix::{Mixture, Target};
pub use order::{Order, Permutation};
pub use schedule::Step;
pub use sources::Sources;
pub use stream::Stream;
pub use stream_options::StreamOptions;
pub use table::DatasetTable;
