//! Conversations that were refused: what to do about each reason, and the command that shows what becomes of one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use mashbill_format::layout::{Output, REJECTS_SUFFIX, STATS_SUFFIX};
use mashbill_format::manifest::Split;
use mashbill_format::stats::{RejectedLine, Stats, read_rejects};
use mashbill_records::record::Reason;
use mashbill_tokenize::Report;

use super::TokenizeArgs;
use crate::hints::refused_hint;
use crate::printer::Printer;
use crate::shell_word::{shell_path, shell_word};

/// Says what to do about splits of which more than `--warn-rejected` allows was refused, in a run with a chat template.
pub(super) fn tell(report: &Report, args: &TokenizeArgs, output: &Output, printer: &Printer) {
    let manifest = &report.train.manifest;
    let Some(template) = manifest.options.template() else { return };
    let mut reasons = BTreeSet::new();
    let mut shown = None;
    for (name, split) in &manifest.splits {
        let held_out = report.validation.as_ref().and_then(|part| part.manifest.splits.get(name));
        let parts = || [Some(split), held_out].into_iter().flatten();
        if !parts().any(|part| is_much(part, args.warn_rejected)) {
            continue;
        }
        let has_documents = parts().any(|part| part.samples > 0);
        // Of lines that are all without messages is told what they have instead.
        let wanted = |reason: &Reason| has_documents || *reason != Reason::NoMessages;
        let found: Vec<_> = parts().flat_map(|part| part.rejected.keys()).copied().filter(wanted).collect();
        if shown.is_none() && !found.is_empty() {
            shown = first_shown(name, args, output);
        }
        reasons.extend(found);
    }
    let hints = reasons.into_iter().filter_map(|reason| refused_hint(reason, template.loss_on));
    hints.collect::<BTreeSet<_>>().into_iter().for_each(|hint| printer.hint(hint));
    shown.into_iter().for_each(|hint| printer.hint(hint));
}

/// Whether more of a split was refused than `share`.
pub(super) fn is_much(split: &Split, share: f64) -> bool {
    let refused: u64 = split.rejected.values().sum();
    refused as f64 > share * (refused + split.samples) as f64
}

/// The command that shows what becomes of the first refused conversation of a split.
fn first_shown(split: &str, args: &TokenizeArgs, output: &Output) -> Option<String> {
    let folder = output.split(split);
    let rejects = read_rejects(&folder.join(format!("{split}{REJECTS_SUFFIX}"))).ok()?;
    let RejectedLine { file, reject } = rejects.into_iter().next()?;
    let stats = Stats::read(&folder.join(format!("{split}{STATS_SUFFIX}"))).ok().flatten()?;
    let path = if args.input.is_dir() { args.input.join(file) } else { PathBuf::from(&args.input) };
    // `--row` does not count blank lines, which lines do.
    let row = if stats.blank_lines == 0 { (reject.line - 1).to_string() } else { "N".to_owned() };
    let mut command = format!(
        "mashbill inspect {} --messages --tokenizer {}",
        shell_path(&path),
        shell_word(&args.tokenizer)
    );
    for (flag, value) in args.chat.given() {
        let value = if value.is_empty() { value } else { format!(" {}", shell_word(&value)) };
        command.push_str(&format!(" {flag}{value}"));
    }
    Some(format!("`{command} --row {row}` shows what becomes of one"))
}
