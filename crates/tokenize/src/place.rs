//! Where a plan's inputs and outputs are on this machine.

use std::path::Path;

/// Where a plan's inputs and outputs are on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The file or folder that the inputs' paths begin at.
    pub input: &'a Path,
    /// The output folder.
    pub output: &'a Path,
}
