//! Which bytes of a rendered conversation are learned: the one rule.
//!
//! A template with `{% generation %}` blocks says it itself. For every other one the marks say it: each string of a message
//! carries the number of its message through the rendering, so what a turn became is known.
//!
//! A learned turn reaches from its first byte to its last, and
//! - back to the end of the header that every turn of the assistant has (what a generation prompt and a plain turn begin
//!   with alike), so that what the model writes itself before its words is learned: `<tool_call>`, `<think>`. An empty think
//!   block behind the header is not;
//! - on to the end-of-turn token that follows before the next message begins, with what the template puts before it; white
//!   space behind it is not. Where a call is followed by no such token, on to the tag that closes the call.
//!
//! If text of another message stands within a turn, nobody can say what is learned: the record is refused.

use std::collections::HashSet;
use std::ops::Range;

use mashbill_format::chat::{LossOn, NoLossOn};
use mashbill_jinja::{MarkedRun, Rendering};
use mashbill_records::conversation::{ChatMessage, Conversation};
use mashbill_records::value::Value;

use crate::values::{Part, TextOrigin};

/// What a template puts around turns, and which tokens end them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// What every turn of the assistant begins with; empty where that is not known.
    pub(crate) header: String,
    /// What a generation prompt has behind that.
    pub(crate) prompt_rest: String,
    /// Special tokens that messages begin with.
    pub(crate) openers: Vec<String>,
    /// What a turn that calls has before its first word, and one that answers has not.
    pub(crate) call_open: String,
    /// The tag that closes a call, where a tag opens it.
    pub(crate) call_close: Option<String>,
    /// All special tokens.
    pub(crate) special: Vec<String>,
    /// Those that end a turn.
    pub(crate) ends: Vec<String>,
}

/// A message, by what the rule needs of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) is_learned: bool,
    pub(crate) is_assistant: bool,
    /// Whether it calls tools.
    pub(crate) has_calls: bool,
}

impl Turn {
    fn of(message: &ChatMessage<'_>, is_learned: bool) -> Self {
        let has_calls = matches!(message.field("tool_calls"), Some(Value::List(calls)) if !calls.is_empty());
        Self { is_learned, is_assistant: message.role == "assistant", has_calls }
    }
}

/// Which turns of a conversation are learned. A flag of the record comes before the option, but makes no turn learned where
/// only the last or the completion is.
pub(crate) fn learned_turns(conversation: &Conversation<'_>, loss_on: LossOn) -> Vec<Turn> {
    let messages = &conversation.messages;
    let last = messages.iter().rposition(|message| message.role == "assistant");
    let turns = messages.iter().enumerate().map(|(number, message)| {
        let is_assistant = message.role == "assistant";
        let by_option = match loss_on {
            LossOn::All => true,
            LossOn::Assistant => is_assistant,
            LossOn::LastAssistant => Some(number) == last,
            LossOn::Completion => message.is_completion && is_assistant,
        };
        let is_learned = match message.loss {
            Some(loss) => loss && (by_option || loss_on == LossOn::Assistant),
            None => by_option,
        };
        Turn::of(message, is_learned)
    });
    turns.collect()
}

/// The learned bytes by the marks, in order.
///
/// # Errors
/// What can't be told, as a fragment.
pub(crate) fn by_marks(
    rendered: &Rendering,
    turns: &[Turn],
    around: &Surroundings,
    no_loss_on: NoLossOn,
) -> Result<Vec<Range<usize>>, String> {
    let text = rendered.text.as_str();
    let runs: Vec<Run> = stretches(rendered.text.runs()).collect();
    let words = own_words(&runs, turns.len());
    let before = nearest_before(&runs, &words);
    let behind = nearest_behind(&runs, &words);
    let mut spans: Vec<Range<usize>> = Vec::new();
    for (number, turn) in turns.iter().enumerate().filter(|(_, turn)| turn.is_learned) {
        let Some(OwnWords { first, last, .. }) = words[number] else { continue };
        if before[last].other_than(number, &runs).is_some_and(|at| at >= first) {
            return Err(format!("the template prints other words within message {}", number + 1));
        }
        let before = before[first].other_than(number, &runs).map_or(0, |at| runs[at].0.end);
        let after = behind[last + 1].other_than(number, &runs).map_or(text.len(), |at| runs[at].0.start);
        let is_call = matches!(runs[first].1, TextOrigin::Message(_, Part::Call | Part::CallName(_)));
        let start = turn_start(text, before..runs[first].0.start, is_call, around, no_loss_on);
        let end = turn_end(text, runs[last].0.end..after, turn.has_calls, around);
        let span = start..end;
        let out = left_out(text, &span, &runs[first..=last], around, no_loss_on);
        spans.extend(without(std::slice::from_ref(&span), &out));
    }
    spans.sort_unstable_by_key(|span| span.start);
    Ok(joined(spans))
}

