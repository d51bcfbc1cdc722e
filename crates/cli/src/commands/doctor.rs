//! `mashbill doctor`: whether everything that a command needs is there, line by line.

mod finding;
mod chat;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::Args;
use mashbill_format::figures::{counted, duration, size};
use mashbill_format::layout::Output;
use mashbill_format::manifest::{self, Manifest};
use mashbill_hub::Settings;
use mashbill_parquet::encode::Compression;
use mashbill_store::open;
use mashbill_tokenizer::{Engine, Tokenizer, TokenizerFiles, TokenizerOptions};

use self::finding::{Finding, Health};
use crate::cache::cache as cache_folder;
use crate::commands::tokenize::TokenizeArgs;
use crate::commands::tokenize::chat::TemplateArgs;
use crate::environment::{find_tokenizer, hub_settings, load};
use crate::exit::Exit;
use crate::found_again::{files_again, options_of};
use crate::hints::hint;
use crate::out;
use crate::printer::{Printer, error_text};
use crate::threads;

/// More than the system says of a process's limits, in bytes.
const LIMITS_BYTES_MAX: u64 = 64 << 10;

/// With fewer open files than this a folder of many inputs on many threads stops.
const OPEN_FILES_MIN: u64 = 256;

/// With less free space than this a run of any size stops.
const FREE_BYTES_MIN: u64 = 10_000_000_000;

/// The usual size of a shard.
const SHARD_BYTES: u64 = 2_000_000_000;

/// The first Python that mashbill's package runs on.
const PYTHON_MIN: [u32; 2] = [3, 10];

const EXAMPLES: &str = "\
Examples:
  mashbill doctor
  mashbill doctor --tokenizer gpt2 --output data/distillation_preprocessed
  mashbill doctor --tokenizer Qwen/Qwen3-8B --chat-template own.jinja";

/// Check that everything a command needs is there: token, Hub, proxy, disk, tokenizer, Python
///
/// Of a chat template, and of the one that the folder in `--output` was made with, it says how it is told what is learned,
/// which token ends a turn, and what becomes of records with system messages, tools and reasoning.
///
/// Each line is ok, a warning or a problem, and says what to type. The token itself is never shown.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// The tokenizer to check [default: the one that the folder in --output was made with, else meta-llama/Llama-3.2-1B]
    #[arg(long, value_name = "NAME")]
    tokenizer: Option<String>,

    /// The folder to write to, or that was written
    #[arg(long, value_name = "DIR", default_value = ".")]
    output: PathBuf,

    /// The Python to train with [default: the one that this command came with, else python3]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,

    /// Print the result as JSON on stdout
    #[arg(long)]
    json: bool,

    /// The chat template to check, as mashbill tokenize takes it [default: the tokenizer's own]
    #[arg(long, value_name = "NAME|FILE", help_heading = "Chats")]
    chat_template: Option<String>,

    // The last, since its heading stands over whatever comes behind.
    #[command(flatten)]
    template: TemplateArgs,
}

pub(crate) fn run(args: &DoctorArgs, interpreter: Option<&Path>, printer: &Printer) -> Result<Exit> {
    let mut findings = Vec::new();
    // What is wrong with a manifest `verify` says.
    let manifest = Manifest::read(&Output::new(&args.output).manifest()).ok().flatten();
    let name = tokenizer_name(args, manifest.as_ref());
    let loaded = loaded(args, manifest.as_ref(), printer);
    let tokenizer = tokenizer(&name, &loaded);
    match hub_settings() {
        Ok(settings) => {
            findings.push(token(&settings));
            findings.push(proxy(&settings));
            findings.push(endpoint(&settings, tokenizer.state != Health::Problem));
        }
        Err(error) => {
            let fix = hint(&error).unwrap_or_else(|| "correct the variable, or unset it".into());
            findings.push(Finding::problem("settings", error_text(error.as_ref()), fix));
        }
    }
    findings.push(tokenizer);
    if let Ok((files, tokenizer)) = &loaded {
        let named = args.chat_template.as_deref();
        findings.extend(chat::of_tokenizer(named, &args.template, files, tokenizer));
    }
    findings.extend(manifest.as_ref().map(chat::of_output).unwrap_or_default());
    findings.push(cache());
    findings.push(disk(args));
    findings.push(threads());
    findings.push(open_files());
    let program = args.python.as_deref().or(interpreter).unwrap_or(Path::new("python3"));
    findings.extend(python(program));
    if args.json {
        out::json(&findings)?;
    } else {
        // What is mended in one way is said once, under all that it mends.
        for alike in findings.chunk_by(|one, other| one.hint.is_some() && one.hint == other.hint) {
            alike.iter().for_each(|finding| say(finding, printer));
            alike
                .iter()
                .filter_map(|finding| finding.hint.as_ref())
                .take(1)
                .for_each(|hint| printer.hint(hint));
        }
    }
    let problems = findings.iter().filter(|finding| finding.state == Health::Problem).count();
    if problems > 0 {
        printer.line(format_args!("{} to solve", counted(problems as u64, "problem")));
    }
    Ok(if problems > 0 { Exit::Problems } else { Exit::Done })
}

