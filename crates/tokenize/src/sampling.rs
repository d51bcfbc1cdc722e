//! Documents that are compared with the reference, because a document's traits are new or for its content.

use std::cell::RefCell;
use std::sync::Arc;

use mashbill_tokenizer::{Engine, MetTraits, SampleChoice, Tokenizer, Traits, may_be_sample};

/// When documents are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sampling<'a> {
    /// Later: those that may be chosen are kept, and chosen in order. What was met before need not be kept for its traits.
    Later(&'a MetTraits),
    /// At once: the reference encodes those that are chosen.
    AtOnce(&'a Redoing<'a>),
}

/// A text with its ids.
#[derive(Debug)]
pub(crate) struct EncodedText {
    pub(crate) text: String,
    pub(crate) ids: Vec<u32>,
    /// Whether nothing was put around it.
    pub(crate) is_bare: bool,
    pub(crate) traits: Traits,
    pub(crate) content_hash: u64,
}

/// Documents of a block that may be chosen.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// Traits of documents before, in the block.
    met: Traits,
    pub(crate) texts: Vec<EncodedText>,
}

impl Candidates {
    /// Keeps a text with the ids that `tokenizer` gave, where it may be chosen.
    pub(crate) fn note(
        &mut self,
        met: &MetTraits,
        tokenizer: &Tokenizer,
        (text, ids): (&str, &[u32]),
        content_hash: u64,
        is_bare: bool,
    ) {
        // What is too long leaves its traits to others.
        if tokenizer.engine() == Engine::Reference || !may_be_sample(text.len(), content_hash, true) {
            return;
        }
        let traits = tokenizer.traits(text, ids);
        // What the block has met depends on the block alone, so that every run has the same candidates but for those that
        // are not chosen anyway.
        let is_new = !self.met.has_all(&traits);
        if is_new {
            self.met.add(&traits);
        }
        if may_be_sample(text.len(), content_hash, is_new && !met.has_all(&traits)) {
            self.texts.push(EncodedText {
                text: text.to_owned(),
                ids: ids.to_vec(),
                is_bare,
                traits,
                content_hash,
            });
        }
    }
}

/// Documents of a task that are chosen, in their order.
#[derive(Debug, Default)]
pub(crate) struct TaskSamples {
    choice: SampleChoice,
    met: Arc<MetTraits>,
    /// Their splits, texts and ids.
    pub(crate) chosen: Vec<(usize, EncodedText)>,
}

impl TaskSamples {
    pub(crate) fn new(met: Arc<MetTraits>) -> Self {
        Self { met, ..Self::default() }
    }

    /// Chooses from the candidates of the next block, which has so many bytes.
    pub(crate) fn choose(&mut self, split: usize, bytes: u64, candidates: Vec<EncodedText>) {
        self.choice.read(bytes);
        for candidate in candidates {
            if self.choice.takes(&candidate.traits, candidate.text.len(), candidate.content_hash) {
                self.met.add(&candidate.traits);
                self.chosen.push((split, candidate));
            }
        }
    }
}

/// What the reference makes again of a split, in the order of its documents.
#[derive(Debug)]
pub(crate) struct Redoing<'a> {
    pub(crate) reference: &'a Tokenizer,
    /// The share of documents that are chosen by their content, besides, 0 to 1.
    pub(crate) share: f64,
    pub(crate) state: RefCell<Redone>,
}

/// What was made again.
#[derive(Debug, Default)]
pub(crate) struct Redone {
    choice: SampleChoice,
    pub(crate) documents: u64,
}

/// What encodes a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoders<'a> {
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) redoing: Option<&'a Redoing<'a>>,
    pub(crate) content_hash: u64,
}

impl<'a> Encoders<'a> {
    pub(crate) fn of(tokenizer: &'a Tokenizer, sampling: Sampling<'a>, content_hash: u64) -> Self {
        let redoing = match sampling {
            Sampling::Later(_) => None,
            Sampling::AtOnce(redoing) => Some(redoing),
        };
        Self { tokenizer, redoing, content_hash }
    }

    /// The reference, where it encodes the text again, which was given these ids.
    pub(crate) fn again(&self, text: &str, ids: &[u32]) -> Option<&'a Tokenizer> {
        let redoing = self.redoing?;
        let mut state = redoing.state.borrow_mut();
        state.choice.read(text.len() as u64);
        let traits = self.tokenizer.traits(text, ids);
        let is_chosen = state.choice.takes(&traits, text.len(), self.content_hash)
            || (self.content_hash as f64) < redoing.share * 2f64.powi(64);
        state.documents += u64::from(is_chosen);
        is_chosen.then_some(redoing.reference)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use mashbill_store::checksum::Checksum;
    use mashbill_tokenizer::{Scratch, TokenizerOptions, embedded};