/// A stretch of the text, and where it came from.
type Run = (Range<usize>, TextOrigin);

/// The nearest words from a place on, and the nearest ones of another message than those: of two messages one is not the one
/// that is asked for, so one pass over a text answers for all its messages.
#[derive(Debug, Clone, Copy, Default)]
struct Nearest {
    first: Option<usize>,
    other: Option<usize>,
}

impl Nearest {
    fn push(&mut self, at: usize, runs: &[Run]) {
        if self.first.is_some_and(|first| owner(&runs[first]) != owner(&runs[at])) {
            self.other = self.first;
        }
        self.first = Some(at);
    }

    /// The nearest words that are not of message `number`.
    fn other_than(self, number: usize, runs: &[Run]) -> Option<usize> {
        self.first.filter(|at| owner(&runs[*at]) != Some(number)).or(self.other)
    }
}

/// Whose words a run is: a message's, or what stands beside the messages.
const fn owner((_, origin): &Run) -> Option<usize> {
    match origin {
        TextOrigin::Message(number, _) => Some(*number),
        _ => None,
    }
}

/// The words of the message that a run is of.
fn own<'w>(run: &Run, words: &'w [Option<OwnWords>]) -> Option<&'w OwnWords> {
    words.get(owner(run)?)?.as_ref()
}

/// Whether a run is words that are in the way of another message's.
fn is_words((range, origin): &Run) -> bool {
    let is_said = match origin {
        TextOrigin::Template | TextOrigin::Argument => false,
        TextOrigin::Message(_, part) => !matches!(part, Part::CallName(_) | Part::Role),
        TextOrigin::Beside => true,
    };
    is_said && !range.is_empty()
}

/// For each run the nearest words up to it.
fn nearest_before(runs: &[Run], words: &[Option<OwnWords>]) -> Vec<Nearest> {
    let is_last = |at: usize| own(&runs[at], words).is_some_and(|own| own.last == at);
    let mut nearest = Nearest::default();
    let each = runs.iter().enumerate().map(|(at, run)| {
        if is_words(run) || is_last(at) {
            nearest.push(at, runs);
        }
        nearest
    });
    each.collect()
}

/// For each run, and for the end, the nearest words from it on. A content without words leaves its place, too.
fn nearest_behind(runs: &[Run], words: &[Option<OwnWords>]) -> Vec<Nearest> {
    let is_first = |at: usize| own(&runs[at], words).is_some_and(|own| own.first == at);
    let mut nearest = Nearest::default();
    let mut all = vec![nearest; runs.len() + 1];
    for (at, run) in runs.iter().enumerate().rev() {
        let is_empty = run.0.is_empty() && matches!(run.1, TextOrigin::Message(_, Part::Content));
        if is_words(run) || is_empty || is_first(at) {
            nearest.push(at, runs);
        }
        all[at] = nearest;
    }
    all
}

/// How many of these messages have left nothing in the text.
pub(crate) fn unprinted(rendered: &Rendering, messages: &[ChatMessage<'_>]) -> u64 {
    let mut is_printed = vec![false; messages.len()];
    for (range, origin) in stretches(rendered.text.runs()) {
        if let TextOrigin::Message(number, part) = origin
            && !range.is_empty()
            && part != Part::Role
            && let Some(is_printed) = is_printed.get_mut(number)
        {
            *is_printed = true;
        }
    }
    let is_blank = |value: &Value<'_>| match value {
        Value::Null => true,
        Value::Text(text) => text.is_blank(),
        _ => false,
    };
    let says = |message: &ChatMessage<'_>| message.fields.iter().any(|(_, value)| !is_blank(value));
    messages.iter().zip(is_printed).filter(|(message, is_printed)| !is_printed && says(message)).count()
        as u64
}

