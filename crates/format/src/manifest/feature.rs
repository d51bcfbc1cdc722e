//! What a reader may have to know, besides the format's version, to read a folder rightly.

/// A name in [`requires`](super::Manifest::requires) that this mashbill knows: a folder that names another one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Not all tokens are learned: shards and document tables have the column [`loss_spans`](crate::loss_spans).
    LossSpans,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::LossSpans];

    /// The name in the manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LossSpans => crate::loss_spans::COLUMN,
        }
    }

    /// The feature of this name; none where nobody knows it here.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }
}
