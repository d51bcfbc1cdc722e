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
//! The crate reads no environment variable, prints nothing and never sleeps by
//! itself: [`Settings::from_env`] is given a look-up, and a pause between two
//! tries is handed to the caller as a [`Wait`].
//!
//! A token goes to the endpoint's own scheme, host and port and to no other, and
//! stands in no error and no `Debug` output.
//!
//! ```no_run
//! # fn main() -> Result<(), mashbill_hub::Error> {
//! use mashbill_hub::{Revision, Settings, Wait, tokenizer_files};
//!
//! let settings = Settings::from_env(&|name| std::env::var(name).ok())?;
//! let kept = std::path::Path::new("cache/tokenizers");
//! let wait = |wait: Wait<'_>| {
//!     eprintln!("{}; trying again in {:?}", wait.why, wait.duration);
//!     std::thread::sleep(wait.duration);
//! };
//! let files = tokenizer_files(&"org/name".parse()?, &Revision::main(), &settings, kept, &wait)?;
//! println!("{} bytes at commit {}", files.tokenizer.contents.len(), files.commit);
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make and change files as they like"))]

mod cache;
mod client;
mod digest;
mod error;
mod proxy;
mod refusal;
mod repo;
mod retry;
mod settings;
mod token;
mod tokenizer_files;
mod url;

pub use digest::Digest;
pub use error::{Error, Result, Unreachable};
pub use proxy::{Proxies, Proxy};
pub use repo::{Commit, RepoId, Revision};
pub use retry::Wait;
pub use settings::Settings;
pub use token::{Token, TokenSource};
pub use tokenizer_files::{FileOrigin, HubFile, Incomplete, TokenizerFiles, tokenizer_files};
pub use url::{Endpoint, Origin};
