//! The Hub as a run sees it: one set of connections, limits and patience for all its workers.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::Uri;

use crate::client::Client;
use crate::connections::Connections;
use crate::error::{Error, Result};
use crate::retry::{PAUSE_MAX, Wait, with_retries};
use crate::settings::Settings;
use crate::transfer::Transfer;
use crate::url::Origin;
use crate::waiting::Waiting;

/// A Hub. All methods may be called from many threads at once, which then share its connections and obey its
/// rate limits together.
///
/// Every call waits through failures that another try may mend, and gives up with [`Error::Interrupted`] after
/// the caller's flag is raised: at the next piece that arrives, or when a silent connection is given up.
pub struct Hub<'a> {
    pub(crate) client: Client,
    pub(crate) transfer: Transfer,
    pub(crate) connections: Connections,
    waiting: Waiting,
    interrupted: &'a AtomicBool,
    wait: &'a (dyn Fn(Wait<'_>) + Sync),
}

impl<'a> Hub<'a> {
    /// The Hub of these settings. Nothing is sent yet.
    ///
    /// `wait` is given each pause before another try and each that a rate limit asks for, and sleeps through
    /// it ([`sleep`] does, and looks at `interrupted`); it may tell a user why. It is called by any thread.
    #[must_use]
    pub fn new(
        settings: Settings,
        transfer: Transfer,
        interrupted: &'a AtomicBool,
        wait: &'a (dyn Fn(Wait<'_>) + Sync),
    ) -> Self {
        let connections = Connections::new(transfer.connections);
        Self {
            client: Client::new(settings),
            transfer,
            connections,
            waiting: Waiting::default(),
            interrupted,
            wait,
        }
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.client.settings()
    }

    /// What it is asked for at the moment, files aside, of which their progress is told.
    #[must_use]
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// How many requests were sent so far, to whatever server, redirects included.
    #[must_use]
    pub fn requests_sent(&self) -> u64 {
        self.client.requests_sent()
    }

    /// Fails if the caller wants no more.
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Waits.
    pub(crate) fn pause(&self, wait: Wait<'_>) -> Result<()> {
        self.go_on()?;
        if !wait.duration.is_zero() {
            (self.wait)(wait);
        }
        self.go_on()
    }

    /// Waits until the server that `address` names wants another request.
    pub(crate) fn keep_pace(&self, address: &Uri) -> Result<()> {
        self.go_on()?;
        let duration = self.client.book(address);
        if duration.is_zero() {
            return Ok(());
        }
        let origin = Origin::of(address).expect("addresses are checked where they are made");
        let why = Error::RateLimited { origin, retry_after: Some(duration) };
        if duration > PAUSE_MAX {
            return Err(why);
        }
        self.pause(Wait { duration, failures: 0, why: &why })
    }

    /// Asks, and asks again as long as that may help.
    pub(crate) fn persist<T>(&self, attempt: impl FnMut() -> Result<T>) -> Result<T> {
        with_retries(&|wait| drop(self.pause(wait)), attempt)
    }
}

impl fmt::Debug for Hub<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("settings", self.settings()).field("transfer", &self.transfer).finish()
    }
}

/// Sleeps through `duration`, or until `interrupted` is raised.
pub fn sleep(duration: Duration, interrupted: &AtomicBool) {
    const NAP: Duration = Duration::from_millis(100);
    let end = Instant::now() + duration;
    while !interrupted.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(NAP));
    }
}
