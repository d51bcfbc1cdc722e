//! The quickstart's first step: a real download from a stand-in for the Hub.
//!
//! The stand-in is the one that the tests let fail in every way. Here it serves what ships with the command, on
//! the loopback address, until the step ends; the download is the same as from the Hub, redirects, hashes and
//! lock included. Nothing of the user's environment that is for the Hub is used: no token goes to the stand-in,
//! and switching the network off does not concern it.

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mashbill_format::figures::counted;
use mashbill_hub::{Proxies, Settings};
use mashbill_stand_in::{Content, Repo, RepoType, Site, StandIn};
use mashbill_store::{atomic, open};

use super::folders::Folders;
use super::typed::{self, say};
use crate::commands::download::run_with;
use crate::exit::Exit;
use crate::printer::Printer;
use crate::usage::Usage;

/// The datasets that are not in mashbill's own catalogue.
const CATALOG: &str = include_str!("../../../data/catalog.toml");

/// The files of a repository by their paths.
type Files = &'static [(&'static str, &'static [u8])];

macro_rules! files_of {
    ($repo:literal: $($path:literal),+) => {
        ($repo, &[$(($path, include_bytes!(concat!("../../../data/hub/", $repo, "/", $path)).as_slice())),+])
    };
}

/// What ships with the command, with the licenses it came under: see `data/README.md`.
const REPOS: [(&str, Files); 3] = [
    files_of!("openai/gsm8k": "LICENSE", "main/train-00000-of-00001.parquet"),
    files_of!("openai/human-eval": "LICENSE", "data/HumanEval.jsonl.gz"),
    files_of!("google-research-datasets/natural-questions": "LICENSE", "nq_open/NQ-open.dev.jsonl"),
];

/// How long an answer from this machine may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Downloads what ships with the command.
pub(super) fn download(folders: &Folders, printer: &Printer) -> Result<Exit> {
    let args = folders.download();
    for catalog in &args.catalog {
        write_catalog(catalog, &folders.all)?;
    }
    let stand_in =
        StandIn::start(Site::default()).context("cannot serve a stand-in for the Hub on 127.0.0.1")?;
    for (id, files) in REPOS {
        let mut repo = Repo::new(RepoType::Dataset, id);
        for &(path, bytes) in files {
            repo.put("main", path, Content::from(bytes));
        }
        stand_in.put(repo);
    }
    let settings = Settings {
        endpoint: stand_in.endpoint().parse().expect("an address"),
        token: None,
        cache: folders.all.join("no-cache"),
        offline: false,
        proxies: Proxies::default(),
        answer_timeout: PATIENCE,
        stall_timeout: PATIENCE,
    };
    printer.line(format_args!("a stand-in for the Hub is at {}", stand_in.endpoint()));
    say(&format!("HF_ENDPOINT={} {}", stand_in.endpoint(), typed::download(&args)), printer);
    let exit = run_with(&args, settings, printer)?;
    printer.line(format_args!("the stand-in answered {}", counted(stand_in.log().len() as u64, "request")));
    Ok(exit)
}

/// Writes the catalogue, unless it is there already.
fn write_catalog(path: &Path, output: &Path) -> Result<()> {
    match open::read(path, CATALOG.len() as u64) {
        Ok(found) if found == CATALOG.as_bytes() => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => return Err(Usage::NotOurFolder { path: path.to_owned() }.into()),
    }
    atomic::create_folder(output)?;
    Ok(atomic::replace(path, &output.join(".catalog.tmp"), CATALOG.as_bytes())?)
}
