//! The tokenizer that a folder was made with, found again from wherever the command runs.
//!
//! The manifest has its name as it was typed, which may be a path from another working folder, of a folder that was
//! moved since, or of another machine; and it has the hash of its `tokenizer.json`, which says for sure. So whatever
//! may be meant by the name is looked at, and what has the hash is taken. Tokenizers that were read from a file are
//! kept in the cache under their hash, so that on the machine that made a folder they are always found.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use mashbill_format::manifest::{Manifest, TokenizerIdentity};
use mashbill_hub::RepoId;
use mashbill_store::atomic;
use mashbill_tokenizer::{Tokenizer, TokenizerFiles, TokenizerOptions, embedded, is_embedded};
use sha2::{Digest as _, Sha256};

use crate::cache::cache;
use crate::environment::{absolute, find_tokenizer, hub_settings, load_tokenizer, tell_of_token};
use crate::printer::Printer;
use crate::usage::Usage;

/// Where tokenizers are kept by their hash, in the cache.
const KEPT: &str = "tokenizers/by-hash";

/// Keeps a tokenizer that was read from a file, so that it is found again; without that it has to be named again.
pub(crate) fn keep(files: &TokenizerFiles, sha256: &str) {
    if is_embedded(&files.name) || !Path::new(&files.name).exists() {
        return;
    }
    let Ok(folder) = cache().map(|cache| cache.join(KEPT).join(sha256)) else { return };
    if folder.join("tokenizer.json").exists() || atomic::create_folder(&folder).is_err() {
        return;
    }
    let beside = [
        ("tokenizer_config.json", &files.tokenizer_config),
        ("special_tokens_map.json", &files.special_tokens_map),
        ("added_tokens.json", &files.added_tokens),
        ("config.json", &files.config),
        ("generation_config.json", &files.generation_config),
        ("chat_template.jinja", &files.chat_template),
    ];
    let all = beside.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
    // The file by which it is found is the last.
    for (name, text) in all.chain([("tokenizer.json", &files.tokenizer_json)]) {
        let temporary = folder.join(format!("{name}.tmp{}", std::process::id()));
        if atomic::replace(&folder.join(name), &temporary, text.as_bytes()).is_err() {
            return;
        }
    }
}

/// The tokenizer with which the folder `output` was made, or the one that is called `name`.
///
/// # Errors
/// [`Usage::TokenizerNotFoundAgain`], [`Usage::OtherTokenizer`], and whatever is wrong with the tokenizer.
pub(crate) fn tokenizer_of(
    output: &Path,
    manifest: &Manifest,
    name: Option<&str>,
    printer: &Printer,
) -> Result<Tokenizer> {
    let identity = &manifest.tokenizer_identity;
    let options = options_of(identity);
    let load = |files: &TokenizerFiles| load_tokenizer(files, &options, printer);
    let mut tokenizer = match name {
        Some(name) => {
            let files = find_tokenizer(name, printer)?;
            if hash(&files.tokenizer_json) != identity.sha256 {
                let (name, sha256) = (name.to_owned(), identity.sha256.clone());
                return Err(Usage::OtherTokenizer { name, sha256 }.into());
            }
            load(&files)?
        }
        None => {
            // Whoever loads it hashes it, which takes a while: what comes with mashbill is trusted by its name until then.
            let likely = embedded(&manifest.tokenizer).and_then(|files| load(&files).ok());
            match likely.filter(|tokenizer| tokenizer.identity().sha256 == identity.sha256) {
                Some(tokenizer) => tokenizer,
                None => load(&find_again(output, manifest, printer)?)?,
            }
        }
    };
    tokenizer.put_around(identity.ids_before.clone(), identity.ids_after.clone());
    Ok(tokenizer)
}

/// What the tokenizer of a folder was loaded with.
pub(crate) fn options_of(identity: &TokenizerIdentity) -> TokenizerOptions {
    TokenizerOptions {
        add_bos: !identity.ids_before.is_empty(),
        add_eos: !identity.ids_after.is_empty() && identity.eos.is_some(),
        eos_token: identity.eos.as_ref().map(|eos| eos.token.clone()),
        pad_token: Some(identity.pad.token.clone()),
        special_tokens_in_text: identity.special_tokens_in_text,
    }
}

