//! Where a file's bytes come from: the Hub's address, and the signed one it leads to for an hour.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ureq::http::Uri;

use crate::client::{BODY_STALLS, FinalAnswer, RATE_MIN, WantedBytes};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::refusal::{Asked, refusal};
use crate::repo::Revision;
use crate::tree::RemoteFile;

/// The addresses of one file, shared by the workers that fetch it.
pub(crate) struct FileSource<'h> {
    hub: &'h Hub<'h>,
    file: &'h RemoteFile,
    revision: Revision,
    resolve: Uri,
    /// Where the Hub's address led the last time.
    signed: Mutex<Option<Uri>>,
    renewals: AtomicU64,
}

impl<'h> FileSource<'h> {
    pub(crate) fn new(hub: &'h Hub<'h>, file: &'h RemoteFile) -> Self {
        let revision = Revision::from(&file.commit);
        let resolve = hub.settings().endpoint.resolve(&file.repo, &revision, &file.path);
        Self { hub, file, revision, resolve, signed: Mutex::new(None), renewals: AtomicU64::new(0) }
    }

    /// Asks for some bytes, or for the whole file. The answer's status is a success.
    ///
    /// Where an address that was good before is refused, the Hub is asked for another at once.
    pub(crate) fn open(&self, bytes: Option<(u64, u64)>) -> Result<FinalAnswer> {
        let known = self.lock().clone();
        if let Some(address) = known {
            let answer = self.ask(&address, bytes)?;
            if !self.is_expired(&answer) {
                return self.accept(answer);
            }
            let mut signed = self.lock();
            if signed.as_ref() == Some(&address) {
                *signed = None;
                self.renewals.fetch_add(1, Ordering::Relaxed);
            }
        }
        // The others wait for the one that asks, and need not ask the Hub too.
        let mut signed = self.lock();
        if let Some(address) = signed.clone() {
            drop(signed);
            return self.accept(self.ask(&address, bytes)?);
        }
        let answer = self.ask(&self.resolve, bytes)?;
        self.check_announced(&answer)?;
        // A store that fails now is asked again at the same address.
        let led_to_a_store = !answer.is_of(&self.hub.settings().endpoint) && !self.is_expired(&answer);
        if answer.status.is_success() || led_to_a_store {
            *signed = Some(answer.address.clone());
        }
        self.accept(answer)
    }

    /// How often an address was replaced because it had expired.
    pub(crate) fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Relaxed)
    }

    fn accept(&self, answer: FinalAnswer) -> Result<FinalAnswer> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        let asked = Asked { repo: &self.file.repo, revision: &self.revision, file: &self.file.path };
        Err(refusal(&answer, &asked, self.hub.settings()))
    }

    /// Whether another address may be accepted where this one was not: signatures expire and stores move.
    fn is_expired(&self, answer: &FinalAnswer) -> bool {
        let refused = matches!(answer.status.as_u16(), 400 | 401 | 403 | 404 | 410 | 416);
        refused && !answer.is_of(&self.hub.settings().endpoint)
    }

    fn ask(&self, address: &Uri, bytes: Option<(u64, u64)>) -> Result<FinalAnswer> {
        self.hub.keep_pace(address)?;
        let length = bytes.map_or(self.file.size, |(start, end)| end - start);
        let stall = self.hub.settings().stall_timeout;
        // What comes at the least rate is in time.
        let body_max = BODY_STALLS * stall + Duration::from_secs(length / RATE_MIN);
        self.hub.client.get_wanted(address, WantedBytes { bytes, body_max })
    }

    /// Fails if the Hub speaks of other content than the one that is wanted.
    fn check_announced(&self, answer: &FinalAnswer) -> Result<()> {
        match (&answer.digest, answer.linked_size) {
            (Some(digest), _) if *digest != self.file.hash => {
                Err(self.changed(self.file.hash.to_string(), digest.to_string()))
            }
            (_, Some(size)) if size != self.file.size => Err(self.changed_size(size)),
            _ => Ok(()),
        }
    }

    /// The error of a file that has another size than the one that is wanted.
    pub(crate) fn changed_size(&self, announced: u64) -> Error {
        self.changed(format!("{} bytes", self.file.size), format!("{announced} bytes"))
    }

    fn changed(&self, expected: String, announced: String) -> Error {
        Error::Changed { repo: self.file.repo.clone(), file: self.file.path.clone(), expected, announced }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Uri>> {
        self.signed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
