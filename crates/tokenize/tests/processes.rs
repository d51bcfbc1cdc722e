//! A run in steps: tasks that are made by processes of their own, in any order, give the bytes of one run.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test fails where it panics")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use mashbill_format::chat::{Chat, LossOn, NORMAL_FORM, NoLossOn};
use mashbill_format::held_out::{DatasetPart, HeldOut};
use mashbill_format::layout::Output;
use mashbill_format::manifest::{self, Packing};
use mashbill_format::task::RunPlan;
use mashbill_parquet::encode::Compression;
use mashbill_records::DOCUMENT_BYTES_MAX;
use mashbill_tokenize::input::SplitNames;
use mashbill_tokenize::plan::{FinishedSplits, Why};
use mashbill_tokenize::{
    Error, Event, Options, Place, TemplateOptions, begin, commit, make, plan, run, tasks, template,
};
use mashbill_tokenizer::{ChosenTemplate, FastRefused, Tokenizer, TokenizerOptions, embedded};

/// Set in the processes that make a task.
const TASK: &str = "MASHBILL_TEST_TASK";

const HOST: &str = "still-house";

static TOKENIZER: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| tokenizer(true));

/// The one for conversations, around which a template puts what there is.
static BARE: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| tokenizer(false));

fn tokenizer(add_eos: bool) -> Arc<Tokenizer> {
    let options = TokenizerOptions { add_bos: true, add_eos, ..TokenizerOptions::NOTHING_ADDED };
    Arc::new(Tokenizer::load(&embedded("gpt2").unwrap(), &options, None).unwrap())
}

fn options(root: &Path, output: &str) -> Options {
    let shard_bytes = 20_000;
    Options {
        input: root.join("data"),
        output: root.join(output),
        recursive: true,
        split_names: SplitNames::Stem,
        shard_size_gb: shard_bytes as f64 / 1e9,
        bytes: manifest::ShardOptions {
            max_seq_length: 64,
            shard_bytes,
            stride_bytes: manifest::ShardOptions::stride_of(shard_bytes, Compression::Snappy),
            packing: Packing::Concat,
            compression: Compression::Snappy,
            text_field: "text".into(),
            other_text_fields: Vec::new(),
            max_document_bytes: DOCUMENT_BYTES_MAX,
            chat: None,
            held_out: Some(HeldOut { fraction: 0.1, part: DatasetPart::Train }),
        },
        finished: FinishedSplits::Keep,
        rehash: false,
        prune: false,
        strict: false,
        threads: 1,
        task_bytes: 50_000,
    }
}

/// Records with words that a draw chooses, and a bad line among them.
fn records(seed: u64, count: usize) -> String {
    let words =
        ["still", "mash", "oak", "barrel", "proof", "rye", "corn", "malt", "copper", "angel", "é", "中"];
    let mut state = seed | 1;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut lines = String::new();
    for number in 0..count {
        let text: Vec<_> = (0..5 + draw(60)).map(|_| words[draw(words.len())]).collect();
        lines += &format!("{{\"text\": \"{}\", \"id\": \"{number}\"}}\n", text.join(" "));
        if number == count / 2 {
            lines += "{\"text\": 5}\n";
        }
    }
    lines
}

/// A folder with plain files, large and small ones, and a packed one.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data/below");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("large.jsonl"), records(1, 900)).unwrap();
    for small in 0..5 {
        fs::write(data.join(format!("small{small}.jsonl")), records(10 + small, 20)).unwrap();
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(records(2, 500).as_bytes()).unwrap();
    fs::write(data.join("packed.jsonl.gz"), packed.finish().unwrap()).unwrap();
    folder
}

