//! A folder of conversations, as the command makes it, and injured: in its rows, its books, and what it says of its template.

use std::sync::LazyLock;

use mashbill_format::documents::{self, Document, DocumentsEncoder};
use mashbill_format::layout::Output;
use mashbill_format::loss_spans::{Loss, SpansBuilder};
use mashbill_format::manifest::{Manifest, split_identity};
use mashbill_format::shard;
use mashbill_parquet::encode::Compression;
use mashbill_verify::ProblemKind;
use serde_json::{Value, json};

use super::folder::Folder;
use super::masked::{encoded, learned_tokens, rows_of, write};
use super::{FIRST, Injury, LAST, ROW_LENGTH, TABLE, add, missed};
use crate::chats::{TEMPLATE, conversations, project, tokenize};
use crate::project::Project;

/// The ids of the tokens with which turns begin and end.
const START: u32 = 260;
const END: u32 = 261;

/// The injuries that the folder alone shows, with all checksums sealed again over them.
const INJURIES: &[Injury] = &[
    // Rows and tables, with labels and pages as they would be.
    ("a span is longer by one in shard, table and labels", ProblemKind::Stats, |f| {
        rewrite(f, |documents| {
            let spans = &mut documents[0].0.loss_spans;
            spans[0] -= 1;
            spans[1] += 1;
        });
    }),
    ("a user's turn is learned", ProblemKind::Stats, |f| {
        rewrite(f, |documents| learn_all(&mut documents[1].0));
    }),
    ("a user's turn is learned, and the statistics say so", ProblemKind::Stats, |f| {
        let more = rewrite(f, |documents| learn_all(&mut documents[1].0));
        f.json(STATS, |s| {
            add(&mut s["ledger"]["learned_tokens"], more);
            add(&mut s["shards"][0]["ledger"]["learned_tokens"], more);
        });
    }),
    ("a document has nothing that is learned", ProblemKind::Stats, |f| {
        rewrite(f, |documents| documents[0].0.loss_spans = vec![documents[0].0.tokens as i32]);
    }),
    ("the spans of the table alone are moved by one", ProblemKind::LossSpans, |f| {
        f.documents(|d| move_span(&mut d[0]));
    }),
    ("a control token is an ordinary one, with its label", ProblemKind::Sums, |f| {
        rewrite(f, |documents| *token(&mut documents[1].1, |id| id == END) = u32::from(b'x'));
    }),
    ("an ordinary token is a control token, with its label", ProblemKind::Sums, |f| {
        rewrite(f, |documents| *token(&mut documents[1].1, |id| id < 256) = END);
    }),
    ("a label beside a span is a token", ProblemKind::Labels, |f| {
        f.rows(FIRST, |g| {
            let at = (0..ROW_LENGTH - 1).find(|&at| g.0[2].values[at] < 0).unwrap();
            g.labels().values[at] = g.0[0].values[at + 1];
        });
    }),
    ("the labels are those of a folder of which all is learned", ProblemKind::Labels, |f| {
        f.rows(FIRST, |g| g.shift_labels(1));
    }),
    // The books.
    ("learned_tokens is off by one in the manifest", ProblemKind::Stats, |f| {
        f.split(|s| add(&mut s["ledger"]["learned_tokens"], 1));
    }),
    ("learned_tokens is off by one in the statistics", ProblemKind::Stats, |f| {
        f.json(STATS, |s| add(&mut s["ledger"]["learned_tokens"], 1));
    }),
    ("learned_tokens is off by one wherever it stands", ProblemKind::Stats, |f| {
        everywhere(f, |ledger| add(&mut ledger["learned_tokens"], 1));
    }),
    ("learned_tokens is gone wherever it stands", ProblemKind::Sums, |f| {
        everywhere(f, |ledger| ledger["learned_tokens"] = json!(0));
    }),
    ("template_tokens is off by one in the manifest", ProblemKind::Stats, |f| {
        f.split(|s| add(&mut s["ledger"]["template_tokens"], 1));
    }),
    ("template_tokens is off by one in the statistics", ProblemKind::Stats, |f| {
        f.json(STATS, |s| add(&mut s["ledger"]["template_tokens"], -1));
    }),
    ("template_tokens is off by one wherever it stands", ProblemKind::Sums, |f| {
        everywhere(f, |ledger| add(&mut ledger["template_tokens"], -1));
    }),
    ("template_tokens is off by one in two shards that sum up", ProblemKind::Sums, |f| {
        f.json(STATS, |s| {
            add(&mut s["shards"][0]["ledger"]["template_tokens"], 1);
            add(&mut s["shards"][1]["ledger"]["template_tokens"], -1);
        });
    }),
    ("changes are more than those of the shards", ProblemKind::Stats, |f| {
        f.json(STATS, |s| s["changes"]["roles_renamed"] = json!(7));
    }),
    ("changes of a shard are more than those of the split", ProblemKind::Stats, |f| {
        f.json(STATS, |s| s["shards"][0]["changes"] = json!({"nulls_dropped": 1}));
    }),
    // What the manifest says of conversations.
    ("the template has another text", ProblemKind::Identity, |f| {
        template(f, |t| t["text"] = json!(format!("{} ", t["text"].as_str().unwrap())));
    }),
    ("the template has another name", ProblemKind::Identity, |f| template(f, |t| t["name"] = json!("mine"))),
    ("there is a template for tools", ProblemKind::Identity, |f| {
        template(f, |t| t["text_with_tools"] = t["text"].clone());
    }),
    ("an argument of the template is another one", ProblemKind::Identity, |f| {
        template(f, |t| t["args"]["tone"] = json!("me"));
    }),
    ("the arguments of the template are gone", ProblemKind::Identity, |f| {
        template(f, |t| drop(t.as_object_mut().unwrap().remove("args")));
    }),
    ("the date is another one", ProblemKind::Identity, |f| template(f, |t| t["date"] = json!("2026-01-03"))),
    ("the date is gone", ProblemKind::Identity, |f| {
        template(f, |t| drop(t.as_object_mut().unwrap().remove("date")));
    }),
    ("a special token is another one", ProblemKind::Identity, |f| {
        template(f, |t| t["special_tokens"]["eos_token"] = json!("<|im_end|>"));
    }),
    ("no token ends a turn", ProblemKind::Identity, |f| template(f, |t| t["turn_ends"] = json!([]))),
    ("a control token is none", ProblemKind::Sums, |f| {
        template(f, |t| drop(t["control_ids"].as_array_mut().unwrap().pop()));
    }),
    ("there is a loss on everything", ProblemKind::Identity, |f| {
        template(f, |t| t["loss_on"] = json!("all"))
    }),
    ("there is a loss on whatever nobody knows", ProblemKind::Manifest, |f| {
        template(f, |t| t["loss_on"] = json!("users"));
    }),
    ("there is no loss on thoughts", ProblemKind::Identity, |f| {
        template(f, |t| t["no_loss_on"] = json!({"reasoning": true}));
    }),
    ("the spans were found otherwise", ProblemKind::Identity, |f| {
        template(f, |t| t["span_rule"] = json!("blocks"))
    }),
    ("records without messages are taken, too", ProblemKind::Identity, |f| {
        chat(f, |c| c["mixed"] = json!(true))
    }),
    ("arguments of calls stay strings", ProblemKind::Identity, |f| {
        chat(f, |c| c["keep_tool_arguments"] = json!(true));
    }),
    ("the normal form is another one", ProblemKind::Identity, |f| chat(f, |c| c["normal_form"] = json!(1))),
    ("the template is gone", ProblemKind::Identity, |f| {
        chat(f, |c| drop(c.as_object_mut().unwrap().remove("template")));
    }),
    ("chats are gone", ProblemKind::Identity, |f| {
        f.manifest(|m| drop(m["options"].as_object_mut().unwrap().remove("chat")));
    }),
    ("what a reader has to know is gone", ProblemKind::Columns, |f| {
        f.manifest(|m| drop(m.as_object_mut().unwrap().remove("requires")));
    }),
];

