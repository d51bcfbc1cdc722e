//! The text: what the rows are, how they are loaded, and what is in each split.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape::cell;
use super::parts::Parts;
use crate::chat::{LossOn, NoLossOn, TemplateIdentity};
use crate::figures::count;
use crate::loss_spans::Loss;
use crate::manifest::{Manifest, Split};

/// Digits of a tokenizer's hash that are shown.
const HASH_CHARS_SHOWN: usize = 16;

/// The text between our marks. `names` are the names of the configurations, by split.
pub(super) fn text(
    train: &Manifest,
    validation: Option<&Manifest>,
    parts: &[Parts<'_>],
    names: &BTreeMap<&str, String>,
) -> String {
    let mut text = String::new();
    let identity = &train.tokenizer_identity;
    let hash = identity.sha256.get(..HASH_CHARS_SHOWN).unwrap_or(&identity.sha256);
    push(&mut text, format_args!("# Tokenized text\n"));
    push(
        &mut text,
        format_args!(
            "Rows of {} tokens to train language models on, packed by mashbill with the tokenizer {} \
             (its `tokenizer.json` has the SHA-256 {}…). `manifest.json` says all about them, and `mashbill verify` \
             holds every byte to that.\n",
            count(train.max_seq_length as u64),
            cell(plain_name(&train.tokenizer)),
            cell(hash),
        ),
    );
    match train.options.template() {
        None => text.push_str(LABELS),
        Some(template) => {
            learned(&mut text, template, train.options.chat.as_ref().is_some_and(|chat| chat.mixed))
        }
    }
    loading(&mut text, train.loss(), validation.is_some(), names);
    push(&mut text, format_args!("\n## Splits\n"));
    if validation.is_some() {
        push(&mut text, format_args!("To train on:\n"));
    }
    table(&mut text, parts.iter().map(|parts| (parts.name, parts.train)));
    if validation.is_some() {
        push(&mut text, format_args!("\nHeld out, in `_validation`:\n"));
        let held_out = parts.iter().filter_map(|parts| Some((parts.name, parts.validation?)));
        table(&mut text, held_out);
    }
    others(&mut text, parts, names);
    text
}

const LABELS: &str = "\
Labels are shifted already: `labels[i]` is the token after `input_ids[i]`, and -100 where there is none to learn. Causal models of \
Hugging Face's transformers shift once more by themselves: give them `input_ids` as labels, not this column.
";

/// Which of the tokens are learned, and how labels say it.
fn learned(text: &mut String, template: &TemplateIdentity, is_mixed: bool) {
    let turns = match template.loss_on {
        LossOn::All => "all that is said, but for turns that a record leaves out",
        LossOn::Assistant => "the turns of the assistant",
        LossOn::LastAssistant => "the last turn of the assistant",
        LossOn::Completion => "each record's completion",
    };
    let NoLossOn { reasoning, tool_calls, generation_prompt } = template.no_loss_on;
    let left_out = [
        (reasoning, "their reasoning"),
        (tool_calls, "their tool calls"),
        (generation_prompt, "what a prompt has behind the header"),
    ];
    let left_out: Vec<_> = left_out.iter().filter(|(is_out, _)| *is_out).map(|(_, what)| *what).collect();
    let without = match left_out.is_empty() {
        true => String::new(),
        false => format!(", without {}", left_out.join(" and ")),
    };
    let texts = if is_mixed { ", and all of what is no conversation" } else { "" };
    push(
        text,
        format_args!(
            "Conversations became text by the chat template {}, which the manifest has. What is learned is {turns}{without}{texts}: \
             `loss_spans` has how many tokens of a row are not learned, are learned, are not, and so on. `labels` says the same: \
             `labels[i]` is the token after `input_ids[i]`, or -100 where that is not learned. `input_ids` as labels would train \
             on all of it; `label_convention=\"aligned\"` gives the causal models of Hugging Face's transformers, which shift \
             labels by themselves, those that they need.",
            cell(plain_name(&template.name)),
        ),
    );
}

fn loading(text: &mut String, loss: Loss, is_held_out: bool, names: &BTreeMap<&str, String>) {
    let plain = |name: &&String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let name = names.values().find(plain).map_or("NAME", String::as_str);
    let convention = match loss {
        Loss::All => "\"shifted\"",
        Loss::Spans => "\"aligned\"",
    };
    let held_out = if is_held_out { ", and \"validation\", which is held out" } else { "" };
    push(
        text,
        format_args!(
            "\n## Loading\n\n```python\nfrom datasets import load_dataset\n\n\
             rows = load_dataset(\"path/to/this/folder\")  # \"train\"{held_out}\n\
             rows = load_dataset(\"path/to/this/folder\", \"{name}\")  # one split\n\n\
             import mashbill\n\n\
             dataset = mashbill.Dataset(\"path/to/this/folder\")\n\
             loader = mashbill.DataLoader(dataset, batch_size=32, label_convention={convention})\n```"
        ),
    );
}

fn table<'a>(text: &mut String, splits: impl Iterator<Item = (&'a str, &'a Split)>) {
    push(text, format_args!("| split | documents | rows | tokens | refused | license | made of |"));
    push(text, format_args!("|---|--:|--:|--:|--:|---|---|"));
    let (mut documents, mut rows, mut tokens, mut refused) = (0, 0, 0, 0);
    for (name, split) in splits {
        let of_split: u64 = split.rejected.values().sum();
        documents += split.samples;
        rows += split.sequences;
        tokens += split.tokens;
        refused += of_split;
        let license = match &split.license[..] {
            [] => "not known".to_owned(),
            all => {
                let each =
                    all.iter().map(|license| format!("{} ({})", cell(&license.id), license.kind.name()));
                each.collect::<Vec<_>>().join(", ")
            }
        };
        push(
            text,
            format_args!(
                "| {} | {} | {} | {} | {} | {license} | {} |",
                cell(name),
                count(split.samples),
                count(split.sequences),
                count(split.tokens),
                count(of_split),
                cell(&split.source.file),
            ),
        );
    }
    push(
        text,
        format_args!(
            "| **all** | {} | {} | {} | {} | | |",
            count(documents),
            count(rows),
            count(tokens),
            count(refused)
        ),
    );
}