/// What promises speak of: all files but statistics, and the manifests but for the output's name.
fn promised(output: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else if !path.to_str().unwrap().ends_with("_stats.json") {
                let bytes = fs::read(&path).unwrap();
                let text = String::from_utf8(bytes.clone());
                let bytes = match text {
                    Ok(text) => text.replace(root.to_str().unwrap(), "").into_bytes(),
                    Err(_) => bytes,
                };
                files.insert(path.strip_prefix(root).unwrap().to_owned(), bytes);
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(output, output, &mut files);
    files
}

fn silent(_: Event) {}

/// A process that makes one task, and nothing else.
fn start(root: &Path, task: &str) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "one_task", "--nocapture"]).env(TASK, format!("{task}\n{}", root.display()));
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) {
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// What a process of its own does: it is no test, but where [`start`] started it.
#[test]
fn one_task() {
    let Ok(told) = env::var(TASK) else { return };
    let (task, root) = told.split_once('\n').unwrap();
    let root = Path::new(root);
    let (input, output) = (root.join("data"), root.join("steps"));
    let place = Place { input: &input, output: &output };
    let plan = RunPlan::read(&Output::new(&output).state()).unwrap().unwrap();
    let go = AtomicBool::new(false);
    let tokenizer = if plan.manifest.options.chat.is_some() { &BARE } else { &TOKENIZER };
    let failed = make(&plan, task, place, (tokenizer, 1), HOST, &go, &mut silent).unwrap();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn tasks_that_processes_make_in_any_order_give_the_bytes_of_one_run() {
    let folder = folder();
    let root = folder.path();
    let go = AtomicBool::new(false);
    let whole = plan(&options(root, "whole"), TOKENIZER.identity()).unwrap();
    let report = run(whole, &TOKENIZER, HOST, &go, &mut silent).unwrap();
    assert!(report.failed.is_empty() && report.train.manifest.splits["large"].shards >= 8);

    let steps = plan(&options(root, "steps"), TOKENIZER.identity()).unwrap();
    let begun = begin(steps, HOST, &go, &mut silent).unwrap().plan;
    let mut names = tasks(&begun).unwrap();
    assert!(names.len() >= 5, "{names:?}");
    // The last first, three at the same time, each twice, and one of them killed.
    names.reverse();
    start(root, &names[0]).kill().unwrap();
    for some in names.chunks(3) {
        let children: Vec<_> = some.iter().chain(some).map(|name| start(root, name)).collect();
        children.into_iter().for_each(end);
    }
    let input = root.join("data");
    let output = root.join("steps");
    let place = Place { input: &input, output: &output };
    let mut finished = Vec::new();
    let report = commit(&begun, place, HOST, &mut |event| {
        if let Event::Finished { split, .. } = event {
            finished.push(split);
        }
    });
    let report = report.unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(finished.len(), 7);
    assert_eq!(promised(&root.join("whole")), promised(&output));
    assert!(!Output::new(&output).state().root().exists(), "nothing is left of the run");
    // Once more: there is nothing left to do, and nothing is missed.
    let again = commit(&begun, place, HOST, &mut silent).unwrap();
    assert!(again.failed.is_empty() && again.train.manifest == report.train.manifest, "{:?}", again.failed);
    assert_eq!(promised(&root.join("whole")), promised(&output));
}

/// Conversations with questions that several have.
fn conversations(seed: usize, count: usize) -> String {
    let message = |role: &str, content: String| format!(r#"{{"role": "{role}", "content": "{content}"}}"#);
    let line = |number: usize| {
        let asked = message("user", format!("question {}", number * seed % 97));
        let answer = message("assistant", "an answer of oak ".repeat(1 + number * 7 % 13));
        let more = if number.is_multiple_of(3) { format!(", {asked}, {answer}") } else { String::new() };
        format!("{{\"messages\": [{asked}, {answer}{more}], \"id\": \"{number}\"}}\n")
    };
    (0..count).map(line).collect::<String>() + "{\"messages\": 5}\n{\"text\": \"none\"}\n"
}

#[test]
fn tasks_of_conversations_give_the_bytes_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("data")).unwrap();
    fs::write(root.join("data/large.jsonl"), conversations(5, 600)).unwrap();
    fs::write(root.join("data/small.jsonl"), conversations(11, 30)).unwrap();
    let text = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ eos_token + m.role + ': ' + m.content }}{% endfor %}\
        {{ eos_token }}";
    let chosen = ChosenTemplate { name: "own".into(), text: text.into(), text_with_tools: None };
    let asked = TemplateOptions {
        args: BTreeMap::new(),
        date: Some("2026-01-02".into()),
        loss_on: LossOn::Assistant,
        no_loss_on: NoLossOn::default(),
    };
    let template = template(chosen, asked, &BARE).unwrap();
    let chat =
        Chat { normal_form: NORMAL_FORM, keep_tool_arguments: false, mixed: false, template: Some(template) };
    let planned = |output: &str| {
        let mut options = options(root, output);
        options.bytes.chat = Some(chat.clone());
        plan(&options, BARE.identity()).unwrap()
    };
    let go = AtomicBool::new(false);
    let report = run(planned("whole"), &BARE, HOST, &go, &mut silent).unwrap();
    let large = &report.train.manifest.splits["large"];
    assert!(report.failed.is_empty() && large.shards >= 4, "{:?}", report.failed);
    assert_eq!(large.rejected.values().sum::<u64>(), 2);
    assert!(large.ledger.learned_tokens > 0 && large.ledger.template_tokens > 0);
    assert!(report.validation.unwrap().manifest.splits["large"].samples > 0);

    let begun = begin(planned("steps"), HOST, &go, &mut silent).unwrap().plan;
    let mut names = tasks(&begun).unwrap();
    assert!(names.len() >= 3, "{names:?}");
    names.reverse();
    start(root, &names[0]).kill().unwrap();
    for some in names.chunks(2) {
        let children: Vec<_> = some.iter().chain(some).map(|name| start(root, name)).collect();
        children.into_iter().for_each(end);
    }
    let (input, output) = (root.join("data"), root.join("steps"));
    let place = Place { input: &input, output: &output };
    // Another loss is another plan: its tasks are not made with these.
    let mut other = begun.clone();
    let chat = other.manifest.options.chat.as_mut().unwrap();
    chat.template.as_mut().unwrap().loss_on = LossOn::All;
    let changed = commit(&other, place, HOST, &mut silent).map(|report| report.failed);
    assert!(matches!(changed, Err(Error::OutputChanged { .. })), "{changed:?}");
    let report = commit(&begun, place, HOST, &mut silent).unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(promised(&root.join("whole")), promised(&output));
}

