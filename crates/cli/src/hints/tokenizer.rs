//! What to type next when a tokenizer cannot be had.

use std::io;

use mashbill_hub::Error as HubError;
use mashbill_store::Error as StoreError;
use mashbill_store::open::WrongKind;
use mashbill_tokenizer::{EMBEDDED, Error};

use super::download::wait_hint;
use super::records::{FILE_HINT, readable_hint};

pub(crate) fn embedded_hint() -> String {
    format!("these tokenizers need no file and no network: {} (`--tokenizer gpt2`)", EMBEDDED.join(", "))
}

pub(crate) fn tokenizer_hint(error: &Error) -> Option<String> {
    Some(match error {
        Error::NotFound { .. } => format!("check the path; {}", embedded_hint()),
        Error::NoEos { .. } => {
            "name it with `--eos-token TOKEN`, or put none after documents with `--no-eos`".into()
        }
        Error::NoPad { .. } => {
            "name any token of the vocabulary with `--pad-token TOKEN`: it fills rows that are not full".into()
        }
        Error::NotInVocabulary { found_in, .. } if found_in == "--pad-token" => {
            "`--pad-token` takes a token of the vocabulary as it is spelled".into()
        }
        Error::TooSlow { .. }
        | Error::BreaksLibrary
        | Error::IdTooLarge { .. }
        | Error::TooLarge { .. }
        | Error::Grows { .. }
        | Error::Charsmap { .. }
        | Error::Template => {
            "get the tokenizer's files again from a source you trust; if they are as published, open an issue".into()
        }
        Error::Json { file, .. } if *file != "tokenizer.json" => {
            format!("correct `{file}`, or override it with `--eos-token TOKEN` or `--no-eos`")
        }
        Error::LfsPointer { .. } => "git lfs pull".into(),
        Error::NotAdded { .. } => {
            "write a whole `tokenizer.json` with Python's `AutoTokenizer.from_pretrained(NAME).save_pretrained(\"FOLDER\")`, and \
             give `--tokenizer FOLDER`"
                .into()
        }
        Error::NotInVocabulary { .. } => {
            "`--eos-token` takes a token of the vocabulary as it is spelled".into()
        }
        Error::Read { source, .. } if WrongKind::is_behind(source) => FILE_HINT.into(),
        Error::Read { path, source } if source.kind() == io::ErrorKind::PermissionDenied => readable_hint(path),
        Error::Read { .. } => "get the tokenizer's files again; they are JSON in UTF-8".into(),
        Error::Json { .. } | Error::Refused { .. } => {
            "get the tokenizer's files again; Hugging Face tokenizers 0.23 must be able to load them".into()
        }
        // None of them is met where a tokenizer is loaded: two are of a text, one is the system's.
        Error::LiteralSpecialTokens { .. }
        | Error::Encode { .. }
        | Error::Decode { .. }
        | Error::NoThread { .. } => return None,
    })
}

pub(crate) fn hub_hint(error: &HubError) -> String {
    let embedded = embedded_hint();
    match error {
        HubError::Gated { ask_at, token: None, .. } => {
            format!("ask for access at {ask_at}, then set HF_TOKEN or run `hf auth login`; {embedded}")
        }
        HubError::Gated { ask_at, .. } => format!("ask for access at {ask_at} with that account; {embedded}"),
        HubError::RepoNotFound { token: None, .. } => {
            format!("check the name; if it is private, set HF_TOKEN or run `hf auth login`; {embedded}")
        }
        HubError::RepoNotFound { .. } => {
            format!("check the name, and that the token's account may see it; {embedded}")
        }
        HubError::InvalidToken { .. } => "make a new token and set HF_TOKEN or run `hf auth login`".into(),
        HubError::BadToken { .. } => {
            format!("make a new token and set HF_TOKEN or run `hf auth login`; {embedded}")
        }
        HubError::NotCached { .. } | HubError::Offline { .. } => {
            format!("unset HF_HUB_OFFLINE to fetch it, or give a tokenizer.json; {embedded}")
        }
        HubError::Unreachable { .. } | HubError::NotAHub { .. } => {
            format!("check the network, HTTPS_PROXY and HF_ENDPOINT, or give a tokenizer.json; {embedded}")
        }
        HubError::EntryNotFound { repo, .. } => {
            format!("`{repo}` has no tokenizer.json: give one that has, or a file; {embedded}")
        }
        HubError::RateLimited { .. } => format!("wait a little, or send a token with HF_TOKEN; {embedded}"),
        HubError::DamagedCache { path, .. } => format!("remove it: rm {}", path.display()),
        HubError::InvalidSetting { variable, .. } => format!("correct {variable}, or unset it; {embedded}"),
        HubError::RevisionNotFound { repo, .. } | HubError::Disabled { repo, .. } => {
            format!("look at the page of `{repo}` on the Hub, or give a tokenizer.json; {embedded}")
        }
        HubError::Status { status: 408 | 429 | 500..=599, .. } => {
            format!("wait a little, then run the same command again; {embedded}")
        }
        HubError::Status { .. } => format!("check HF_ENDPOINT, the proxy and the token; {embedded}"),
        HubError::Checksum { .. } | HubError::Changed { .. } => {
            format!("run the same command again to fetch the file again; {embedded}")
        }
        HubError::InUse { pid, .. } => wait_hint(*pid),
        HubError::Store(StoreError::DiskFull { .. }) | HubError::TooLittleSpace { .. } => {
            "make space, then run the same command again".into()
        }
        HubError::Interrupted => "run the same command again".into(),
        HubError::InvalidRepoId { .. }
        | HubError::InvalidRevision { .. }
        | HubError::Listing { .. }
        | HubError::TooLarge { .. }
        | HubError::Store(_) => embedded,
    }
}

/// For a tokenizer without a chat template.
pub(crate) const fn no_template_hint(takes_chatml: bool) -> &'static str {
    if takes_chatml {
        "`--chat-template chatml` suits many models, `--chat-template FILE` takes one of yours"
    } else {
        "take a chat model's tokenizer (`--tokenizer`): this one does not have the control tokens of `chatml` either"
    }
}
