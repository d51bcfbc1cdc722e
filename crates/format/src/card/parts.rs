//! A split in the parts that it was divided into.

use crate::manifest::Split;

/// A split in the parts that it was divided into.
pub(super) struct Parts<'a> {
    pub(super) name: &'a str,
    pub(super) train: &'a Split,
    pub(super) validation: Option<&'a Split>,
}

impl Parts<'_> {
    pub(super) fn has_rows(&self) -> bool {
        self.train.sequences > 0 || self.validation.is_some_and(|split| split.sequences > 0)
    }
}