/// Injuries that agree with all else in the folder: only the source tells, and this is what is said then.
const ONLY_DEEP: &[InjuryOfMeaning] = &[
    ("a span is moved by one", "other tokens of it are learned", |f| {
        rewrite(f, |documents| move_span(&mut documents[0].0));
    }),
    ("a user's turn is learned, by all books", "other tokens of it are learned", |f| {
        let more = rewrite(f, |documents| learn_all(&mut documents[1].0));
        everywhere(f, |ledger| add(&mut ledger["learned_tokens"], more));
    }),
    ("two documents have each other's learned tokens", "other tokens of it are learned", |f| {
        rewrite(f, |documents| {
            let last = documents.len() - 1;
            for at in [0, last] {
                move_span(&mut documents[at].0);
            }
        });
    }),
    ("a word is another one", "its source gives", |f| {
        rewrite(f, |documents| *token(&mut documents[1].1, |id| id == u32::from(b'o')) = u32::from(b'u'));
    }),
    ("a turn begins with the token of an end", "its source gives", |f| {
        rewrite(f, |documents| {
            let ids = &mut documents[1].1;
            let end = ids.iter().position(|&id| id == END).unwrap();
            *token(ids, |id| id == START) = END;
            ids[end] = START;
        });
    }),
    (
        "a control token of the template is called one in what is said",
        "literal_special_tokens, and its source",
        |f| {
            everywhere(f, |ledger| {
                add(&mut ledger["template_tokens"], -1);
                ledger["literal_special_tokens"] =
                    json!(ledger["literal_special_tokens"].as_u64().unwrap_or(0) + 1);
            });
        },
    ),
    ("the template is another one", "its source gives", |f| {
        disguised(f, |t| t["text"] = json!(t["text"].as_str().unwrap().replace("<think>", "<Think>")));
    }),
    ("an argument is another one", "its source gives", |f| disguised(f, |t| t["args"]["tone"] = json!("me"))),
    ("the date is another one", "its source gives", |f| disguised(f, |t| t["date"] = json!("2026-01-03"))),
    ("the loss is said to be on the last turns", "in its place", |f| {
        disguised(f, |t| t["loss_on"] = json!("last_assistant"));
    }),
    ("what is learned is said to be without thoughts", "other tokens of it are learned", |f| {
        disguised(f, |t| t["no_loss_on"] = json!({"reasoning": true}));
    }),
];

