//! Parquet: written with bytes that are promised, read with limits.
//!
//! ```text
//! encode ──▶ row_group ──▶ file     pages made by hand, described, put one after another under a footer
//! reader ──▶ decode                 files of anybody's held against limits first; pages of ours read by hand
//! ```
//!
//! Which columns a file has is for others to say.

pub mod encode;
pub mod decode;
pub mod row_group;
pub mod reader;
pub mod file;
