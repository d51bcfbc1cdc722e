//! Special tokens that a text spells out: whoever meets the choice (command line, manifest, Python) spells it in one way.

use serde::{Deserialize, Serialize};

/// What becomes of special tokens that are spelled out in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpecialTokensInText {
    /// They become their ids, as in the reference.
    Encode,
    /// They are text like any other.
    Split,
    /// A document that has one is refused.
    Reject,
}

impl SpecialTokensInText {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Encode, Self::Split, Self::Reject];

    /// The name on command lines and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encode => "encode",
            Self::Split => "split",
            Self::Reject => "reject",
        }
    }

    /// What a file calls `name`; none where this version knows no such choice.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_spell_the_choice_by_its_name() {
        for choice in SpecialTokensInText::ALL {
            let spelled = serde_json::to_value(choice).expect("a name");
            assert_eq!(spelled, choice.name());
            assert_eq!(SpecialTokensInText::named(choice.name()), Some(choice));
        }
        assert_eq!(SpecialTokensInText::named("Encode"), None);
    }
}