#[test]
fn what_is_missing_at_the_commit_is_named_and_made_by_another_run() {
    let folder = folder();
    let root = folder.path();
    let go = AtomicBool::new(false);
    let begun = begin(plan(&options(root, "steps"), TOKENIZER.identity()).unwrap(), HOST, &go, &mut silent);
    let begun = begun.unwrap().plan;
    let names = tasks(&begun).unwrap();
    let (input, output) = (root.join("data"), root.join("steps"));
    let place = Place { input: &input, output: &output };
    for name in names.iter().filter(|name| **name != names[1]) {
        let failed = make(&begun, name, place, (&TOKENIZER, 1), HOST, &go, &mut silent).unwrap();
        assert!(failed.is_empty(), "{failed:?}");
    }
    let report = commit(&begun, place, HOST, &mut silent).unwrap();
    let [(split, Error::ShardsMissing { made, of: Some(of) })] = &report.failed[..] else {
        panic!("{:?}", report.failed)
    };
    assert!(split == "large" && *made > 0 && *made < *of as usize, "{made} of {of}");
    assert_eq!(report.train.manifest.splits.len(), 6);
    let rest = plan(&options(root, "steps"), TOKENIZER.identity()).unwrap();
    assert_eq!(rest.splits.iter().map(|split| &split.why).collect::<Vec<_>>(), [&Why::Interrupted]);
    run(rest, &TOKENIZER, HOST, &go, &mut silent).unwrap();
    run(plan(&options(root, "whole"), TOKENIZER.identity()).unwrap(), &TOKENIZER, HOST, &go, &mut silent)
        .unwrap();
    assert_eq!(promised(&root.join("whole")), promised(&output));
}

#[test]
fn a_task_is_made_as_its_plan_says_or_not_at_all() {
    let folder = folder();
    let root = folder.path();
    let go = AtomicBool::new(false);
    let begun = begin(plan(&options(root, "steps"), TOKENIZER.identity()).unwrap(), HOST, &go, &mut silent);
    let begun = begun.unwrap().plan;
    let (input, output) = (root.join("data"), root.join("steps"));
    let place = Place { input: &input, output: &output };
    let name = &tasks(&begun).unwrap()[0];
    let other = make(&begun, name, place, (&tokenizer(false), 1), HOST, &go, &mut silent);
    assert!(matches!(other, Err(Error::OtherTokenizer { .. })), "{other:?}");
    let unknown = make(&begun, "99999", place, (&TOKENIZER, 1), HOST, &go, &mut silent);
    assert!(matches!(unknown, Err(Error::NoTask { .. })), "{unknown:?}");
    let strict = RunPlan { strict: true, ..begun.clone() };
    let changed = make(&strict, name, place, (&TOKENIZER, 1), HOST, &go, &mut silent);
    assert!(matches!(changed, Err(Error::OutputChanged { .. })), "{changed:?}");
    let changed = commit(&strict, place, HOST, &mut silent).map(|report| report.failed);
    assert!(matches!(changed, Err(Error::OutputChanged { .. })), "{changed:?}");
    // The input is another one now: its split is named, and the record has what is left.
    fs::write(input.join("below/large.jsonl"), records(3, 900)).unwrap();
    let failed = make(&begun, name, place, (&TOKENIZER, 1), HOST, &go, &mut silent).unwrap();
    assert!(matches!(&failed[..], [(split, Error::Changed { .. })] if split == "large"), "{failed:?}");
}

