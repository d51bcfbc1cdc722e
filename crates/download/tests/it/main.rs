//! Conversion of every dataset of the catalogue, and of what goes wrong.

#![expect(clippy::disallowed_methods, reason = "tests make and change files as they like")]

mod samples;
mod interruption;
mod formats;
mod chats;
mod bombs;
mod hostile_hub;
mod mutated;
