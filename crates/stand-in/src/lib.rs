//! A stand-in of the Hugging Face Hub on the loopback address.
//!
//! It speaks as much of the Hub's protocol as clients need to list and fetch files,
//! on two origins as the real one does: the Hub answers questions and small files
//! itself and redirects to a store with signed, expiring addresses for large ones.
//! `mashbill quickstart` begins with a download from it, and the tests let it fail in
//! every way they can think of. That it is faithful is shown by the official clients,
//! which are run against it.
//!
//! What it leaves out: writing, Xet's own protocol, pages for people.
//!
//! ```
//! use mashbill_stand_in::{Content, Repo, RepoType, Site, StandIn};
//!
//! let mut repo = Repo::new(RepoType::Dataset, "org/name");
//! repo.put("main", "data.jsonl", Content::from(b"{\"text\": \"hello\"}\n".to_vec()));
//! let stand_in = StandIn::start(Site::default()).expect("a free port");
//! stand_in.put(repo);
//! println!("HF_ENDPOINT={}", stand_in.endpoint());
//! ```

mod content;
mod repo;
mod site;
mod fault;
mod http;
mod shared;
mod server;
mod limits;
mod hub;
mod store;
mod control;

use std::io;
use std::sync::Arc;

pub use content::Content;
pub use fault::{Fault, Rule};
pub use repo::{Access, Repo, RepoType};
pub use shared::{OriginName, SeenRequest};
pub use site::{Site, User};

use server::Server;
use shared::Shared;

/// Both origins, served until this is dropped.
#[derive(Debug)]
pub struct StandIn {
    shared: Arc<Shared>,
    hub: Server,
    store: Server,
}

impl StandIn {
    /// Starts both origins on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// No port could be had.
    pub fn start(site: Site) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(site));
        let store = Server::start(OriginName::Store, Arc::clone(&shared))?;
        shared.set_store(&store.address());
        let hub = Server::start(OriginName::Hub, Arc::clone(&shared))?;
        shared.set_hub(&hub.address());
        Ok(Self { shared, hub, store })
    }

    /// The Hub's address, for `HF_ENDPOINT`: `http://127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.hub.address()
    }

    /// The store's address, which no client needs to know.
    #[must_use]
    pub fn store(&self) -> String {
        self.store.address()
    }

    /// Adds a repository. One of the same name is replaced, its commits can still be had.
    pub fn put(&self, repo: Repo) {
        self.shared.put(repo);
    }

    /// Lets requests go wrong from now on; the first rule that matches and is not used up counts.
    pub fn fail(&self, rule: Rule) {
        self.shared.add_rule(rule);
    }

    /// Forgets all rules.
    pub fn mend(&self) {
        self.shared.clear_rules();
    }

    /// The requests so far, in the order in which they were answered.
    #[must_use]
    pub fn log(&self) -> Vec<SeenRequest> {
        self.shared.log()
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        self.shared.clear_log();
    }
}
