//! One file a command, in the order of the data's way.

pub(crate) mod download;
pub(crate) mod tokenize;
pub(crate) mod verify;
pub(crate) mod inspect;
pub(crate) mod report;
pub(crate) mod train;
pub(crate) mod quickstart;
pub(crate) mod doctor;
