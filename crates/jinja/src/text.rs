//! Text that knows where each of its bytes came from.
//!
//! A [`OriginMark`] names the origin of a stretch: a turn of a conversation, or nothing in particular. It is carried beside the
//! bytes, so no template can see it, and every operation that cuts, joins or escapes text carries it along. So the
//! places where a turn comes out are known after one rendering, whatever the template did with it.

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;

/// Where a stretch of text came from; the meaning is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OriginMark(pub u32);

impl OriginMark {
    /// From nowhere in particular: the template itself.
    pub const NONE: Self = Self(0);
}

/// A stretch with one mark: it ends before the byte `end` and begins where the one before ends. One of no bytes is a
/// marked text that was empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkedRun {
    /// The byte behind its last one.
    pub end: usize,
    /// Where it came from.
    pub mark: OriginMark,
}

#[derive(Debug, Clone, Copy)]
enum Marks<'a> {
    Same(OriginMark),
    Runs(&'a [MarkedRun]),
}

/// A text, and the marks of its bytes.
#[derive(Debug, Clone, Copy)]
pub struct MarkedText<'a> {
    text: &'a str,
    marks: Marks<'a>,
}

impl<'a> MarkedText<'a> {
    /// A text that came from nowhere in particular.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self::marked(text, OriginMark::NONE)
    }

    /// A text that came from `mark`.
    #[must_use]
    pub const fn marked(text: &'a str, mark: OriginMark) -> Self {
        Self { text, marks: Marks::Same(mark) }
    }

    /// The text itself.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.text
    }

    /// Bytes of memory that it takes, its marks included.
    pub(crate) const fn size(self) -> usize {
        match self.marks {
            Marks::Same(_) => self.text.len(),
            Marks::Runs(runs) => self.text.len() + size_of_val(runs),
        }
    }

    /// Whether no byte of it has a mark.
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self.marks, Marks::Same(OriginMark::NONE))
    }

    /// The bytes from `start` to before `end`, which are at borders of characters.
    pub(crate) fn slice(self, arena: &'a Bump, start: usize, end: usize) -> Self {
        let text = &self.text[start..end];
        let Marks::Runs(runs) = self.marks else { return Self { text, marks: self.marks } };
        let mut builder = RunsBuilder::default();
        let first = runs.partition_point(|run| run.end < start);
        let mut before = first.checked_sub(1).map_or(0, |last| runs[last].end);
        for run in &runs[first..] {
            if before > end {
                break;
            }
            let (from, to) = (before.max(start), run.end.min(end));
            if from < to || (before == run.end && (start..=end).contains(&before)) {
                builder.push(from - start, to - start, run.mark);
            }
            before = run.end;
        }
        // What is cut out of marked text is marked, though nothing of it is left.
        if text.is_empty() && builder.runs.is_empty() {
            return Self::marked(text, self.mark_at(start));
        }
        Self { text, marks: builder.finish(arena, text.len()) }
    }

    /// The mark of the byte at `at`, of the last one behind the end.
    fn mark_at(self, at: usize) -> OriginMark {
        match self.marks {
            Marks::Same(mark) => mark,
            Marks::Runs(runs) => {
                let found = runs.partition_point(|run| run.end <= at);
                runs.get(found).or(runs.last()).map_or(OriginMark::NONE, |run| run.mark)
            }
        }
    }

    /// The stretches of one mark each, with where they begin and end.
    pub(crate) fn runs(self) -> impl Iterator<Item = (usize, usize, OriginMark)> {
        let (one, many) = match self.marks {
            Marks::Same(mark) => (Some((0, self.text.len(), mark)), &[][..]),
            Marks::Runs(runs) => (None, runs),
        };
        let mut before = 0;
        one.into_iter().chain(many.iter().map(move |run| {
            let start = std::mem::replace(&mut before, run.end);
            (start, run.end, run.mark)
        }))
    }

    /// Each character with its mark.
    pub(crate) fn chars(self) -> impl Iterator<Item = (char, OriginMark)> {
        self.runs().flat_map(move |(start, end, mark)| self.text[start..end].chars().map(move |c| (c, mark)))
    }
}

/// Runs in the making.
#[derive(Debug, Default)]
struct RunsBuilder {
    runs: Vec<MarkedRun>,
}

impl RunsBuilder {
    /// Appends the stretch from `start` to `end`, where everything before `start` has been appended or has no mark.
    fn push(&mut self, start: usize, end: usize, mark: OriginMark) {
        let covered = self.runs.last().map_or(0, |run| run.end);
        if mark == OriginMark::NONE && self.runs.is_empty() {
            return;
        }
        if covered < start {
            self.extend(start, OriginMark::NONE);
        }
        if start < end || mark != OriginMark::NONE {
            self.extend(end, mark);
        }
    }

    fn extend(&mut self, end: usize, mark: OriginMark) {
        match self.runs.last_mut() {
            Some(last) if last.mark == mark => last.end = end,
            _ => self.runs.push(MarkedRun { end, mark }),
        }
    }

    fn finish<'a>(mut self, arena: &'a Bump, len: usize) -> Marks<'a> {
        let Some(last) = self.runs.last() else { return Marks::Same(OriginMark::NONE) };
        if last.end < len {
            self.extend(len, OriginMark::NONE);
        }
        match &self.runs[..] {
            [one] => Marks::Same(one.mark),
            runs => Marks::Runs(arena.alloc_slice_copy(runs)),
        }
    }
}