/// Between which runs the words of a message are.
#[derive(Debug, Clone, Copy)]
struct OwnWords {
    first: usize,
    last: usize,
    /// Whether all are empty: those count only where there are no others, since templates print them anywhere.
    are_empty: bool,
}

/// Where the words of each message are. The name of a function is a word once a call; templates print it again before the
/// answer.
fn own_words(runs: &[Run], messages: usize) -> Vec<Option<OwnWords>> {
    let mut named = HashSet::new();
    let mut words: Vec<Option<OwnWords>> = vec![None; messages];
    for (at, (range, origin)) in runs.iter().enumerate() {
        let TextOrigin::Message(number, part) = *origin else { continue };
        let is_word = match part {
            Part::Other | Part::CallBeside | Part::Role => false,
            Part::CallName(call) => named.insert((number, call)),
            Part::Content | Part::Reasoning | Part::Call => true,
        };
        let Some(found) = words.get_mut(number).filter(|_| is_word) else { continue };
        match found {
            Some(found) if found.are_empty == range.is_empty() => found.last = at,
            Some(found) if !found.are_empty => {}
            _ => *found = Some(OwnWords { first: at, last: at, are_empty: range.is_empty() }),
        }
    }
    words
}

/// The bytes from the first of what is said in a message to the last.
pub(crate) fn bytes_of(rendered: &Rendering, message: usize) -> Option<Range<usize>> {
    let is_own = |origin: TextOrigin| match origin {
        TextOrigin::Message(number, part) => {
            number == message && !matches!(part, Part::Other | Part::CallBeside | Part::Role)
        }
        _ => false,
    };
    let mut own =
        stretches(rendered.text.runs()).filter(|(_, origin)| is_own(*origin)).map(|(range, _)| range);
    let first = own.next()?;
    Some(first.start..own.last().map_or(first.end, |last| last.end))
}

/// The bytes that came from the record, and not from the template, in order.
pub(crate) fn words_of(rendered: &Rendering, words: &mut Vec<Range<usize>>) {
    words.clear();
    for (range, origin) in stretches(rendered.text.runs()) {
        if range.is_empty() || origin == TextOrigin::Template {
            continue;
        }
        match words.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => words.push(range),
        }
    }
}

/// The stretches of a text with their origins.
fn stretches(runs: &[MarkedRun]) -> impl Iterator<Item = Run> {
    let mut before = 0;
    runs.iter().map(move |run| {
        let start = std::mem::replace(&mut before, run.end);
        (start..run.end, TextOrigin::of(run.mark))
    })
}

/// Where a turn begins whose first own byte ends `gap`, and is of a call where `is_call`.
fn turn_start(
    text: &str,
    gap: Range<usize>,
    is_call: bool,
    around: &Surroundings,
    no_loss_on: NoLossOn,
) -> usize {
    let within = &text[gap.clone()];
    let header = around.header.as_str();
    // A prompt may close a think block at once that turns with thoughts fill.
    let bare = header.split_once(THINK).map_or(header, |(before, _)| before);
    let behind =
        |header: &str| within.rfind(header).filter(|_| !header.is_empty()).map(|at| at + header.len());
    let Some(found) = behind(header).or_else(|| behind(bare)) else {
        let opens = is_call && within.ends_with(&around.call_open);
        return gap.end - if opens { around.call_open.len() } else { 0 };
    };
    let mut start = gap.start + found;
    let rest = |start: usize| &text[start..gap.end];
    if no_loss_on.generation_prompt && rest(start).starts_with(&around.prompt_rest) {
        start += around.prompt_rest.len();
    }
    let is_open = text[..start].trim_end().ends_with(THINK);
    start + empty_think_block(rest(start), is_open).unwrap_or(0)
}

/// What a thought begins with in most templates that have thoughts.
const THINK: &str = "<think>";

/// How long the think block without a thought is that `text` begins with, or the rest of one that is open already, with
/// the white space around it.
fn empty_think_block(text: &str, is_open: bool) -> Option<usize> {
    let inside = if is_open { text } else { text.trim_start().strip_prefix(THINK)? };
    let rest = inside.trim_start().strip_prefix("</think>")?.trim_start();
    Some(text.len() - rest.len())
}

