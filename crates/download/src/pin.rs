//! What a dataset is made of: commit, files, sizes, hashes, as the Hub tells them once.

use mashbill_format::catalog::{Dataset, FileFormat};
use mashbill_format::checksum::Checksum;
use mashbill_format::lock::{Pin, PinnedFile};
use mashbill_hub::{Commit, Digest, Gated, Hub, RemoteFile, RepoId, Revision};

use crate::catalog::takes;
use crate::error::{Error, Result};
use crate::glob::is_for_testing;

/// Asks the Hub what a dataset is made of: two requests, and one more for each further 1,000 files.
///
/// Files stand in the order of their paths' checksums, so that the first few of a thousand are a
/// mixture and not the first language by name.
///
/// # Errors
/// [`Error::NoFiles`]; those of the Hub.
pub(crate) fn pin(hub: &Hub<'_>, dataset: &Dataset) -> Result<Pin> {
    let repo = RepoId::dataset(&dataset.repo)?;
    let revision: Revision = dataset.revision.parse()?;
    let info = hub.dataset(&repo, &revision)?;
    let tree = hub.tree(&repo, &info.commit, "")?;
    let mut files: Vec<PinnedFile> = chosen(dataset, &tree)
        .into_iter()
        .map(|file| PinnedFile { path: file.path.clone(), size: file.size, hash: file.hash.to_string() })
        .collect();
    if files.is_empty() {
        return Err(Error::NoFiles { repo: dataset.repo.clone(), globs: globs(dataset) });
    }
    files.sort_by_key(|file| (Checksum::of(file.path.as_bytes()), file.path.clone()));
    let license = match (&dataset.license.id, info.license) {
        (Some(id), _) => id.clone(),
        (None, Some(tag)) => tag,
        (None, None) => dataset.license.label().to_owned(),
    };
    Ok(Pin {
        repo: dataset.repo.clone(),
        revision: dataset.revision.clone(),
        commit: info.commit.to_string(),
        license,
        gated: info.gated != Gated::No,
        globs: dataset.files.clone(),
        files,
    })
}

/// Whether a pin is one of what the catalogue speaks of.
pub(crate) fn is_of(pin: &Pin, dataset: &Dataset) -> bool {
    pin.repo == dataset.repo && pin.revision == dataset.revision && pin.globs == dataset.files
}

/// A pinned file, as the Hub knows it; none where a lock file was changed by hand into something else.
pub(crate) fn remote(pin: &Pin, file: &PinnedFile) -> Result<RemoteFile> {
    let damaged = || Error::Pin { repo: pin.repo.clone(), file: file.path.clone() };
    let digits = file.hash.rsplit([':', ' ']).next().unwrap_or_default();
    let inside =
        file.path.split('/').all(|part| !["", ".", ".."].contains(&part)) && !file.path.contains('\\');
    if !inside {
        return Err(damaged());
    }
    Ok(RemoteFile {
        repo: RepoId::dataset(&pin.repo)?,
        commit: Commit::parse(&pin.commit).ok_or_else(damaged)?,
        path: file.path.clone(),
        size: file.size,
        hash: Digest::parse(digits).ok_or_else(damaged)?,
    })
}

fn chosen<'a>(dataset: &Dataset, tree: &'a [RemoteFile]) -> Vec<&'a RemoteFile> {
    if !dataset.files.is_empty() {
        return tree.iter().filter(|file| takes(dataset, &file.path)).collect();
    }
    let is_data = |file: &&RemoteFile| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        // Metadata of the Hub's and of the datasets library has data's endings.
        let is_metadata =
            name.starts_with('.') || ["dataset_infos.json", "dataset_info.json"].contains(&name);
        FileFormat::of_name(name).is_some() && !is_metadata && !is_for_testing(&file.path)
    };
    let data: Vec<_> = tree.iter().filter(is_data).collect();
    // The same rows are often there in two formats.
    let best = [FileFormat::Parquet, FileFormat::Jsonl, FileFormat::Json, FileFormat::Csv]
        .into_iter()
        .find(|&format| data.iter().any(|file| FileFormat::of_name(&file.path) == Some(format)));
    data.into_iter().filter(|file| FileFormat::of_name(&file.path) == best).collect()
}

fn globs(dataset: &Dataset) -> Vec<String> {
    if dataset.files.is_empty() {
        vec!["a name that ends with .parquet, .jsonl, .json or .csv".into()]
    } else {
        dataset.files.iter().map(|glob| format!("`{glob}`")).collect()
    }
}
