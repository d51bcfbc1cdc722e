//! The tokens that a text begins with, in one walk through it.
//!
//! A double-array trie (J. Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure", 1989): the child of a
//! node by a byte lies where the node's base and the byte say, if it says in turn that it is that node's child.

use crate::words::Word;

/// No id, and no parent.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    /// The child by a byte is the node `base ^ byte`.
    base: u32,
    parent: u32,
    /// The token that ends here.
    id: u32,
}

impl Node {
    const FREE: Self = Self { base: 0, parent: NONE, id: NONE };
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Trie {
    /// The first is the root; a multiple of 256.
    nodes: Vec<Node>,
}

impl Trie {
    /// Of `words`, none of which is empty; of two that are the same the last one counts.
    pub(crate) fn new(words: &[Word]) -> Self {
        let mut sorted: Vec<&Word> = words.iter().collect();
        sorted.sort_by(|a, b| a.bytes.cmp(&b.bytes));
        let mut builder = Builder { nodes: vec![Node::FREE; 256], first_free: 1 };
        builder.nodes[0].parent = 0;
        // Those that share their first bytes, with how many they share and the node of those.
        let mut waiting = vec![(&*sorted, 0, 0)];
        while let Some((words, depth, node)) = waiting.pop() {
            let ending = words.iter().take_while(|word| word.bytes.len() == depth).count();
            if let Some(last) = words[..ending].last() {
                builder.nodes[node].id = last.id;
            }
            let children: Vec<&[&Word]> =
                words[ending..].chunk_by(|a, b| a.bytes[depth] == b.bytes[depth]).collect();
            let labels: Vec<u8> = children.iter().map(|words| words[0].bytes[depth]).collect();
            let base = builder.place(node, &labels);
            for (words, label) in children.into_iter().zip(labels) {
                waiting.push((words, depth + 1, base ^ usize::from(label)));
            }
        }
        Self { nodes: builder.nodes }
    }

    /// Calls `found` with the length in bytes and the id of each token that `text` begins with, the shortest first.
    #[inline(always)]
    pub(crate) fn prefixes(&self, text: &[u8], mut found: impl FnMut(usize, u32)) {
        let mut at = 0;
        for (depth, &byte) in text.iter().enumerate() {
            let child = self.nodes[at].base as usize ^ usize::from(byte);
            let node = self.nodes[child];
            if node.parent as usize != at || child == 0 {
                return;
            }
            if node.id != NONE {
                found(depth + 1, node.id);
            }
            at = child;
        }
    }

    /// The longest token that `text` begins with, and its length in bytes.
    #[inline(always)]
    pub(crate) fn longest(&self, text: &[u8]) -> Option<(usize, u32)> {
        let mut longest = None;
        self.prefixes(text, |len, id| longest = Some((len, id)));
        longest
    }

    /// The token that `text` is.
    pub(crate) fn get(&self, text: &[u8]) -> Option<u32> {
        self.longest(text).filter(|(len, _)| *len == text.len()).map(|(_, id)| id)
    }
}

/// A trie that is being made.
struct Builder {
    nodes: Vec<Node>,
    /// No node before this one is free.
    first_free: usize,
}

impl Builder {
    /// Finds room for the children of `node` by `labels`, takes it, and returns the base.
    fn place(&mut self, node: usize, labels: &[u8]) -> usize {
        let Some(&first) = labels.first() else { return 0 };
        while self.nodes.get(self.first_free).is_some_and(|node| node.parent != NONE) {
            self.first_free += 1;
        }
        let mut at = self.first_free;
        let base = loop {
            // A base and its children lie in one block of 256.
            let base = at ^ usize::from(first);
            self.grow(at);
            if labels.iter().all(|label| self.nodes[base ^ usize::from(*label)].parent == NONE) {
                break base;
            }
            at = self.next_free(at + 1);
            // Where little is free there is little to be found.
            if at - self.first_free > TRIED_MAX {
                self.first_free = at;
            }
        };
        self.nodes[node].base = base as u32;
        for label in labels {
            self.nodes[base ^ usize::from(*label)].parent = node as u32;
        }
        base
    }

    fn next_free(&self, from: usize) -> usize {
        let rest = self.nodes.get(from..).unwrap_or_default();
        from + rest.iter().position(|node| node.parent == NONE).unwrap_or(rest.len())
    }

    fn grow(&mut self, at: usize) {
        let blocks = at / 256 + 1;
        if self.nodes.len() < blocks * 256 {
            self.nodes.resize(blocks * 256, Node::FREE);
        }
    }
}

/// So many nodes before the place that is looked at are looked at again for the next one.
const TRIED_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn trie(words: &[&[u8]]) -> Trie {
        let word = |(bytes, id): (&&[u8], u32)| Word { bytes: bytes.to_vec(), id, merges: true };
        Trie::new(&words.iter().zip(0..).map(word).collect::<Vec<_>>())
    }

    #[test]
    fn all_tokens_that_a_text_begins_with_are_found() {
        let trie = trie(&[b"a", b"ab", b"abcd", b"b", b"\0", b"\0\0", b"\xff\xff", "日本".as_bytes()]);
        let found = |text: &[u8]| {
            let mut all = Vec::new();
            trie.prefixes(text, |len, id| all.push((len, id)));
            all
        };
        assert_eq!(found(b"abcde"), [(1, 0), (2, 1), (4, 2)]);
        assert_eq!(found(b"abc"), [(1, 0), (2, 1)]);
        assert_eq!(found(b"\0\0\0"), [(1, 4), (2, 5)]);
        assert_eq!(found(b"\xff\xff"), [(2, 6)]);
        assert_eq!(found("日本語".as_bytes()), [(6, 7)]);
        assert_eq!(found(b"xyz"), []);
        assert_eq!(found(b""), []);
        assert_eq!(trie.longest(b"abcx"), Some((2, 1)));
        assert_eq!((trie.get(b"ab"), trie.get(b"abc"), trie.get(b"")), (Some(1), None, None));
    }

    #[test]
    fn many_words_are_all_there() {
        let words: Vec<Vec<u8>> = (0..20_000_u32).map(|i| (i * 7919 % 99_991).to_string().into()).collect();
        let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let trie = trie(&slices);
        assert!(words.iter().zip(0..).all(|(word, id)| trie.get(word) == Some(id)));
        assert!((0..99_991).all(|i: u32| {
            let text = i.to_string().into_bytes();
            trie.get(&text).is_some() == words.contains(&text) || !i.is_multiple_of(97)
        }));
        assert!(trie.nodes.len() < 60_000, "{} nodes", trie.nodes.len());
        assert_eq!(super::Trie::new(&[]).longest(b"a"), None);
    }
}
