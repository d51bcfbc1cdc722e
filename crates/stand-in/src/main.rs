//! The stand-in as a program, for tests that are not written in Rust.
//!
//! It reads JSON lines: first how to behave, then a repository a line. To each it
//! answers with a line, to the first with its addresses. It ends with its input. What
//! goes wrong is said to the control endpoint.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the lines are what it is for")]

use std::collections::BTreeMap;
use std::io::{self, BufRead as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use mashbill_stand_in::{Access, Repo, RepoType, Site, StandIn, User};
use serde::Deserialize;
use serde_json::{Value, json};

/// The first line. Everything may be left out.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct First {
    page_size: usize,
    link_base: Option<String>,
    signed_for_ms: u64,
    quota: u64,
    window_s: u64,
    bytes_per_second: u64,
    delay_ms: u64,
    /// A token that opens everything.
    token: Option<String>,
    /// A token of somebody to whom gated and private repositories are closed.
    stranger_token: Option<String>,
}

impl Default for First {
    fn default() -> Self {
        Self {
            page_size: 1000,
            link_base: None,
            signed_for_ms: 3_600_000,
            quota: 100_000,
            window_s: 300,
            bytes_per_second: 0,
            delay_ms: 0,
            token: None,
            stranger_token: None,
        }
    }
}

/// A further line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    id: String,
    #[serde(default = "dataset")]
    kind: RepoType,
    #[serde(default = "open")]
    access: Access,
    license: Option<String>,
    /// The `configs` of its card.
    configs: Option<Value>,
    moved_to: Option<String>,
    /// The folders with the branches' files.
    branches: BTreeMap<String, PathBuf>,
}

fn dataset() -> RepoType {
    RepoType::Dataset
}

fn open() -> Access {
    Access::Open
}

/// What it is told with `--help`.
const HELP: &str = "\
A small Hugging Face Hub on 127.0.0.1, for tests. It reads JSON lines and answers each with a line.

First line: how to behave; {} takes the defaults. The answer has the `endpoint`, for HF_ENDPOINT.
  page_size, link_base, signed_for_ms, quota, window_s, bytes_per_second, delay_ms, token, stranger_token
Each further line: a repository, as {\"id\": \"org/data\", \"branches\": {\"main\": \"path/of/a/folder\"}}; also
  kind (dataset, model), access (open, gated, private, disabled), license, configs, moved_to

It ends with its input. Example:
  (echo '{}'; echo '{\"id\": \"org/data\", \"branches\": {\"main\": \"data\"}}'; sleep 60) | mashbill-stand-in
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("--help" | "-h") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!(
                "error: `{other}` is not an argument\nhint: `mashbill-stand-in --help` says what it reads"
            );
            return ExitCode::FAILURE;
        }
        None => {}
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let mut lines = io::stdin().lock().lines();
    let first: First = serde_json::from_str(&lines.next().transpose()?.unwrap_or_else(|| "{}".to_owned()))?;
    let stand_in = StandIn::start(site(first))?;
    println!("{}", json!({"endpoint": stand_in.endpoint(), "store": stand_in.store()}));
    for line in lines {
        stand_in.put(repo(serde_json::from_str(&line?)?)?);
        println!("{{}}");
    }
    Ok(())
}

fn site(first: First) -> Site {
    let tokens = [(first.token, true), (first.stranger_token, false)];
    let users = tokens.into_iter().filter_map(|(token, trusted)| {
        let name = if trusted { "friend" } else { "stranger" };
        Some(User { name: name.to_owned(), token: token?, trusted })
    });
    Site {
        users: users.collect(),
        page_size: first.page_size,
        link_base: first.link_base,
        signed_for: Duration::from_millis(first.signed_for_ms),
        quota: first.quota,
        window: Duration::from_secs(first.window_s),
        bytes_per_second: first.bytes_per_second,
        delay: Duration::from_millis(first.delay_ms),
        control: true,
    }
}

fn repo(described: Described) -> io::Result<Repo> {
    let mut repo = Repo::new(described.kind, &described.id);
    repo.access = described.access;
    repo.license = described.license;
    repo.configs = described.configs;
    repo.moved_to = described.moved_to;
    for (branch, folder) in &described.branches {
        repo.put_folder(branch, folder)?;
    }
    Ok(repo)
}
