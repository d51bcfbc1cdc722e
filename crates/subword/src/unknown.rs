//! Characters without a token, in byte-pair encodings that do not spell them in bytes.
//!
//! Nothing merges with what stands for them, so what is between them is merged by itself.

use crate::atoms::Atoms;
use crate::merges::{Merges, NO_TOKEN};
use crate::merging::Workspace;
use crate::unicode::length;

/// What becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// This token; neighbors are one together if it fuses.
    Token { id: u32, fuses: bool },
    /// Nothing, and what is around them is merged as if they were not there.
    LeftOut,
}

impl Unknown {
    /// Whether more than the two characters around it decides what is made of a place in a word.
    pub(crate) fn looks_far(self) -> bool {
        !matches!(self, Self::Token { fuses: false, .. })
    }

    /// Appends the tokens of `word`, which is UTF-8.
    pub(crate) fn encode(
        self,
        merges: &Merges,
        atoms: &Atoms,
        word: &[u8],
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) {
        let is_known = |at: usize| match word[at] {
            byte @ 0..0x80 => merges.byte(byte) != NO_TOKEN,
            _ => atoms.at(word, at).is_some(),
        };
        let mut known = Vec::new();
        let (mut at, mut is_fused) = (0, false);
        while at < word.len() {
            let start = at;
            while at < word.len() && is_known(at) {
                at += length(word[at]);
            }
            let is_last = at >= word.len();
            match self {
                Self::LeftOut => known.extend_from_slice(&word[start..at.min(word.len())]),
                Self::Token { .. } if start < at => {
                    merges.encode(atoms, &word[start..at.min(word.len())], work, out);
                    is_fused = false;
                }
                Self::Token { .. } => {}
            }
            if is_last {
                break;
            }
            if let Self::Token { id, fuses } = self
                && !(fuses && is_fused)
            {
                out.push(id);
                is_fused = true;
            }
            at += length(word[at]);
        }
        if !known.is_empty() {
            merges.encode(atoms, &known, work, out);
        }
    }
}