/// Text in the making. What has no mark before the first mark costs nothing.
#[derive(Debug, Default)]
pub struct TextBuilder {
    text: String,
    runs: RunsBuilder,
}

impl TextBuilder {
    /// Bytes so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.text.len()
    }

    /// Bytes of memory that it takes, its marks included.
    pub(crate) const fn size(&self) -> usize {
        self.text.len() + self.runs.runs.len() * size_of::<MarkedRun>()
    }

    /// Whether there are no bytes yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text so far.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The stretches that have marks, and those between them. What lies behind the last, and all where there is none, has
    /// no mark.
    #[must_use]
    pub fn runs(&self) -> &[MarkedRun] {
        &self.runs.runs
    }

    /// Forgets all, and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.runs.runs.clear();
    }

    /// Appends a text.
    pub fn push(&mut self, text: MarkedText<'_>) {
        match text.marks {
            Marks::Same(mark) => self.push_marked(text.text, mark),
            Marks::Runs(_) => {
                text.runs().for_each(|(start, end, mark)| self.push_marked(&text.text[start..end], mark));
            }
        }
    }

    /// Appends text that came from nowhere in particular.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends text that came from `mark`.
    #[inline]
    pub fn push_marked(&mut self, text: &str, mark: OriginMark) {
        let start = self.text.len();
        self.text.push_str(text);
        if mark != OriginMark::NONE {
            self.runs.push(start, self.text.len(), mark);
        }
    }

    pub(crate) fn push_char(&mut self, character: char, mark: OriginMark) {
        self.push_marked(character.encode_utf8(&mut [0; 4]), mark);
    }

    /// The text so far in the arena.
    pub(crate) fn finish<'a>(&mut self, arena: &'a Bump) -> MarkedText<'a> {
        let text = arena.alloc_str(&self.text);
        let marks = std::mem::take(&mut self.runs).finish(arena, text.len());
        self.text.clear();
        MarkedText { text, marks }
    }
}

/// Texts one after another.
pub(crate) fn concat<'a, 't>(
    arena: &'a Bump,
    texts: impl Iterator<Item = MarkedText<'t>> + Clone,
) -> MarkedText<'a> {
    let length = texts.clone().map(|text| text.text.len()).sum();
    let mut whole = ArenaString::with_capacity_in(length, arena);
    let mut runs = RunsBuilder::default();
    for text in texts {
        let start = whole.len();
        whole.push_str(text.text);
        match text.marks {
            Marks::Same(OriginMark::NONE) => {}
            Marks::Same(mark) => runs.push(start, whole.len(), mark),
            Marks::Runs(all) => {
                let mut before = 0;
                for run in all {
                    runs.push(start + std::mem::replace(&mut before, run.end), start + run.end, run.mark);
                }
            }
        }
    }
    let text = whole.into_bump_str();
    MarkedText { text, marks: runs.finish(arena, text.len()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each byte with its mark, and each empty marked stretch by where it is.
    fn marks(text: MarkedText<'_>) -> Vec<u32> {
        text.runs().flat_map(|(start, end, mark)| std::iter::repeat_n(mark.0, end - start)).collect()
    }

    proptest! {
        #[test]
        fn marks_stay_with_their_bytes(
            pieces in prop::collection::vec(("[ab]{0,3}", 0u32..3), 0..8),
            cuts in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let arena = Bump::new();
            let texts: Vec<MarkedText<'_>> =
                pieces.iter().map(|(text, mark)| MarkedText::marked(text, OriginMark(*mark))).collect();
            let whole = concat(&arena, texts.iter().copied());
            let expected: Vec<u32> = texts.iter().flat_map(|text| marks(*text)).collect();
            prop_assert_eq!(&marks(whole), &expected);
            let (one, other) = (cuts.0.index(expected.len() + 1), cuts.1.index(expected.len() + 1));
            let (start, end) = (one.min(other), one.max(other));
            let slice = whole.slice(&arena, start, end);
            prop_assert_eq!(slice.as_str(), &whole.as_str()[start..end]);
            prop_assert_eq!(&marks(slice)[..], &expected[start..end]);
            let both = concat(&arena, [whole.slice(&arena, 0, start), whole.slice(&arena, start, expected.len())].into_iter());
            prop_assert_eq!(&marks(both), &expected);
        }
    }

    #[test]
    fn an_empty_marked_text_leaves_its_place() {
        let mut builder = TextBuilder::default();
        builder.push_str("ab");
        builder.push(MarkedText::marked("", OriginMark(7)));
        builder.push_str("c");
        assert_eq!(builder.as_str(), "abc");
        assert_eq!(
            builder.runs(),
            [MarkedRun { end: 2, mark: OriginMark::NONE }, MarkedRun { end: 2, mark: OriginMark(7) }]
        );
        let arena = Bump::new();
        let text = builder.finish(&arena);
        let slice = text.slice(&arena, 1, 3);
        assert_eq!(
            slice.runs().collect::<Vec<_>>(),
            [(0, 1, OriginMark::NONE), (1, 1, OriginMark(7)), (1, 2, OriginMark::NONE)]
        );
    }
}
