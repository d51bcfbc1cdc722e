//! Writing the dataset card of an output folder.

use mashbill_format::card::{self, Card, Unfit};
use mashbill_format::layout::StateFolder;
use mashbill_store::atomic;

use crate::error::Result;
use crate::folder::Folder;

/// What became of the dataset card.
#[derive(Debug, Default)]
pub struct CardReport {
    /// Why `README.md` stays as it is, where it cannot take a card.
    pub unfit: Option<Unfit>,
    /// Keys of the user's front matter that stand in the place of the card's.
    pub theirs: Vec<&'static str>,
    /// Splits that `datasets` cannot load.
    pub unloadable: Vec<String>,
}

/// Writes the card of what the manifests of `folders` list on the disk, unless it says that already.
///
/// It comes after the manifests, so that what it names is there. Where a run is killed between the two it is behind them,
/// which the next run sees at its beginning, whatever else that has to do.
///
/// # Errors
/// Errors of writing. What stands in its place and is no card is none.
pub(crate) fn write(folders: &[Folder], state: &StateFolder) -> Result<CardReport> {
    let mut written = folders.iter().map(|folder| folder.written.as_ref());
    let Some(train) = written.next().flatten() else { return Ok(CardReport::default()) };
    let output = &folders[0].output;
    let card = Card::of(train, written.next().flatten());
    let merged = card::read(output).and_then(|found| Ok((card.merge(found.as_deref())?, found)));
    let unloadable = card.unloadable().to_vec();
    Ok(match merged {
        Ok((merged, found)) => {
            if found.as_deref() != Some(merged.text.as_bytes()) {
                atomic::create_own_folder(&state.temporary())?;
                let temporary = state.temporary().join("README.md");
                atomic::replace(&output.readme(), &temporary, merged.text.as_bytes())?;
            }
            CardReport { unfit: None, theirs: merged.theirs, unloadable }
        }
        Err(unfit) => CardReport { unfit: Some(unfit), theirs: Vec::new(), unloadable },
    })
}