fn say(finding: &Finding, printer: &Printer) {
    let text = format!("{}: {}", finding.what, finding.text);
    match finding.state {
        Health::Ok => printer.good("ok", text),
        Health::Warning => printer.warning(text),
        Health::Problem => printer.problem(text),
    }
}

fn token(settings: &Settings) -> Finding {
    match &settings.token {
        Some(token) => Finding::ok("token", format!("found in {}", token.source())),
        None => Finding::warning(
            "token",
            "none: gated tokenizers and datasets cannot be fetched",
            "make one at https://huggingface.co/settings/tokens, then set HF_TOKEN or run `hf auth login`",
        ),
    }
}

fn proxy(settings: &Settings) -> Finding {
    let proxies = &settings.proxies;
    let named: Vec<_> = [("https", &proxies.https), ("http", &proxies.http)]
        .into_iter()
        .filter_map(|(scheme, proxy)| proxy.as_ref().map(|proxy| format!("{proxy} for {scheme}")))
        .collect();
    if named.is_empty() { Finding::ok("proxy", "none") } else { Finding::ok("proxy", named.join(", ")) }
}

/// Whether the Hub answers; where the tokenizer is here, only a download needs it.
fn endpoint(settings: &Settings, has_tokenizer: bool) -> Finding {
    let endpoint = &settings.endpoint;
    if settings.offline {
        return Finding::warning(
            "hub",
            format!("{endpoint} is not asked: HF_HUB_OFFLINE is set"),
            "unset HF_HUB_OFFLINE to fetch what is not in the cache",
        );
    }
    match mashbill_hub::reach(settings) {
        Ok(()) => Finding::ok("hub", format!("{endpoint} answers")),
        Err(error) => {
            let fix = "check the network, HTTPS_PROXY and HF_ENDPOINT";
            if has_tokenizer {
                let fix = format!("{fix}; only `mashbill download` and tokenizers of the Hub need it");
                return Finding::warning("hub", error_text(&error), fix);
            }
            Finding::problem("hub", error_text(&error), fix)
        }
    }
}

/// What a kill costs at the most.
fn a_shard_takes(engine: Engine) -> String {
    let threads = threads::threads(None).unwrap_or(1);
    let bytes = manifest::ShardOptions::stride_of(SHARD_BYTES, Compression::Snappy) as f64;
    let seconds = bytes / (engine.bytes_per_cpu_second() * threads as f64);
    format!("a shard of {} takes about {}", size(SHARD_BYTES), duration(seconds))
}

/// What the tokenizer that is checked is called: the one that was named, the one of the folder, or the usual one.
fn tokenizer_name(args: &DoctorArgs, manifest: Option<&Manifest>) -> String {
    let of_folder = manifest.map(|manifest| &manifest.tokenizer);
    args.tokenizer.as_ref().or(of_folder).cloned().unwrap_or_else(|| TokenizeArgs::default().tokenizer)
}

fn loaded(
    args: &DoctorArgs,
    manifest: Option<&Manifest>,
    printer: &Printer,
) -> Result<(TokenizerFiles, Tokenizer)> {
    const AS_BY_DEFAULT: TokenizerOptions =
        TokenizerOptions { add_bos: true, add_eos: true, ..TokenizerOptions::NOTHING_ADDED };
    let (files, options) = match manifest.filter(|_| args.tokenizer.is_none()) {
        Some(manifest) => {
            (files_again(&args.output, manifest, printer)?, options_of(&manifest.tokenizer_identity))
        }
        None => (find_tokenizer(&tokenizer_name(args, None), &Printer::new(true))?, AS_BY_DEFAULT),
    };
    let tokenizer = load(&files, &options, cache_folder().ok().as_deref())?;
    Ok((files, tokenizer))
}

