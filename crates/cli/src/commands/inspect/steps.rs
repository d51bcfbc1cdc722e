//! The documents of a loader's step, and the steps of a document.

use std::fs::{self, Metadata};
use std::sync::Arc;

use anyhow::Result;
use mashbill_format::recipe::{LastBatch, RECIPE, RECIPE_BYTES_MAX, Recipe, Shuffle};
use mashbill_load::{Appearance, Error as LoadError, LocatedRow, Locator, Stream};
use serde::Serialize;

use super::asked::InspectArgs;
use super::view::tokens;
use crate::exit::Exit;
use crate::out::{self, Out};
use crate::usage::Usage;

#[derive(Debug, Serialize)]
struct FoundStep {
    step: u64,
    rows: Vec<LocatedRow>,
}

#[derive(Debug, Serialize)]
struct FoundDocument<'a> {
    split: &'a str,
    document: &'a str,
    /// The step before which was looked.
    until: u64,
    steps: Vec<Appearance>,
}

/// What the loader was made with, where the arguments are about one: it is told in a file, or by flags.
pub(super) fn recipe(args: &InspectArgs) -> Result<Option<Recipe>> {
    let in_folder = args.path.join(RECIPE);
    // A larger file has records.
    let is_small = |metadata: Metadata| metadata.is_file() && metadata.len() <= RECIPE_BYTES_MAX;
    let may_be_recipe = args.path.extension().is_some_and(|extension| extension == "json")
        && fs::metadata(&args.path).is_ok_and(is_small);
    if may_be_recipe {
        match Recipe::read(&args.path) {
            Ok(recipe) => return Ok(Some(recipe)),
            Err(error) if args.step.is_some() => return Err(error.into()),
            // Records end in .json, too.
            Err(_) => {}
        }
    }
    if in_folder.is_file() {
        return Ok(Some(Recipe::read(&in_folder)?));
    }
    if let Some(batch_size) = args.batch_size {
        return Ok(Some(Recipe {
            folder: args.path.clone(),
            splits: args.split.clone().map(|split| vec![split]),
            batch_size,
            world_size: args.world_size,
            seed: args.seed,
            shuffle: Shuffle::Full,
            last: LastBatch::Drop,
            stages: None,
            max_epochs: 0,
            steps: None,
            state: None,
        }));
    }
    if args.step.is_some() {
        return Err(Usage::NoLoader { path: args.path.clone() }.into());
    }
    Ok(None)
}

pub(super) fn run(args: &InspectArgs, recipe: &Recipe) -> Result<Exit> {
    let (dataset, stream) = Stream::of_recipe(recipe)?;
    let dataset = Arc::new(dataset);
    let locator = Locator::new(Arc::clone(&dataset));
    match (args.step, &args.doc) {
        (Some(step), _) => {
            if let Some(rank) = args.rank.filter(|&rank| rank >= recipe.world_size) {
                return Err(Usage::Rank { rank, world_size: recipe.world_size }.into());
            }
            let rows = locator.locate(&stream, step, args.rank)?;
            if args.json { out::json(&FoundStep { step, rows })? } else { write_step(step, &rows)? }
        }
        (None, Some(document)) => {
            let until = until(args, recipe, &stream)?;
            let splits = dataset.splits.iter().map(|split| split.name.as_str());
            let mut wanted = splits.filter(|split| args.split.as_ref().is_none_or(|name| name == split));
            let found = wanted.find_map(|split| match locator.steps_of(&stream, split, document, until) {
                Err(LoadError::UnknownDocument { .. }) => None,
                found => Some(found.map(|steps| FoundDocument { split, document, until, steps })),
            });
            let missing = || Usage::NotInRun { document: document.clone(), path: args.path.clone() };
            let found = found.ok_or_else(missing)??;
            if args.json { out::json(&found)? } else { write_document(&found)? }
        }
        (None, None) => return Err(Usage::NoStep { path: args.path.clone() }.into()),
    }
    Ok(Exit::Done)
}

/// The step before which is looked: as given, else the run's end, else the end of the epoch after the state.
fn until(args: &InspectArgs, recipe: &Recipe, stream: &Stream) -> Result<u64> {
    let begun = recipe.state.as_ref().map_or(0, |state| state.step);
    let epoch = || stream.steps_per_epoch().map(|steps| begun + steps);
    args.until.or(recipe.steps).or_else(epoch).ok_or_else(|| Usage::NoEnd.into())
}

fn write_step(step: u64, rows: &[LocatedRow]) -> Result<()> {
    let mut out = Out::new();
    out.line(format_args!("step {step}"))?;
    for row in rows {
        let LocatedRow { split, row_in_split, rank, index, .. } = row;
        out.line(format_args!("rank {rank}, row {index} of its batch: {split}, row {row_in_split}"))?;
        for document in &row.documents {
            out.text(format_args!("── {}, ", document.file))?;
            // The rows of a Parquet file have no offset.
            let unit = if document.file.ends_with(".parquet") { "row" } else { "byte" };
            out.text(format_args!("{unit} {}", document.offset))?;
            if let Some(group) = document.group {
                out.text(format_args!(" (document {group}/{})", document.doc_id))?;
            }
            let named = [("id", &document.id), ("source", &document.source)];
            for (name, value) in named.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
                out.text(format_args!(", {name} {value}"))?;
            }
            let [start, length] =
                [document.doc_offset, document.len].map(|n| usize::try_from(n).unwrap_or(0));
            out.line(format_args!(": {}", tokens(start, start + length)))?;
        }
    }
    Ok(out.finish()?)
}

fn write_document(found: &FoundDocument<'_>) -> Result<()> {
    let mut out = Out::new();
    let FoundDocument { split, document, until, steps } = found;
    let none = if steps.is_empty() { " none" } else { "" };
    out.line(format_args!("document `{document}` of split `{split}`, steps before {until}:{none}"))?;
    for Appearance { step, rank, index, row } in steps {
        out.line(format_args!(
            "step {step}: rank {rank}, row {index} of its batch (row {row} of the dataset)"
        ))?;
    }
    Ok(out.finish()?)
}