/// The words of the thought that a turn begins with, where that stands in its content, between tags.
fn thought(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let turn = &text[span.clone()];
    let inside = match turn.trim_start().strip_prefix(THINK) {
        Some(inside) => inside,
        None if text[..span.start].trim_end().ends_with(THINK) => turn,
        None => return None,
    };
    let words = inside[..inside.find("</think>")?].trim_end();
    let start = span.end - inside.len() + (words.len() - words.trim_start().len());
    Some(start..span.end - inside.len() + words.len())
}

/// Where a turn ends whose last own byte is before `gap`.
fn turn_end(text: &str, gap: Range<usize>, has_calls: bool, around: &Surroundings) -> usize {
    let within = &text[gap.clone()];
    let tokens = around.ends.iter().chain(&around.openers);
    let found = tokens.filter_map(|token| Some((within.find(token.as_str())?, token)));
    let first = found.min_by_key(|(at, token)| (*at, usize::MAX - token.len()));
    if let Some((at, token)) = first.filter(|(_, token)| around.ends.contains(token)) {
        return gap.start + at + token.len();
    }
    let of_this_turn = &within[..first.map_or(within.len(), |(at, _)| at)];
    let close = around.call_close.as_deref().filter(|_| has_calls);
    let closed = close.and_then(|close| Some(of_this_turn.find(close)? + close.len()));
    gap.start + closed.unwrap_or(0)
}

/// The special tokens that stand in `between` behind its last end of a turn: those that the next message begins with.
pub(crate) fn openers(between: &str, around: &Surroundings) -> Vec<String> {
    let ends = around.ends.iter().filter_map(|end| Some(between.rfind(end.as_str())? + end.len()));
    let rest = &between[ends.max().unwrap_or(0)..];
    around.special.iter().filter(|token| rest.contains(token.as_str())).cloned().collect()
}

/// The tag behind a call that closes the one that stands last before it: the one that has the same letters.
pub(crate) fn closing_tag(before: &str, behind: &str) -> Option<String> {
    let letters = |tag: &str| tag.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let opening = letters(tags(before).last()?);
    tags(behind).into_iter().find(|tag| letters(tag) == opening).map(str::to_owned)
}

/// What stands in angle or square brackets without white space.
fn tags(text: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find(['<', '[']).map(|found| from + found) {
        let close = if text[open..].starts_with('<') { '>' } else { ']' };
        let inside = &text[open + 1..];
        let end = inside.find(|c: char| c.is_whitespace() || matches!(c, '<' | '[' | '>' | ']'));
        match end.filter(|end| inside[*end..].starts_with(close)) {
            Some(end) => {
                tags.push(&text[open..open + end + 2]);
                from = open + end + 2;
            }
            None => from = open + 1,
        }
    }
    tags
}

/// What of a span is not learned, by the runs in it: of thoughts the words, of calls what the template puts around them, too, but
/// for the end of the turn.
fn left_out(
    text: &str,
    span: &Range<usize>,
    own: &[Run],
    around: &Surroundings,
    no_loss_on: NoLossOn,
) -> Vec<Range<usize>> {
    let parts: Vec<(Range<usize>, Part)> = own
        .iter()
        .filter_map(|(range, origin)| match origin {
            TextOrigin::Message(_, Part::CallName(_) | Part::CallBeside) => Some((range.clone(), Part::Call)),
            TextOrigin::Message(_, part) => Some((range.clone(), *part)),
            _ => None,
        })
        .collect();
    let end =
        around.ends.iter().filter(|end| text[..span.end].ends_with(end.as_str())).map(String::len).max();
    let mut before = span.start;
    let mut out = Vec::new();
    if no_loss_on.reasoning && !parts.iter().any(|(_, part)| *part == Part::Reasoning) {
        out.extend(thought(text, span));
    }
    // What stands between two pieces of the same part belongs to it.
    let mut groups = parts.chunk_by(|(_, part), (_, next)| part == next).peekable();
    while let Some(group) = groups.next() {
        let (first, part) = &group[0];
        let last = &group[group.len() - 1].0;
        match part {
            Part::Reasoning if no_loss_on.reasoning => out.push(first.start..last.end),
            Part::Call if no_loss_on.tool_calls => {
                let behind = span.end - end.unwrap_or(0);
                let next = groups.peek().map_or(behind.max(last.end), |next| next[0].0.start);
                out.push(before..next);
            }
            _ => {}
        }
        before = last.end;
    }
    out
}