/// Which splits are loaded by another name, or not at all.
fn others(text: &mut String, parts: &[Parts<'_>], names: &BTreeMap<&str, String>) {
    let renamed: Vec<_> = names.iter().filter(|(split, name)| *split != name).collect();
    if !renamed.is_empty() {
        push(
            text,
            format_args!("\n`datasets` does not take these names; load these splits by the other one:\n"),
        );
        renamed
            .iter()
            .for_each(|(split, name)| push(text, format_args!("- {}: {}", cell(split), cell(name))));
    }
    let empty: Vec<_> = parts.iter().filter(|parts| !parts.has_rows()).collect();
    if !empty.is_empty() {
        push(text, format_args!("\nThese splits have no rows, and no configuration:\n"));
        empty.iter().for_each(|parts| push(text, format_args!("- {}", cell(parts.name))));
    }
    let unloadable = parts.iter().filter(|parts| parts.has_rows() && !names.contains_key(parts.name));
    let unloadable: Vec<_> = unloadable.collect();
    if !unloadable.is_empty() {
        push(
            text,
            format_args!(
                "\n`datasets` cannot read folders with two colons in their names; load these with mashbill:\n"
            ),
        );
        unloadable.iter().for_each(|parts| push(text, format_args!("- {}", cell(parts.name))));
    }
}

/// A tokenizer's name, or a template's, without the folders in which a file of its own lay: they are of one machine only.
fn plain_name(name: &str) -> &str {
    let is_path = name.starts_with(['/', '.', '~']) || name.contains('\\') || name.matches('/').count() > 1;
    if !is_path {
        return name;
    }
    let names = name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']);
    names.into_iter().find(|part| *part != "tokenizer.json" && !part.is_empty()).unwrap_or("tokenizer.json")
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a text takes what is written");
}
