//! What the environment says: where tokenizers come from and where caches are.

#![expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use mashbill_hub::{Revision, Settings, Wait, Waiting, tokenizer_files};
use mashbill_tokenizer::{self as tokenizer, Tokenizer, TokenizerFiles, TokenizerOptions};

use crate::cache::{NoCache, cache, others_write};
use crate::printer::Printer;
use crate::usage::Usage;
use crate::watch::watched;

/// Whether the environment has such a variable.
pub(crate) fn has(variable: &str) -> bool {
    std::env::var_os(variable).is_some()
}

/// Finds the tokenizer that is called `name`: an embedded one, a file or folder, or a repository of the Hub.
pub(crate) fn find_tokenizer(name: &str, printer: &Printer) -> Result<TokenizerFiles> {
    if let Some(files) = tokenizer::embedded(name) {
        return Ok(files);
    }
    let path = Path::new(name);
    if path.exists() {
        return Ok(tokenizer::from_path(path)?);
    }
    // A name that can only be a path is not looked for on the Hub.
    if path.is_absolute() || name.starts_with('.') || name.ends_with(".json") || name.matches('/').count() > 1
    {
        return Err(Usage::NoTokenizerFile { path: path.to_owned() }.into());
    }
    from_hub(name, printer)
}

/// How the Hub is reached from this machine.
pub(crate) fn hub_settings() -> Result<Settings> {
    Ok(Settings::from_env(&|variable| {
        std::env::var(variable).ok().or_else(|| match variable {
            "HOME" => Some(std::env::home_dir()?.display().to_string()),
            _ => None,
        })
    })?)
}

fn from_hub(name: &str, printer: &Printer) -> Result<TokenizerFiles> {
    let mut settings = hub_settings()?;
    let kept = cache().ok().map(|cache| cache.join("tokenizers"));
    if let Some(why) = others_write(&settings.cache) {
        printer.warning(format_args!("the Hub's cache is not used: {why}"));
        settings.cache = kept.clone().unwrap_or_default();
    }
    let wait = |wait: Wait<'_>| {
        printer.line(format_args!("{}; retrying in {:.0} s", wait.why, wait.duration.as_secs_f64().ceil()));
        thread::sleep(wait.duration);
    };
    let repo = name.parse().with_context(|| format!("tokenizer `{name}` not found"))?;
    let waiting = Waiting::default();
    let fetch = || tokenizer_files(&repo, &Revision::main(), &settings, kept.as_deref(), &wait, &waiting);
    let found = watched(&waiting, printer, fetch).with_context(|| format!("tokenizer `{name}` not found"))?;
    let text = |bytes: Vec<u8>, file: &str| {
        String::from_utf8(bytes).with_context(|| format!("`{file}` of `{name}` is not UTF-8"))
    };
    let optional = |file: Option<mashbill_hub::HubFile>, called: &str| {
        file.map(|file| text(file.contents, called)).transpose()
    };
    Ok(TokenizerFiles {
        name: name.to_owned(),
        tokenizer_json: text(found.tokenizer.contents, "tokenizer.json")?,
        tokenizer_config: optional(found.tokenizer_config, "tokenizer_config.json")?,
        special_tokens_map: optional(found.special_tokens_map, "special_tokens_map.json")?,
        added_tokens: optional(found.added_tokens, "added_tokens.json")?,
        config: optional(found.config, "config.json")?,
        generation_config: optional(found.generation_config, "generation_config.json")?,
        chat_template: optional(found.chat_template, "chat_template.jinja")?,
        additional_chat_templates: optional(found.chat_template_with_tools, "tool_use.jinja")?
            .map(|text| ("tool_use".to_owned(), text))
            .into_iter()
            .collect(),
    })
}

/// Loads a tokenizer, with what earlier runs kept of it in the cache.
pub(crate) fn load_tokenizer(
    files: &TokenizerFiles,
    options: &TokenizerOptions,
    printer: &Printer,
) -> Result<Tokenizer> {
    let cache = cache();
    if let Err(why @ NoCache::Untrusted { .. }) = &cache {
        printer.warning(why);
        printer.hint(why.hint());
    }
    let tokenizer = load(files, options, cache.ok().as_deref())?;
    if let Some(why) = tokenizer.fast_refused() {
        printer.warning(format_args!("the fast engine is not used for `{}`: {why}", files.name));
    }
    for note in &tokenizer.identity().notes {
        printer.line(format_args!("note: {note}"));
    }
    Ok(tokenizer)
}

/// Loads a tokenizer; an error says which one it is of.
pub(crate) fn load(
    files: &TokenizerFiles,
    options: &TokenizerOptions,
    cache: Option<&Path>,
) -> Result<Tokenizer> {
    let loaded = Tokenizer::load(files, options, cache);
    loaded.map_err(|error| match error.needs_name() {
        true => anyhow::Error::from(error).context(format!("tokenizer `{}` cannot be used", files.name)),
        false => error.into(),
    })
}

/// Says that the token is sent along for a repository that a manifest names, which may be a stranger's.
pub(crate) fn tell_of_token(name: &str, printer: &Printer) -> Result<()> {
    if tokenizer::is_embedded(name) || Path::new(name).exists() {
        return Ok(());
    }
    let settings = hub_settings()?;
    if let Some(token) = settings.token.as_ref().filter(|_| !settings.offline) {
        printer.line(format_args!(
            "the manifest names the tokenizer `{}`: if it is not in the cache, it is requested from {} with the token \
             from {}",
            name.escape_debug(),
            settings.endpoint,
            token.source()
        ));
    }
    Ok(())
}

/// The path from the root on.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
