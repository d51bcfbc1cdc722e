//! `mashbill inspect`: rows, documents and records, to look at before training on them.

mod asked;
mod chat_view;
mod source;
mod documents;
mod tokenized;
mod records;
mod messages;
mod steps;
mod view;

use anyhow::Result;
use mashbill_verify::{FolderKind, folder_kind};

pub(crate) use self::asked::InspectArgs;
use crate::exit::Exit;
use crate::part::check_whole;
use crate::printer::Printer;
use crate::usage::Usage;

pub(crate) fn run(args: &InspectArgs, printer: &Printer) -> Result<Exit> {
    if !args.path.exists() {
        return Err(Usage::NotThere { path: args.path.clone() }.into());
    }
    check_whole(&args.path, "inspect")?;
    if let Some((flag, _)) = args.chat.given().first().filter(|_| !args.messages) {
        return Err(Usage::NeedsMessages { flag }.into());
    }
    if let Some(recipe) = steps::recipe(args)? {
        return steps::run(args, &recipe);
    }
    match folder_kind(&args.path)? {
        Some(FolderKind::Tokenized) => tokenized::run(args, printer),
        Some(FolderKind::Raw) if args.messages => messages::run(args, printer),
        Some(FolderKind::Raw) => records::run(args, printer),
        None => Err(Usage::NothingToInspect { path: args.path.clone() }.into()),
    }
}