/// What `work` panics with, which it does on a thread of its own within a minute.
fn panic_of(work: impl FnOnce() + Send + 'static) -> String {
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || sender.send(catch_unwind(AssertUnwindSafe(work))));
    let ended = ended.recv_timeout(Duration::from_secs(60)).expect("it ends");
    let panic = ended.expect_err("it panics");
    let text = panic.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| panic.downcast_ref::<&str>().copied().unwrap_or_default().to_owned())
}

#[test]
fn a_thread_that_panics_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    fs::create_dir_all(root.join("data")).unwrap();
    // More blocks than may be under way.
    fs::write(root.join("data/all.jsonl"), records(4, 80_000)).unwrap();
    let go = AtomicBool::new(false);
    let planned = |output: &str, stride: u64| {
        let mut options = options(&root, output);
        options.bytes.stride_bytes = stride;
        options.bytes.held_out = None;
        plan(&options, TOKENIZER.identity()).unwrap()
    };
    // The caller.
    let caller = planned("caller", 1 << 30);
    let run_it = move || {
        let ended = run(caller, &TOKENIZER, HOST, &AtomicBool::new(false), &mut |event| {
            assert!(!matches!(event, Event::Started { .. }), "the caller's own");
        });
        drop(ended);
    };
    assert_eq!(panic_of(run_it), "the caller's own");
    // A worker, whose memory has no row of this length, and with it the lane that hears of it.
    let mut begun = begin(planned("lane", 1 << 20), HOST, &go, &mut silent).unwrap().plan;
    begun.manifest.options.max_seq_length = usize::MAX / 2;
    begun.task_bytes = 1 << 30;
    let (input, output) = (root.join("data"), root.join("lane"));
    begun.write(&Output::new(&output).state()).unwrap();
    let make_it = move || {
        let place = Place { input: &input, output: &output };
        let name = &tasks(&begun).unwrap()[0];
        let no = AtomicBool::new(false);
        drop(make(&begun, name, place, (&TOKENIZER, 1), HOST, &no, &mut silent));
    };
    assert_ne!(panic_of(make_it), "");
}

#[test]
fn an_interrupted_run_finishes_a_shard_that_is_nearly_done_and_drops_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("data")).unwrap();
    let slow = Arc::new(TOKENIZER.to_reference(FastRefused::Mismatch { text: String::new() }).unwrap());
    let all = records(4, 80_000);
    for (name, tokenizer, times, is_finished) in [("fast", &*TOKENIZER, 2, true), ("slow", &slow, 4, false)] {
        fs::write(root.join("data/all.jsonl"), all.repeat(times)).unwrap();
        let mut options = options(root, name);
        options.bytes.stride_bytes = 1 << 30;
        options.bytes.shard_bytes = 1 << 30;
        let interrupted = AtomicBool::new(false);
        let (mut finishing, mut dropped) = (Vec::new(), Vec::new());
        let planned = plan(&options, tokenizer.identity()).unwrap();
        let ended = run(planned, tokenizer, HOST, &interrupted, &mut |event| match event {
            Event::Progress(progress) if progress.tokens > 0 => interrupted.store(true, Ordering::Relaxed),
            Event::Finishing { shard, .. } => finishing.push(shard),
            Event::Dropped { shard, time, .. } => dropped.push((shard, time)),
            _ => {}
        });
        assert!(matches!(ended, Err(Error::Interrupted)), "{name}: {ended:?}");
        assert_eq!(dropped.is_empty(), is_finished, "{name}: {dropped:?}");
        // On a busy machine all of it may have been handed out by then: it is finished without a word.
        assert!(
            if is_finished { finishing.len() <= 1 } else { finishing.is_empty() },
            "{name}: {finishing:?}"
        );
        assert_eq!(Output::new(&options.output).split("all").exists(), is_finished, "{name}");
    }
}
