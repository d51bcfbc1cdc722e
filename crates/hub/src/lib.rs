//! The Hugging Face Hub: what it calls a repository, where its files lie, and how they are fetched.
//!
//! ```text
//!  Settings ──▶ tokenizer_files(repo, revision) ──▶ 1. the Hub's own cache on this machine, read only
//!  (from the                                        2. the folder of files kept by earlier runs
//!  environment)                                     3. the endpoint: GET <repo>/resolve/<revision>/<file>
//! ```
//!
//! What is found on this machine is used without asking the network, so a second
//! run needs none; the price is that a branch which has moved on is not noticed
//! until its revision is named. What is fetched is bound to one commit, checked
//! against the hash that the Hub announces, and kept under its final name only then.
//!
//! Datasets are fetched by a [`Hub`], which is made once and shared by all workers:
//!
//! ```text
//!  Hub ──▶ dataset(repo, revision) ──▶ the commit, and who may have it      1 request
//!      ──▶ tree(repo, commit, folder) ──▶ files with sizes and hashes       1 request for 1,000 files
//!      ──▶ fetch(file, destination) ──▶ the file there itself, the Hub's cache, or the endpoint:
//!                                        <destination>.part, resumed, checked, then <destination>
//! ```
//!
//! ```no_run
//! # fn main() -> Result<(), mashbill_hub::Error> {
//! use std::sync::atomic::AtomicBool;
//!
//! use mashbill_hub::{Hub, RepoId, Revision, Settings, Transfer, Wait, sleep};
//!
//! let settings = Settings::from_env(&|name| std::env::var(name).ok())?;
//! let interrupted = AtomicBool::new(false);
//! let wait = |wait: Wait<'_>| sleep(wait.duration, &interrupted);
//! let hub = Hub::new(settings, Transfer::default(), &interrupted, &wait);
//! let repo = RepoId::dataset("openai/gsm8k")?;
//! let commit = hub.dataset(&repo, &Revision::main())?.commit;
//! for file in hub.tree(&repo, &commit, "main")? {
//!     let fetched = hub.fetch(&file, &std::path::Path::new("raw").join(&file.path), &|_done| ())?;
//!     println!("{}: {} bytes moved, {} reused", file.path, fetched.moved_bytes, fetched.reused_bytes);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The crate reads no environment variable, prints nothing and never sleeps by
//! itself: [`Settings::from_env`] is given a look-up, and a pause between two
//! tries is handed to the caller as a [`Wait`] ([`sleep`] is there for them).
//!
//! A token goes to the endpoint's own scheme, host and port and to no other, and
//! stands in no error and no `Debug` output, whatever a server says: its words are
//! masked and escaped before they are handed on.
//!
//! Nothing that a server does takes memory or time without a bound: the limits stand
//! as constants in `client`, `tree`, `dataset`, `tokenizer_files`, `retry` and `limits`.
//!
//! ```no_run
//! # fn main() -> Result<(), mashbill_hub::Error> {
//! use mashbill_hub::{Revision, Settings, Wait, Waiting, tokenizer_files};
//!
//! let settings = Settings::from_env(&|name| std::env::var(name).ok())?;
//! let kept = std::path::Path::new("cache/tokenizers");
//! let wait = |wait: Wait<'_>| {
//!     eprintln!("{}; trying again in {:?}", wait.why, wait.duration);
//!     std::thread::sleep(wait.duration);
//! };
//! let (repo, waiting) = ("org/name".parse()?, Waiting::default());
//! let files = tokenizer_files(&repo, &Revision::main(), &settings, Some(kept), &wait, &waiting)?;
//! println!("{} bytes at commit {}", files.tokenizer.contents.len(), files.commit);
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make and change files as they like"))]

mod words;
mod error;
mod repo;
mod url;
mod token;
mod proxy;
mod settings;
mod digest;
mod limits;
mod client;
mod reach;
mod refusal;
mod retry;
mod waiting;
mod hub;
mod cache;
mod tokenizer_files;
mod card;
mod dataset;
mod tree;
mod transfer;
mod connections;
mod ranges;
mod part;
mod source;
mod receive;
mod fetch;
mod local;
mod space;
#[doc(hidden)]
pub mod fuzzing;

pub use card::{Config, ConfigSplit};
pub use dataset::{DatasetInfo, Gated};
pub use digest::{Digest, DigestHasher};
pub use error::{Error, Result, Unreachable};
pub use hub::{Hub, sleep};
pub use part::{Partial, discard, partial};
pub use proxy::{Proxies, Proxy};
pub use reach::reach;
pub use repo::{Commit, RepoId, RepoKind, Revision};
pub use retry::Wait;
pub use settings::Settings;
pub use space::{check_space, free_space};
pub use token::{AccessToken, TokenSource};
pub use tokenizer_files::{FileOrigin, HubFile, HubTokenizerFiles, Incomplete, tokenizer_files};
pub use transfer::{Fetched, Transfer};
pub use tree::RemoteFile;
pub use url::{Endpoint, Origin};
pub use waiting::Waiting;