/// Spans in order, with those that touch made one.
fn joined(spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans.into_iter().filter(|span| !span.is_empty()) {
        match all.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => all.push(span),
        }
    }
    all
}

/// The learned bytes by the template's blocks. A block is of the message of which it has words; one without words is of the
/// assistant's message before it, or where another one speaks before it, of the assistant's that comes next.
pub(crate) fn by_blocks(
    rendered: &Rendering,
    turns: &[Turn],
    around: &Surroundings,
    no_loss_on: NoLossOn,
) -> Vec<Range<usize>> {
    let text = rendered.text.as_str();
    let runs: Vec<Run> = stretches(rendered.text.runs()).collect();
    let is_of_message = |(_, origin): &&Run| matches!(origin, TextOrigin::Message(..));
    let mut spans = Vec::new();
    for block in &rendered.generations {
        let first = runs.partition_point(|(range, _)| range.start < block.start);
        let behind = runs.partition_point(|(range, _)| range.end <= block.end).max(first);
        let inside = || runs[first..behind].iter().filter(is_of_message);
        // Words of nobody may be those of the turn before, whose end is where the block begins.
        let is_learned = |(_, origin): &&Run| match origin {
            TextOrigin::Message(number, _) => turns.get(*number).is_some_and(|turn| turn.is_learned),
            _ => false,
        };
        let inside = inside().find(|(range, _)| !range.is_empty()).or_else(|| inside().find(is_learned));
        let number = inside.and_then(owner).or_else(|| {
            let before = runs[..first].iter().rev().find(is_of_message).and_then(owner);
            let is_assistant = |number: &usize| turns.get(*number).is_some_and(|turn| turn.is_assistant);
            match before {
                Some(before) if is_assistant(&before) => Some(before),
                Some(before) => (before + 1..turns.len()).find(is_assistant),
                None => (0..turns.len()).find(is_assistant),
            }
        });
        if !number.and_then(|number| turns.get(number)).is_some_and(|turn| turn.is_learned) {
            continue;
        }
        let rest = &text[block.clone()];
        let has_prompt = no_loss_on.generation_prompt && rest.starts_with(&around.prompt_rest);
        let start = block.start + if has_prompt { around.prompt_rest.len() } else { 0 };
        let span = start..block.end;
        let out = left_out(text, &span, &runs[first..behind], around, no_loss_on);
        spans.extend(without(std::slice::from_ref(&span), &out));
    }
    spans.sort_unstable_by_key(|span| span.start);
    joined(spans)
}

/// All bytes but those that a record takes out.
///
/// # Errors
/// What can't be told, as a fragment.
pub(crate) fn all_but(
    rendered: &Rendering,
    conversation: &Conversation<'_>,
    around: &Surroundings,
) -> Result<Vec<Range<usize>>, String> {
    let is_out = |message: &ChatMessage<'_>| message.loss == Some(false);
    let turns: Vec<Turn> =
        conversation.messages.iter().map(|message| Turn::of(message, is_out(message))).collect();
    let mut out = Vec::new();
    if turns.iter().any(|turn| turn.is_learned) {
        out = by_marks(rendered, &turns, around, NoLossOn::default())?;
    }
    let whole = 0..rendered.text.len();
    Ok(without(std::slice::from_ref(&whole), &out))
}

/// What of `spans` is in none of `others`; both are in order, and none overlap.
fn without(spans: &[Range<usize>], others: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut rest = Vec::new();
    let mut at = 0;
    for span in spans {
        let mut start = span.start;
        at += others[at..].iter().take_while(|other| other.end <= start).count();
        for other in others[at..].iter().take_while(|other| other.start < span.end) {
            rest.push(start..other.start.max(start));
            start = start.max(other.end);
        }
        rest.push(start..span.end.max(start));
    }
    joined(rest)
}

#[cfg(test)]
mod tests;
