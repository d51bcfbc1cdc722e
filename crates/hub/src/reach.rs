//! Whether there is a Hub at all, for who wants to know before anything is fetched.

use crate::client::Client;
use crate::error::Result;
use crate::settings::Settings;

/// Asks the endpoint anything. Whatever it answers, it is there.
///
/// # Errors
/// [`Error::Unreachable`](crate::Error::Unreachable) and, where it sends us in circles,
/// [`Error::NotAHub`](crate::Error::NotAHub).
pub fn reach(settings: &Settings) -> Result<()> {
    Client::new(settings.clone()).get(&settings.endpoint.root()).map(drop)
}
