//! Characters that can be taken as one token from the start.
//!
//! Merging starts from bytes, and text beyond ASCII has two to four of them for each character, so
//! most merges only put characters together again. For most characters that work is known in
//! advance. Let the bytes of a character, alone, become one token by merges of rank `r` at most.
//! If every merge that joins an unfinished part of the character with something outside has a
//! higher rank than `r`, then no such merge happens before the character is complete, for as long
//! as it isn't, a merge of lower rank is waiting. And if every merge of the complete character with
//! something has a higher rank than `r`, too, then it makes no difference to anything else that the
//! character is complete early. Such a character is an atom. What stands before it is known when a
//! word is encoded, so what ends in an ASCII byte (a space, above all) and what doesn't are told
//! apart.

use std::collections::HashMap;

use crate::merges::{Merge, Merges, NONE, Pair};
use crate::pages::Table;

/// Set if the character is an atom after what ends in an ASCII byte.
const AFTER_ASCII: u32 = 1 << 31;

/// The atoms of the basic multilingual plane, or all characters where merging begins with characters.
#[derive(Debug)]
pub(crate) struct Atoms {
    /// The token of each atom, by code point; [`NONE`] for others. Atoms are so after other than
    /// ASCII, or at the beginning.
    tokens: Table<u32>,
    /// Those of other planes.
    beyond: HashMap<u32, u32>,
}

impl Atoms {
    /// All of `characters`, none of which is in ASCII, with their tokens.
    pub(crate) fn all(characters: &HashMap<char, u32>) -> Self {
        let mut this = Self { tokens: Table::new(NONE, 1 << 16), beyond: HashMap::new() };
        for (c, token) in characters {
            let code_point = u32::from(*c);
            match u16::try_from(code_point) {
                Ok(code_point) => this.tokens[usize::from(code_point)] = token | AFTER_ASCII,
                Err(_) => drop(this.beyond.insert(code_point, *token)),
            }
        }
        this
    }

    /// `merges` and `list` are the same merges.
    pub(crate) fn new(merges: &Merges, list: &[Merge]) -> Self {
        let least = LeastRanks::new(merges, list);
        let mut tokens = Table::new(NONE, 1 << 16);
        for c in (0x80..0x10000).filter_map(char::from_u32) {
            if let Some(token) = least.atom(merges, c.encode_utf8(&mut [0; 4]).as_bytes()) {
                tokens[c as usize] = token;
            }
        }
        Self { tokens, beyond: HashMap::new() }
    }

    /// The token of the character that begins at `at` in `word`, and its length in bytes, if it is
    /// an atom there. `word` may begin and end anywhere in UTF-8.
    #[inline(always)]
    pub(crate) fn at(&self, word: &[u8], at: usize) -> Option<(u32, usize)> {
        let continued = |i: usize| {
            word.get(at + i).filter(|&byte| byte & 0xc0 == 0x80).map(|byte| usize::from(byte & 0x3f))
        };
        let lead = usize::from(word[at]);
        let (code_point, len) = match lead {
            0xc2..=0xdf => ((lead & 0x1f) << 6 | continued(1)?, 2),
            0xe0..=0xef => ((lead & 0x0f) << 12 | continued(1)? << 6 | continued(2)?, 3),
            0xf0..=0xf4 if !self.beyond.is_empty() => {
                let rest = continued(1)? << 12 | continued(2)? << 6 | continued(3)?;
                return self.beyond.get(&((lead & 0x07) << 18 | rest).try_into().ok()?).map(|id| (*id, 4));
            }
            _ => return None,
        };
        let token = self.tokens[code_point];
        let after_ascii = at > 0 && word[at - 1] < 0x80;
        if token == NONE || after_ascii && token & AFTER_ASCII == 0 {
            return None;
        }
        Some((token & !AFTER_ASCII, len))
    }
}

/// For each token, the least rank of the merges it has a part in where characters meet: merges
/// whose right part begins inside a character don't count.
struct LeastRanks {
    /// As the left part.
    left: Vec<u32>,
    /// As the right part, where the left ends in an ASCII byte.
    after_ascii: Vec<u32>,
    /// As the right part, where the left ends in another byte.
    after_other: Vec<u32>,
}

impl LeastRanks {
    fn new(merges: &Merges, list: &[Merge]) -> Self {
        let ends = ends(merges, list);
        let none = vec![NONE; merges.lens().len()];
        let mut this = Self { left: none.clone(), after_ascii: none.clone(), after_other: none };
        for (rank, merge) in (0..).zip(list) {
            let ([_, last], [first, _]) = (ends[merge.left as usize], ends[merge.right as usize]);
            if first & 0xc0 == 0x80 {
                continue;
            }
            let right = if last < 0x80 { &mut this.after_ascii } else { &mut this.after_other };
            for least in [&mut this.left[merge.left as usize], &mut right[merge.right as usize]] {
                *least = rank.min(*least);
            }
        }
        this
    }

    /// The entry for the character with these bytes, if it is an atom.
    fn atom(&self, merges: &Merges, bytes: &[u8]) -> Option<u32> {
        let mut parts = [0; 4];
        let mut len = bytes.len();
        for (part, &byte) in parts.iter_mut().zip(bytes) {
            *part = merges.byte(byte);
        }
        let (mut greatest, mut outside, mut outside_ascii) = (0, NONE, NONE);
        while len > 1 {
            let rank = |at: usize| merges.rank(Pair::new(parts[at], parts[at + 1]));
            let (rank, at) = (0..len - 1).map(|at| (rank(at), at)).min()?;
            if rank == NONE {
                return None;
            }
            greatest = rank.max(greatest);
            let (first, last) = (parts[0] as usize, parts[len - 1] as usize);
            outside = outside.min(self.after_other[first]).min(self.left[last]);
            outside_ascii = outside_ascii.min(self.after_ascii[first]);
            parts[at] = merges.merged(rank);
            parts.copy_within(at + 2..len, at + 1);
            len -= 1;
        }
        let token = parts[0];
        for least in [&self.left, &self.after_other, &self.after_ascii] {
            outside = outside.min(least[token as usize]);
        }
        let mark = if outside_ascii > greatest { AFTER_ASCII } else { 0 };
        (outside > greatest).then_some(token | mark)
    }
}

/// The first and the last byte of each token.
fn ends(merges: &Merges, list: &[Merge]) -> Vec<[u8; 2]> {
    let mut ends = vec![None; merges.lens().len()];
    for byte in 0..=255 {
        if let Some(ends) = ends.get_mut(merges.byte(byte) as usize) {
            *ends = Some([byte; 2]);
        }
    }
    // A merged token mostly comes after its parts; where it doesn't, another round finds it.
    let mut found = true;
    while std::mem::take(&mut found) {
        for merge in list.iter() {
            if ends[merge.merged as usize].is_none()
                && let (Some([first, _]), Some([_, last])) =
                    (ends[merge.left as usize], ends[merge.right as usize])
            {
                ends[merge.merged as usize] = Some([first, last]);
                found = true;
            }
        }
    }
    // What isn't made of bytes never occurs.
    ends.into_iter().map(Option::unwrap_or_default).collect()
}
