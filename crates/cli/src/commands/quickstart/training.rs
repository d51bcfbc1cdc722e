//! The quickstart's last step: a small model learns the records, on a CPU, in minutes.
//!
//! Its loss is compared with the entropy of the tokens' frequencies, since a loss alone says nothing to
//! somebody who sees one for the first time: a model under it has learned more than which tokens are common.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use mashbill_format::layout::Output as Tokenized;
use mashbill_format::manifest::Manifest;
use mashbill_format::shard::ShardReader;
use mashbill_format::training_run::{METRICS, MetricsRecord, last_checkpoint, records};
use mashbill_store::atomic;

use super::folders::Folders;
use super::typed::{self, say};
use crate::commands::train::trainer;
use crate::exit::Exit;
use crate::interrupt;
use crate::printer::Printer;

/// The configuration of the run; `FOLDER` stands for the quickstart's folder.
const CONFIG: &str = include_str!("../../../assets/quickstart/train.yaml");

/// Loads a checkpoint in `transformers` and continues a text.
const GENERATE: &str = include_str!("../../../assets/quickstart/generate.py");

const BEGINNING: &str = "Question: how many";

/// Steps whose mean loss is told, a third of an epoch: one step alone has the luck of its rows.
const LAST_STEPS: usize = 50;

/// Trains on the tokenized rows with the package of `python`, and says what came of it.
pub(super) fn run(folders: &Folders, python: &Path, printer: &Printer) -> Result<Exit> {
    let entropy = unigram_entropy(&folders.tokenized)?;
    printer.line(format_args!(
        "unigram entropy of the tokens: {entropy:.2}, the loss of a model that knows only how frequent each is"
    ));
    let folder = &folders.all;
    let config = folder.join("train.yaml");
    if !config.exists() {
        // YAML's quoted texts are written as JSON's.
        let quoted = serde_json::to_string(&folder.display().to_string())?;
        let text = CONFIG.replace("FOLDER", &quoted[1..quoted.len() - 1]);
        atomic::replace(&config, &folder.join(".train.tmp"), text.as_bytes())?;
    }
    say(&typed::train(&config), printer);
    // Ctrl-C meets both: the training saves and ends, and this waits for it.
    interrupt::flag(printer)?;
    let mut training = trainer(python);
    training.args(printer.is_quiet().then_some("--quiet"));
    let ended = training.arg("--config").arg(&config).stdout(Stdio::null()).status();
    let ended = ended.with_context(|| format!("cannot start `{}`", python.display()))?;
    if !ended.success() {
        return Ok(ended.code().and_then(|code| u8::try_from(code).ok()).map_or(Exit::Unexpected, Exit::Of));
    }
    let run = folder.join("run");
    let (first, last) = losses(&run)?;
    let against = format!("from {first:.2} to {last:.2}, where the unigram entropy is {entropy:.2}");
    if last < entropy {
        printer.good("learned", format_args!("the loss fell {against}"));
    } else {
        printer.warning(format_args!("the loss went {against}: more steps would bring it below"));
    }
    let last = last_checkpoint(&run);
    let (_, checkpoint) = last.with_context(|| format!("no checkpoint in `{}`", run.display()))?;
    printer.line(format_args!("{} continues a text:", checkpoint.display()));
    printer.lines(&generate(python, &checkpoint)?);
    Ok(Exit::Done)
}

/// The entropy in nats of how often each id stands in the rows of `folder`, padding left out.
fn unigram_entropy(folder: &Path) -> Result<f64> {
    let output = Tokenized::new(folder);
    let Some(manifest) = Manifest::read(&output.manifest())? else {
        bail!("no manifest in {}", folder.display())
    };
    let mut counts = vec![0_u64; manifest.tokenizer_identity.vocabulary_size as usize];
    for (name, split) in &manifest.splits {
        for shard in split.shard_files() {
            for rows in ShardReader::open(&output.split(name).join(&shard.name))?.row_groups() {
                for row in rows?.iter() {
                    for (&id, &mask) in row.input_ids.iter().zip(row.attention_mask) {
                        if let Some(count) = usize::try_from(id).ok().and_then(|id| counts.get_mut(id)) {
                            *count += u64::from(mask == 1);
                        }
                    }
                }
            }
        }
    }
    let all = counts.iter().sum::<u64>() as f64;
    let shares = counts.into_iter().filter(|&count| count > 0).map(|count| count as f64 / all);
    Ok(shares.map(|share| -share * share.ln()).sum())
}

/// The loss of the first step that has one, and the mean of the last ones. Lines that are no records are passed over, as
/// the run itself does, which names them.
fn losses(run: &Path) -> Result<(f64, f64)> {
    let mut losses = Vec::new();
    records(run, |record| match record {
        Some(MetricsRecord::Step(step)) => losses.extend(step.loss),
        Some(MetricsRecord::Measurement(_)) | None => {}
    })?;
    let Some(first) = losses.first() else {
        bail!("no step in `{}` has a loss", run.join(METRICS).display())
    };
    let last = &losses[losses.len().saturating_sub(LAST_STEPS)..];
    Ok((*first, last.iter().sum::<f64>() / last.len() as f64))
}

fn generate(python: &Path, checkpoint: &Path) -> Result<String> {
    let mut command = Command::new(python);
    command.args(["-c", GENERATE]).arg(checkpoint).arg(BEGINNING);
    let Output { status, stdout, stderr } = command.output().context("cannot load the checkpoint")?;
    if !status.success() {
        bail!(
            "`transformers` could not load `{}`: {}",
            checkpoint.display(),
            String::from_utf8_lossy(&stderr).lines().last().unwrap_or_default()
        );
    }
    Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_without_a_loss_and_lines_that_are_no_records_are_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, temporary) = (folder.path().join(METRICS), folder.path().join("temporary"));
        let lines = [
            r#"{"step": 0, "loss": null}"#,
            r#"{"step": 1, "loss": NaN, "gradient_norm": -Infinity}"#,
            "notes of somebody",
            r#"{"step": 2, "loss": 9.5}"#,
            r#"{"step": 2, "validation": {"a": null, "b": NaN}}"#,
            r#"{"step": 3, "loss": 4.5}"#,
        ];
        atomic::replace(&path, &temporary, lines.join("\n").as_bytes()).expect("a file");
        assert_eq!(losses(folder.path()).expect("there are losses"), (9.5, 7.0));
        atomic::replace(&path, &temporary, lines[..3].join("\n").as_bytes()).expect("a file");
        let error = losses(folder.path()).expect_err("there are none").to_string();
        assert!(error.starts_with("no step in `") && error.ends_with("` has a loss"), "{error}");
    }
}
