//! What touches a disk.
//!
//! ```text
//! open         a path looked at, then opened or read whole, up to a limit
//! read_at      bytes by offset: what random access needs
//! checksum     what bytes are held against
//! atomic       a file created if its name is free, replaced, published: whole or not at all
//! folder_lock  who may write into a folder
//! trust        whether a folder is in nobody else's hands
//! door         code of others over bytes of others, whose panics are errors
//! ```
//!
//! A file under its final name is complete, because [`atomic`] is the only place that publishes one. Nothing here knows
//! what is in a file.

pub mod class;
pub mod error;
pub mod open;
pub mod read_at;
pub mod checksum;
pub mod atomic;
pub mod folder_lock;
pub mod trust;
pub mod door;

pub use error::Error;