/// What is done in words, what is said of it, and how it is done.
type InjuryOfMeaning = (&'static str, &'static str, fn(&Folder));

const STATS: &str = "a/a_stats.json";

/// A folder that is good, made once.
static CHATS: LazyLock<Project> = LazyLock::new(|| {
    let project = project(&conversations(20));
    project.write("data/b.jsonl", conversations(5));
    let dated = format!("{{{{ tone + strftime_now(' %d %b %Y ') }}}}{TEMPLATE}");
    project.write("tok/chat_template.jinja", dated);
    let template = "--chat-template auto --date 2026-01-02 --template-args {\"tone\":\"so\"}";
    tokenize(&project, &format!("{template} --shard-size 0.000003")).with_code(0);
    project
});

/// Changes the documents of the first shard and their tokens, none of them in its length, and writes shard and table anew
/// with all that follows within them. Gives how many more tokens are learned.
fn rewrite(folder: &Folder, change: impl FnOnce(&mut [(Document<String>, Vec<u32>)])) -> i64 {
    let manifest = Manifest::read(&folder.path("manifest.json")).unwrap().unwrap();
    let groups = rows_of(&folder.path(FIRST));
    let [rows] = &groups[..] else { panic!("a small shard has one row group") };
    let mut ids = rows.input_ids.iter().map(|&id| id as u32);
    let read = documents::read(&folder.path(TABLE)).unwrap();
    let mut all: Vec<_> = read
        .map(|document| {
            let document = document.unwrap();
            let own = ids.by_ref().take(document.tokens as usize).collect::<Vec<_>>();
            (document, own)
        })
        .collect();
    let learned = |all: &[(Document<String>, Vec<u32>)]| -> Vec<bool> {
        all.iter().flat_map(|(document, _)| learned_tokens(document)).collect()
    };
    let count = |learned: &[bool]| learned.iter().filter(|is_learned| **is_learned).count() as i64;
    let before = count(&learned(&all));
    change(&mut all);
    let (learned, mut rows) = (learned(&all), rows.clone());
    let tokens: Vec<i32> = all.iter().flat_map(|(_, ids)| ids).map(|&id| id as i32).collect();
    rows.input_ids[..tokens.len()].copy_from_slice(&tokens);
    // The label of a row's end is the token with which its document goes on.
    let ends: Vec<usize> = all
        .iter()
        .scan(0, |end, (_, ids)| {
            *end += ids.len();
            Some(*end)
        })
        .collect();
    for next in (ROW_LENGTH..tokens.len()).step_by(ROW_LENGTH) {
        rows.labels[next - 1] = if ends.contains(&next) { -100 } else { tokens[next] };
    }
    let group = encoded(&rows, &learned, &manifest);
    write(&folder.path(FIRST), shard::schema(Compression::Snappy, Loss::Spans), &group);
    let documents: Vec<_> = all.iter().map(|(document, _)| document.as_deref()).collect();
    let group = DocumentsEncoder::new(Compression::Snappy).encode(&documents);
    write(&folder.path(TABLE), documents::schema(Compression::Snappy, Loss::Spans), &group);
    count(&learned) - before
}

