//! What a lane does where another one has found that the engine of a split is not to be trusted.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test fails where it panics")]

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use mashbill_format::documents::DocumentsEncoder;
use mashbill_format::layout::Output;
use mashbill_format::manifest::{Packing, ShardOptions};
use mashbill_parquet::encode::Compression;
use mashbill_records::DOCUMENT_BYTES_MAX;
use mashbill_records::record::RecordParser;
use mashbill_tokenizer::{FastRefused, Scratch, Tokenizer, TokenizerOptions, embedded};

use super::*;
use crate::chat::ChatMemory;
use crate::context::RunCounters;
use crate::input::SplitNames;
use crate::interruption::Interruption;
use crate::make::work_of;
use crate::options::{FinishedSplits, Options};
use crate::split_plan::SplitPlan;
use crate::task;
use crate::worker::{Memory, WrittenGroups};

fn tokenizer(add_eos: bool) -> Tokenizer {
    let options = TokenizerOptions { add_eos, ..TokenizerOptions::NOTHING_ADDED };
    Tokenizer::load(&embedded("gpt2").unwrap(), &options, None).unwrap()
}

fn options(root: &Path) -> Options {
    Options {
        input: root.join("data"),
        output: root.join("out"),
        recursive: true,
        split_names: SplitNames::Stem,
        shard_size_gb: 1.0,
        bytes: ShardOptions {
            max_seq_length: 1024,
            shard_bytes: 1 << 30,
            stride_bytes: 1 << 30,
            packing: Packing::Concat,
            compression: Compression::Snappy,
            text_field: "text".into(),
            other_text_fields: Vec::new(),
            max_document_bytes: DOCUMENT_BYTES_MAX,
            chat: None,
            held_out: None,
        },
        finished: FinishedSplits::Keep,
        rehash: false,
        prune: false,
        strict: false,
        threads: 1,
        task_bytes: 1 << 20,
    }
}

/// The reference of the first split ends documents with no token, so its shards are known by their counts.
#[test]
fn blocks_of_an_engine_that_is_not_trusted_are_made_again_and_no_task_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("data")).unwrap();
    let line = format!("{{\"text\": \"{}\"}}\n", "some words of a text ".repeat(500));
    for (name, lines) in [("a", 300), ("b", 20), ("c", 200)] {
        fs::write(folder.path().join(format!("data/{name}.jsonl")), line.repeat(lines)).unwrap();
    }
    let (fast, other) = (Arc::new(tokenizer(true)), tokenizer(false));
    let other = other.to_reference(FastRefused::Mismatch { text: String::new() }).unwrap();
    assert_ne!(fast.engine(), Engine::Reference);
    let fast_name = fast.engine().name();
    let (no, options) = (AtomicBool::new(false), options(folder.path()));
    let planned = crate::plan::plan(&options, fast.identity()).unwrap();
    let plan = crate::begin(planned, "still-house", &no, &mut |_| {}).unwrap().plan;
    let splits = SplitPlan::all_of(&plan, &options.input).unwrap();
    let work = work_of(&plan, &splits);
    let state = Output::new(&options.output).state();
    let (messages, told) = mpsc::channel();
    let context = Context {
        options: &plan.manifest.options,
        state: &state,
        made: &state,
        work: &work,
        strict: false,
        task_bytes: options.task_bytes,
        window: 6,
        progress: RunCounters::new(work.size()),
        vocabulary_size: fast.identity().vocabulary_size as usize,
        pad_id: fast.identity().pad.id,
        tokenizer: fast,
        chat: None,
        reference: Mutex::default(),
        interruption: Interruption::new(&no),
        messages,
        written: WrittenGroups::default(),
    };
    let pool = Pool::default();
    let tasks = Tasks::new(task::tasks(&work, options.bytes.stride_bytes, options.task_bytes));
    let recorder = Recorder::new(state.clone(), state.clone(), context.messages.clone());
    thread::scope(|scope| {
        let lane = scope.spawn(|| run(&context, &pool, &tasks, &recorder));
        scope.spawn(|| {
            pool.work(&mut Worker {
                parser: RecordParser::new(&context.options.text_fields()),
                scratch: Scratch::new(),
                memory: Memory::default(),
                rows: context.row_group_encoder(),
                documents: DocumentsEncoder::new(Compression::Snappy),
                chat: ChatMemory::default(),
            });
        });
        // Its first block is made, and more are under way.
        assert!(matches!(told.recv().unwrap(), RunMessage::Event(Event::Started { split }) if split == "a"));
        context.reference.lock().unwrap().insert(0, Arc::new(other));
        let ended = lane.join();
        pool.close();
        ended.unwrap().unwrap();
    });
    drop(recorder);
    let mut made = Vec::new();
    while let Ok(message) = told.try_recv() {
        let RunMessage::Made(records) = message else { continue };
        for (split, record) in records {
            let counts = &record.parts[0].counts;
            made.push((
                split,
                record.last,
                record.engine == fast_name,
                counts.documents,
                counts.ledger.special_tokens,
            ));
        }
    }
    made.sort_unstable();
    assert_eq!(made, [(0, true, false, 300, 0), (1, true, true, 20, 20), (2, true, true, 200, 200)]);
}