fn tokenizer(name: &str, loaded: &Result<(TokenizerFiles, Tokenizer)>) -> Finding {
    match loaded {
        Ok((_, tokenizer)) => match tokenizer.fast_refused() {
            None => {
                let (engine, shard) = (tokenizer.engine(), a_shard_takes(tokenizer.engine()));
                Finding::ok("tokenizer", format!("`{name}` found; {} encodes; {shard}", engine.name()))
            }
            Some(why) => Finding::warning(
                "tokenizer",
                format!("`{name}` found; the fast engine is not used: {why}"),
                format!(
                    "its ids are right, at about 3 MB of text per CPU-second; {}, less with a smaller `--shard-size`",
                    a_shard_takes(tokenizer.engine())
                ),
            ),
        },
        Err(error) => {
            let fix = hint(error).unwrap_or_else(|| "give another one with `--tokenizer`".into());
            // The line begins with the word.
            let text = error_text(error.as_ref());
            Finding::problem("tokenizer", text.strip_prefix("tokenizer ").unwrap_or(&text), fix)
        }
    }
}

fn cache() -> Finding {
    match cache_folder() {
        Ok(folder) => Finding::ok("cache", folder.display().to_string()),
        Err(why) => Finding::warning("cache", why.to_string(), why.hint()),
    }
}

fn disk(args: &DoctorArgs) -> Finding {
    let folder = args.output.display();
    match mashbill_hub::free_space(&args.output) {
        Some(free) if free < FREE_BYTES_MIN => Finding::warning(
            "disk",
            format!("{} free for {folder}", size(free)),
            "make space, or write elsewhere with `--output`",
        ),
        Some(free) => Finding::ok("disk", format!("{} free for {folder}", size(free))),
        None => {
            let fix = "give another folder with `--output`";
            Finding::warning("disk", format!("the free space for {folder} is unknown"), fix)
        }
    }
}

fn threads() -> Finding {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    Finding::ok("threads", counted(count as u64, "core"))
}

/// The limit on open files, where the system tells it.
fn open_files() -> Finding {
    let limits = open::read_text(Path::new("/proc/self/limits"), LIMITS_BYTES_MAX).unwrap_or_default();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    match limit.and_then(|line| line.split_whitespace().next()).map(str::parse::<u64>) {
        Some(Ok(limit)) if limit < OPEN_FILES_MIN => {
            Finding::warning("open files", format!("{limit} at most"), "ulimit -n 1024")
        }
        Some(Ok(limit)) => Finding::ok("open files", format!("{limit} at most")),
        _ => Finding::ok("open files", "the system does not tell its limit"),
    }
}

/// What Python says of itself, the package and torch.
fn python(python: &Path) -> Vec<Finding> {
    const ASK: &str = "
import importlib.metadata, platform
print('python', platform.python_version())
for name in ('mashbill', 'torch', 'transformers'):
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        pass
";
    let program = python.display().to_string();
    let asked = Command::new(python).arg("-c").arg(ASK).output();
    let Some(answer) = asked.ok().filter(|answer| answer.status.success()) else {
        let fix = "install Python 3.10 or later, or name it with `--python`; only training needs it";
        return vec![Finding::warning("python", format!("`{program}` does not run"), fix)];
    };
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.trim().to_owned())
            .unwrap_or_default()
    };
    let found = value("python");
    let version: Vec<u32> = found.split('.').map_while(|part| part.parse().ok()).collect();
    let python = if version.as_slice() < &PYTHON_MIN[..] {
        let fix = "install Python 3.10 or later, or name it with `--python`; only training needs it";
        Finding::warning("python", format!("`{program}` is {found}, which is too old"), fix)
    } else {
        Finding::ok("python", format!("`{program}` is {found}"))
    };
    // It is on no index: what is named is the way from the source tree.
    let install = format!("in mashbill's source tree: {program} -m pip install './python[train]'");
    let package = |name: &'static str| match value(name).as_str() {
        "" => {
            let fix = format!("{install}; only training needs it");
            Finding::warning(name, format!("`{program}` does not have it"), fix)
        }
        version => Finding::ok(name, format!("`{program}` has {version}")),
    };
    let ours = match value("mashbill").as_str() {
        version if version.is_empty() || version == env!("CARGO_PKG_VERSION") => package("mashbill"),
        version => Finding::warning(
            "mashbill",
            format!("`{program}` has {version}, and this command is {}", env!("CARGO_PKG_VERSION")),
            install.clone(),
        ),
    };
    vec![python, ours, package("torch"), package("transformers")]
}
