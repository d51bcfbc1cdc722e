//! The loader, by what it delivers: against a dataset that the tests pack themselves, the plainest way.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it panics, and its files need not survive a crash"
)]

mod world;

mod damage;
mod delivery;
mod elastic;
mod example;
mod flips;
mod labels;
mod mixture;
mod order;
mod provenance;