    use super::*;

    fn tokenizer() -> Tokenizer {
        let options = TokenizerOptions::NOTHING_ADDED;
        Tokenizer::load(&embedded("gpt2").unwrap(), &options, None).unwrap()
    }

    /// Blocks of much the same documents, with a few that have something of their own.
    fn blocks() -> Vec<Vec<String>> {
        let mut blocks: Vec<Vec<String>> = (0..40)
            .map(|block| (0..50).map(|number| format!("A document of words, {block} {number}.")).collect())
            .collect();
        blocks[20][30] = "วันหนึ่ง".to_owned();
        blocks[20][31] = "วันหนึ่ง".to_owned();
        blocks[33][7] = "a zero\u{200b}width".to_owned();
        blocks[34][8] = "o zero\u{200b}width".to_owned();
        blocks[35][9] = "<|endoftext|>".to_owned();
        blocks[36][0] = "too long \u{1d11e}".repeat(10_000);
        blocks[36][1] = "short \u{1d11e}".to_owned();
        blocks
    }

    /// What is chosen where workers are so many blocks ahead of the lane.
    fn chosen(tokenizer: &Tokenizer, blocks: &[Vec<String>], ahead: usize) -> Vec<String> {
        let met = Arc::default();
        let mut samples = TaskSamples::new(Arc::clone(&met));
        let (mut scratch, mut waiting) = (Scratch::new(), std::collections::VecDeque::new());
        for block in blocks.iter().map(Some).chain(std::iter::repeat_n(None, ahead)) {
            if let Some(block) = block {
                let mut candidates = Candidates::default();
                for text in block {
                    let mut ids = Vec::new();
                    tokenizer.encode(&mut scratch, text, &mut ids).unwrap();
                    let hash = Checksum::of(text.as_bytes()).low64();
                    candidates.note(&met, tokenizer, (text, &ids), hash, false);
                }
                let bytes = block.iter().map(String::len).sum::<usize>() as u64;
                waiting.push_back((bytes, candidates.texts));
            }
            if waiting.len() > ahead || block.is_none() {
                let (bytes, candidates) = waiting.pop_front().unwrap();
                samples.choose(0, bytes, candidates);
            }
        }
        samples.chosen.into_iter().map(|(_, sample)| sample.text).collect()
    }

    #[test]
    fn documents_with_something_new_are_chosen_however_far_ahead_workers_are() {
        let (tokenizer, blocks) = (tokenizer(), blocks());
        let expected = chosen(&tokenizer, &blocks, 0);
        for ahead in [1, 3, 40] {
            assert_eq!(chosen(&tokenizer, &blocks, ahead), expected, "{ahead} blocks ahead");
        }
        let counts = |text: &str| expected.iter().filter(|chosen| *chosen == text).count();
        assert_eq!(counts("วันหนึ่ง"), 1, "once for its script");
        assert_eq!((counts("a zero\u{200b}width"), counts("o zero\u{200b}width")), (1, 0));
        assert_eq!(counts("<|endoftext|>"), 1, "for the token that it spells");
        assert!(expected.iter().all(|text| text.len() < 1_000), "nothing that is too long");
        assert_eq!(counts("short \u{1d11e}"), 1, "which leaves its traits to others");
        assert!(expected.len() < 12, "{expected:?}");
    }

    #[test]
    fn the_reference_makes_again_what_is_new_and_the_share() {
        let (tokenizer, blocks) = (tokenizer(), blocks());
        let again = |share: f64| {
            let redoing = Redoing { reference: &tokenizer, share, state: RefCell::default() };
            let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
            for text in blocks.iter().flatten() {
                ids.clear();
                tokenizer.encode(&mut scratch, text, &mut ids).unwrap();
                let hash = Checksum::of(text.as_bytes()).low64();
                Encoders::of(&tokenizer, Sampling::AtOnce(&redoing), hash).again(text, &ids);
            }
            redoing.state.into_inner().documents
        };
        let new = chosen(&tokenizer, &blocks, 0).len() as u64;
        assert_eq!((again(0.0), again(1.0)), (new, 2_000));
        assert!((150..350).contains(&again(0.1)), "{}", again(0.1));
    }
}