/// The files of the tokenizer with which the folder `output` was made.
///
/// # Errors
/// [`Usage::TokenizerNotFoundAgain`], and whatever keeps a file from being read.
pub(crate) fn files_again(output: &Path, manifest: &Manifest, printer: &Printer) -> Result<TokenizerFiles> {
    let sha256 = &manifest.tokenizer_identity.sha256;
    match embedded(&manifest.tokenizer).filter(|files| hash(&files.tokenizer_json) == *sha256) {
        Some(files) => Ok(files),
        None => find_again(output, manifest, printer),
    }
}

/// Looks for the tokenizer of a manifest wherever it may be, but for what comes with mashbill.
fn find_again(output: &Path, manifest: &Manifest, printer: &Printer) -> Result<TokenizerFiles> {
    let Manifest { tokenizer: name, tokenizer_identity: TokenizerIdentity { sha256, .. }, .. } = manifest;
    let mut looked = Vec::new();
    for place in places(output, name, sha256) {
        // What can't be read is not it.
        let found = if place.exists() { mashbill_tokenizer::from_path(&place).ok() } else { None };
        match found {
            Some(files) if hash(&files.tokenizer_json) == *sha256 => {
                return Ok(TokenizerFiles { name: name.clone(), ..files });
            }
            Some(_) => looked.push(format!("{} (another one)", place.display())),
            None => looked.push(place.display().to_string()),
        }
    }
    if may_be_repository(name) {
        tell_of_token(name, printer)?;
        match find_tokenizer(name, printer) {
            Ok(files) if hash(&files.tokenizer_json) == *sha256 => return Ok(files),
            Ok(_) => looked.push(format!("the Hub's `{name}` (another one by now)")),
            Err(error) => looked.push(format!("the Hub's `{name}` ({error:#})")),
        }
    }
    let (name, sha256) = (name.clone(), sha256.clone());
    Err(Usage::TokenizerNotFoundAgain { name, sha256, looked }.into())
}

/// Where the tokenizer called `name` may lie, the likeliest places first.
fn places(output: &Path, name: &str, sha256: &str) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Ok(cache) = cache() {
        places.push(cache.join(KEPT).join(sha256));
        if let Ok(settings) = hub_settings()
            && may_be_repository(name)
        {
            let repository = name.parse().map(|repo: RepoId| repo.folder());
            let snapshots =
                |root: PathBuf| root.join(repository.as_ref().ok()?).join("snapshots").read_dir().ok();
            let caches = [settings.cache, cache.join("tokenizers")].into_iter().filter_map(snapshots);
            let mut commits: Vec<PathBuf> = caches.flatten().flatten().map(|commit| commit.path()).collect();
            commits.sort_unstable();
            places.extend(commits);
        }
    }
    let typed = Path::new(name);
    let is_plain = !may_be_repository(name) || typed.exists();
    if is_plain {
        places.push(typed.to_owned());
    }
    // The run's working folder is one of those above the output folder, unless that was moved alone.
    let output = absolute(output);
    if typed.is_relative() && is_plain {
        places.extend(output.ancestors().map(|above| above.join(typed)));
    }
    if let Some(last) = typed.file_name() {
        let beside = [Some(&*output), output.parent()].into_iter().flatten();
        places.extend(beside.flat_map(|folder| [folder.join(last), folder.join("tokenizer.json")]));
    }
    let mut seen = Vec::new();
    places.retain(|place| {
        let is_new = !seen.contains(place);
        seen.push(place.clone());
        is_new
    });
    places
}

/// Whether a name can be a repository of the Hub, and isn't only a path.
fn may_be_repository(name: &str) -> bool {
    !(Path::new(name).is_absolute()
        || name.starts_with('.')
        || name.ends_with(".json")
        || name.matches('/').count() != 1)
}

fn hash(tokenizer_json: &str) -> String {
    Sha256::digest(tokenizer_json.as_bytes()).iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
