//! The crate against a stand-in for the Hub on the loopback address.

#![expect(clippy::disallowed_methods, reason = "tests make and change files as they like")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

mod stand_in;
mod site;
mod world;

#[cfg(unix)]
mod cached;
mod faults;
mod fetch;
mod refusals;
mod lists;
mod transfer;
#[cfg(unix)]
mod disk;
#[cfg(unix)]
mod kill;
