//! The crate against a stand-in of the Hub on the loopback address.

mod stand_in;
mod world;

#[cfg(unix)]
mod cached;
mod faults;
mod fetch;
mod refusals;