/// Moves the first learned span of a document by one token.
fn move_span(document: &mut Document<String>) {
    let spans = &mut document.loss_spans;
    spans[0] -= 1;
    match spans.get_mut(2) {
        Some(behind) => *behind += 1,
        None => spans.push(1),
    }
}

/// Makes all of a document learned.
fn learn_all(document: &mut Document<String>) {
    let mut spans = SpansBuilder::default();
    spans.push(true, document.tokens as i32);
    document.loss_spans = spans.take();
}

/// The first such token behind the document's first.
fn token(ids: &mut [u32], is_such: fn(u32) -> bool) -> &mut u32 {
    ids[1..].iter_mut().find(|id| is_such(**id)).unwrap()
}

/// Changes the ledger of the first split in the manifest and in the statistics, there of its first shard, too.
fn everywhere(folder: &Folder, change: impl Fn(&mut Value)) {
    folder.split(|split| change(&mut split["ledger"]));
    folder.json(STATS, |stats| {
        change(&mut stats["ledger"]);
        change(&mut stats["shards"][0]["ledger"]);
    });
}

fn chat(folder: &Folder, change: impl FnOnce(&mut Value)) {
    folder.manifest(|manifest| change(&mut manifest["options"]["chat"]));
}

fn template(folder: &Folder, change: impl FnOnce(&mut Value)) {
    chat(folder, |chat| change(&mut chat["template"]));
}

/// Changes what the manifest says of the template, and makes the identities those that follow from it.
fn disguised(folder: &Folder, change: impl FnOnce(&mut Value)) {
    template(folder, change);
    let path = Output::new(&folder.root).manifest();
    let mut manifest = Manifest::read(&path).unwrap().unwrap();
    let run = manifest.run_identity();
    for split in manifest.splits.values_mut() {
        split.identity = split_identity(run, split.source.checksum);
    }
    folder.bytes("manifest.json", |bytes| *bytes = serde_json::to_vec(&manifest).unwrap());
}

/// `verify --deep` of a folder of the project's.
fn deep(folder: &Folder) -> crate::project::Ran {
    let path = folder.root.display();
    CHATS.run(&format!("verify {path} --deep --sample 1 --tokenizer tok --source data"))
}

#[test]
fn a_folder_of_conversations_has_no_problem() {
    let folder = Folder::copy_of(&CHATS.path("out"));
    let shards = Manifest::read(&folder.path("manifest.json")).unwrap().unwrap().splits["a"].shards;
    assert!(shards > 1 && folder.path(LAST).exists());
    for _ in 0..2 {
        let report = folder.verify();
        assert!(report.is_good() && report.problems.is_empty(), "{:#?}", report.problems);
        let ran = deep(&folder).with_code(0);
        assert!(
            ran.stderr.contains(
                "25 documents encoded again from the source, 25 of them (100.0 %) by the reference"
            ),
            "{ran}"
        );
        folder.seal();
    }
    // Shards and tables that are written anew without a change are what they were.
    assert_eq!(rewrite(&folder, |_| ()), 0);
    folder.seal();
    let report = folder.verify();
    assert!(report.is_good() && report.problems.is_empty(), "{:#?}", report.problems);
}

#[test]
fn each_injury_of_conversations_is_found_as_it_is_and_sealed_again() {
    assert!(INJURIES.len() >= 12);
    let missed = missed(INJURIES, &CHATS.path("out"), |_| ());
    assert!(missed.is_empty(), "{} of {}\n{}", missed.len(), INJURIES.len(), missed.join("\n"));
}

#[test]
fn what_agrees_with_all_else_is_found_against_the_source() {
    let mut missed = Vec::new();
    for (name, what, injure) in ONLY_DEEP {
        let folder = Folder::copy_of(&CHATS.path("out"));
        injure(&folder);
        folder.seal();
        let report = folder.verify();
        if !report.is_good() {
            missed.push(format!("{name}: found without the source: {:#?}", report.problems));
        }
        let ran = deep(&folder);
        if ran.code != Some(4) || !ran.stderr.contains(what) {
            missed.push(format!("{name}: {ran}"));
        }
    }
    assert!(missed.is_empty(), "{} of {}\n{}", missed.len(), ONLY_DEEP.len(), missed.join("\n"));
}
