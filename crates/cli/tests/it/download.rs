//! Downloads from a stand-in for the Hub that holds a sample of every dataset.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mashbill_download::Catalog;
use mashbill_stand_in::{
    Access, Content, Fault, OriginName, Repo, RepoType, Rule, SeenRequest, Site, StandIn, User,
};

use crate::project::{Project, Ran};

/// A token that must be seen nowhere.
pub(crate) const TOKEN: &str = "hf_theTokenOfATrustedUser";

/// Takes datasets of every license.
pub(crate) const ALL_LICENSES: &str = "--license-allow open,terms,unknown,non-commercial";

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/catalog")
}

/// A Hub with every dataset of the catalogue; those that are gated upstream are gated here.
pub(crate) fn hub() -> StandIn {
    let users = vec![User { name: "trusted".into(), token: TOKEN.into(), trusted: true }];
    let stand_in = StandIn::start(Site { users, page_size: 3, ..Site::default() }).expect("a free port");
    for dataset in Catalog::embedded().datasets.iter().filter(|dataset| dataset.refused.is_none()) {
        let mut repo = Repo::new(RepoType::Dataset, &dataset.repo);
        let branch = if dataset.revision == "main" { "main" } else { &dataset.revision };
        repo.put_folder(branch, &samples().join(&dataset.name).join("files")).expect("a sample");
        repo.license = dataset.license.id.clone();
        if dataset.gated {
            repo.access = Access::Gated;
        }
        stand_in.put(repo);
    }
    stand_in
}

pub(crate) fn download(project: &Project, hub: &StandIn, arguments: &str) -> Ran {
    run(project, hub, arguments, None)
}

pub(crate) fn run(project: &Project, hub: &StandIn, arguments: &str, token: Option<&str>) -> Ran {
    let mut command = project.command(&format!("download --output data {arguments}"));
    command.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", hub.endpoint());
    if let Some(token) = token {
        command.env("HF_TOKEN", token);
    }
    project.finish(&mut command)
}

/// What came of the run, with what is another on every machine replaced.
fn shown(ran: &Ran) -> String {
    let text = ran.to_string();
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = match (line.find(" fetched in "), line.find(" at ")) {
            (Some(at), _) => format!("{} fetched in [TIME]", &line[..at]),
            (None, Some(at)) if line[at + 4..].find(':') == Some(8) => {
                format!("{} at [COMMIT]{}", &line[..at], &line[at + 12..])
            }
            _ => line.to_owned(),
        };
        lines.push(line);
    }
    lines.join("\n")
}

#[test]
fn the_whole_catalog_is_fetched_once_and_tokenized() {
    let (project, hub) = (Project::new(), hub());
    let first = download(&project, &hub, ALL_LICENSES).with_code(3);
    for name in ["starcoder", "the_stack"] {
        assert!(first.stderr.contains(&format!("warning: {name} is not downloaded")), "{first}");
    }
    assert!(first.stderr.contains("/datasets/bigcode/starcoderdata, then set HF_TOKEN"), "{first}");
    let expected: BTreeSet<String> = Catalog::embedded()
        .datasets
        .iter()
        .filter(|dataset| dataset.on && !dataset.gated)
        .map(|dataset| format!("{}/{}.jsonl", dataset.category, dataset.name))
        .collect();
    let records = |project: &Project| -> BTreeSet<String> {
        let files = project.files("data").into_keys();
        files
            .filter(|name| {
                name.ends_with(".jsonl") && !name.ends_with("_rejects.jsonl") && !name.starts_with('.')
            })
            .collect()
    };
    assert_eq!(records(&project), expected);
    assert_eq!(expected.len(), 14);

    // With access only what was missing is fetched.
    hub.clear_log();
    let second = run(&project, &hub, ALL_LICENSES, Some(TOKEN)).with_code(0);
    assert_eq!(records(&project).len(), 16);
    // Addresses in the store do not name the dataset.
    let is_other = |seen: &SeenRequest| seen.origin == OriginName::Hub && !seen.target.contains("bigcode");
    let others = hub.log().into_iter().filter(is_other).count();
    assert_eq!(others, 0, "what is there was asked for again");

    // Then nothing is missing, and nobody is asked.
    hub.clear_log();
    let before = project.files("data");
    let third = download(&project, &hub, ALL_LICENSES).with_code(0);
    assert!(hub.log().is_empty() && third.stderr.contains("nothing to fetch"), "{third}");
    assert!(project.files("data") == before, "files were changed");

    // What was made is what the samples say.
    for dataset in Catalog::embedded().datasets.iter().filter(|dataset| dataset.on) {
        let made = project.read(&format!("data/{}/{}.jsonl", dataset.category, dataset.name));
        let expected =
            fs::read_to_string(samples().join(&dataset.name).join("expected.jsonl")).expect("a sample");
        let sorted = |text: &str| -> BTreeSet<String> {
            // Numbers follow the order of the files, which is not that of their names.
            let without_id = |line: &str| {
                let mut record: serde_json::Value = serde_json::from_str(line).expect("JSON");
                if record.get("rejected").is_none() {
                    record["id"] = "".into()
                }
                record.to_string()
            };
            text.lines().map(without_id).filter(|line| !line.starts_with("{\"rejected\"")).collect()
        };
        assert_eq!(sorted(&made), sorted(&expected), "{}", dataset.name);
        let stats = project.json(&format!("data/{}/{}.stats.json", dataset.category, dataset.name));
        assert_eq!(
            (stats["complete"].as_bool(), stats["counts"]["rows_out"].as_u64()),
            (Some(true), Some(made.lines().count() as u64))
        );
    }
    assert!(before.iter().all(|(name, _)| !name.contains("raw/")), "fetched files are still there");

    // The token went to the Hub and stands nowhere.
    for (name, bytes) in &before {
        assert!(!String::from_utf8_lossy(bytes).contains(TOKEN), "{name} holds the token");
    }
    assert!(!format!("{first}{second}{third}").contains(TOKEN));

    // Tokenizing takes the records and nothing else of what lies there.
    let arguments = "tokenize --input data --recursive --tokenizer gpt2 --max-seq-length 64 --threads 1";
    let tokenized = project.run(arguments).with_code(0);
    let manifest = project.json("data_preprocessed/manifest.json");
    let splits = manifest["splits"].as_object().expect("splits").keys().cloned().collect::<BTreeSet<_>>();
    let names: BTreeSet<String> = Catalog::embedded()
        .datasets
        .into_iter()
        .filter(|dataset| dataset.on)
        .map(|dataset| dataset.name)
        .collect();
    assert_eq!(splits, names, "{tokenized}");
    for dataset in Catalog::embedded().datasets.iter().filter(|dataset| dataset.on) {
        let license = &manifest["splits"][&dataset.name]["license"][0];
        let expected = serde_json::json!({"id": dataset.license.label(), "kind": dataset.license.kind});
        assert_eq!(*license, expected, "{}", dataset.name);
    }

    // And the tokens are those that were counted.
    let status: serde_json::Value =
        serde_json::from_str(&download(&project, &hub, "--status-only --json").with_code(0).stdout)
            .expect("JSON");
    let dataset = &status["categories"][2]["datasets"][1];
    assert_eq!((&dataset["name"], &dataset["state"]["is"]), (&"gsm8k".into(), &"complete".into()));
    assert_eq!(
        (&dataset["tokens"], &dataset["tokens_are_exact"]),
        (&manifest["splits"]["gsm8k"]["tokens"], &true.into())
    );
}

/// The guide's commands, one for each category, come to the tree that one command for all makes.
#[test]
fn categories_one_by_one_come_to_the_whole() {
    let (whole, apart, hub) = (Project::new(), Project::new(), hub());
    run(&whole, &hub, ALL_LICENSES, Some(TOKEN)).with_code(0);
    for (at, category) in ["instruction_chat", "code", "math_reasoning", "factual_qa"].into_iter().enumerate()
    {
        run(&apart, &hub, &format!("--category {category} {ALL_LICENSES}"), Some(TOKEN)).with_code(0);
        let folders = fs::read_dir(apart.path("data")).expect("it was made").flatten();
        assert_eq!(
            folders.filter(|entry| entry.path().is_dir()).count(),
            at + 1,
            "{category} alone was fetched"
        );
    }
    let (whole, apart) = (whole.files("data"), apart.files("data"));
    assert!(whole.keys().eq(apart.keys()), "{:?} and {:?}", whole.keys(), apart.keys());
    for (name, bytes) in whole.iter().filter(|(name, _)| name.ends_with(".jsonl")) {
        assert!(*bytes == apart[name], "{name}");
    }
}

#[test]
fn status_says_what_is_there_and_what_is_missing() {
    let (project, hub) = (Project::new(), hub());
    download(&project, &hub, "--dataset gsm8k --dataset squad").with_code(0);
    project.write("data/custom/mine.jsonl", "{\"text\": \"of my own\"}\n");
    hub.clear_log();
    let status = download(&project, &hub, "--status-only");
    assert!(hub.log().is_empty(), "a status needs no network");
    check!(shown(&status), @r"
    exit: 0
    --- stdout
    instruction_chat   [.......|................]   0.0 % of tokens, target 35 %
      openhermes         missing   1,001,551 rows, 1.9 GB to fetch (taken only when named: license not stated)
      ultrachat          missing   207,865 rows, 732.0 MB to fetch
      openorca           missing   1.0 GB to fetch (columns unconfirmed)
      sharegpt           missing   94,000 rows, 670.5 MB to fetch (columns unconfirmed)
      taken only when named: tulu3, dolci_instruct, smoltalk
    code               [.....|..................]   0.0 % of tokens, target 25 %
      starcoder          missing   size unknown (gated: needs a token; columns unconfirmed)
      the_stack          missing   300,000 rows (gated: needs a token; columns unconfirmed)
      codealpaca         missing   20,022 rows, 8.1 MB to fetch (taken only when named: license cc-by-4.0, non-commercial)
      apps               missing   5,000 rows, 107.0 MB to fetch (columns unconfirmed)
      taken only when named: opc_sft_stage2
    math_reasoning     [####|################...]  89.0 % of tokens, target 20 %
      numina_cot         missing   859,494 rows, 1.2 GB to fetch
      gsm8k              complete  3 rows, 2.5 kB, about 290 tokens
      metamath           missing   395,000 rows, 396.0 MB to fetch
      mathinstruct       missing   262,040 rows, 212.0 MB to fetch
      taken only when named: openmathreasoning, finemath, openthoughts3
    factual_qa         [#|......................]   9.8 % of tokens, target 10 %
      natural_questions  missing   87,925 rows, 5.0 MB to fetch (columns unconfirmed)
      hotpotqa           missing   90,447 rows, 300.0 MB to fetch
      squad              complete  2 rows, 703 B, about 32 tokens
      triviaqa           missing   138,384 rows (taken only when named: license not stated; columns unconfirmed)
    custom             [.|......................]   1.2 % of tokens, target 10 %
      mine               your own  22 B, about 4 tokens
    326 tokens in all
    ");
}

#[test]
fn a_dry_run_says_what_a_run_does_and_does_nothing() {
    let (project, hub) = (Project::new(), hub());
    let dry = download(&project, &hub, "--category math_reasoning --category code --dry-run");
    check!(shown(&dry), @r"
    exit: 0
    --- stdout
    starcoder          2 files from bigcode/starcoderdata at [COMMIT]: 3.2 kB to fetch, 1,844 tokens expected
      not taken: 1 file not chosen by `files` (jupyter-scripts-dedup-filtered/train-00000-of-00001.parquet); 1 file about the dataset (python/README.md)
    the_stack          2 files from bigcode/the-stack-smol at [COMMIT]: 358 B to fetch, 91 tokens expected
    apps               1 file from codeparrot/apps at [COMMIT]: 632 B to fetch, 162 tokens expected
      not taken: 1 file for testing (test.jsonl); 1 file of code (apps.py)
    numina_cot         1 file from AI-MO/NuminaMath-CoT at [COMMIT]: 1.9 kB to fetch, 1,124 tokens expected
      not taken: 1 file for testing (data/test-00000-of-00001.parquet)
    gsm8k              1 file from openai/gsm8k at [COMMIT]: 2.8 kB to fetch, 1,713 tokens expected
      not taken: 1 file not chosen by `files` (socratic/train-00000-of-00001.parquet); 1 file for testing (main/test-00000-of-00001.parquet)
    metamath           1 file from meta-math/MetaMathQA at [COMMIT]: 133 B to fetch, 36 tokens expected
    mathinstruct       1 file from TIGER-Lab/MathInstruct at [COMMIT]: 130 B to fetch, 35 tokens expected
    7 datasets to fetch: 9.2 kB, about 38.9 kB of disk, 13 requests besides the 18 for this plan
    --- stderr
    warning: left out because of their license: codealpaca (license cc-by-4.0, non-commercial)
    hint: if you may use them, name them: --dataset codealpaca
    ");
    assert!(!project.path("data").exists());
}

#[test]
fn a_budget_meets_the_shares_and_says_what_binds() {
    let (project, hub) = (Project::new(), hub());
    let all = "--category instruction_chat --category factual_qa --category math_reasoning";
    check!(shown(&download(&project, &hub, &format!("{all} --budget 600tokens --dry-run"))), @r"
    exit: 0
    --- stdout
    a budget of about 600 tokens comes to 600
      instruction_chat    53.8 % (target 35 %), 323 tokens
      math_reasoning      30.8 % (target 20 %), 185 tokens
      factual_qa          15.3 % (target 10 %), 92 tokens
    nothing is taken of these, so the others take their share: code, custom
    ultrachat          1 file from HuggingFaceH4/ultrachat_200k at [COMMIT]: 1.8 kB to fetch, 13.1 % of the rows, 107 tokens expected
      not taken: 1 file not chosen by `files` (data/train_gen-00000-of-00003.parquet); 1 file for testing (data/test_sft-00000-of-00001.parquet); 1 file about the dataset (README.md)
    openorca           1 file from Open-Orca/OpenOrca at [COMMIT]: 1.4 kB to fetch, 16.7 % of the rows, 107 tokens expected
      not taken: 1 file not chosen by `files` (3_5M-GPT3_5-Augmented.parquet)
    sharegpt           1 file from anon8231489123/ShareGPT_Vicuna_unfiltered at [COMMIT]: 548 B to fetch, 93.9 % of the rows, 107 tokens expected
      not taken: 2 files not chosen by `files` (HTML_cleaned_raw_dataset/sg_90k_part1_html_cleaned.json, ShareGPT_V3_unfiltered_cleaned_split.json); 1 file of code (clean.py)
    numina_cot         1 file from AI-MO/NuminaMath-CoT at [COMMIT]: 1.9 kB to fetch, 5.1 % of the rows, 56 tokens expected
      not taken: 1 file for testing (data/test-00000-of-00001.parquet)
    gsm8k              1 file from openai/gsm8k at [COMMIT]: 2.8 kB to fetch, 3.3 % of the rows, 56 tokens expected
      not taken: 1 file not chosen by `files` (socratic/train-00000-of-00001.parquet); 1 file for testing (main/test-00000-of-00001.parquet)
    metamath           1 file from meta-math/MetaMathQA at [COMMIT]: 133 B to fetch, 36 tokens expected
    mathinstruct       1 file from TIGER-Lab/MathInstruct at [COMMIT]: 130 B to fetch, 35 tokens expected
    natural_questions  1 file from google-research-datasets/nq_open at [COMMIT]: 1.0 kB to fetch, 6.4 % of the rows, 30 tokens expected
      not taken: 1 file for testing (nq_open/validation-00000-of-00001.parquet)
    hotpotqa           1 file from hotpotqa/hotpot_qa at [COMMIT]: 3.4 kB to fetch, 1.9 % of the rows, 30 tokens expected
      not taken: 1 file not chosen by `files` (fullwiki/train/0000.parquet); 1 file for testing (distractor/validation/0000.parquet)
    squad              1 file from rajpurkar/squad at [COMMIT]: 3.4 kB to fetch, 1.9 % of the rows, 30 tokens expected
      not taken: 1 file for testing (plain_text/validation-00000-of-00001.parquet)
    10 datasets to fetch: 16.6 kB, about 22.1 kB of disk, 17 requests besides the 25 for this plan
    --- stderr
    warning: left out because of their license: openhermes (license not stated), triviaqa (license not stated)
    hint: if you may use them, name them: --dataset openhermes --dataset triviaqa
    ");
    check!(shown(&download(&project, &hub, &format!("{all} --budget 1Btokens --dry-run"))), @r"
    exit: 0
    --- stdout
    a budget of about 1,000,000,000 tokens comes to 2,945
      instruction_chat    53.9 % (target 35 %), 1,586 tokens
      math_reasoning      30.8 % (target 20 %), 906 tokens
      factual_qa          15.4 % (target 10 %), 453 tokens
    nothing is taken of these, so the others take their share: code, custom
    instruction_chat limits the total: all of it is taken, and more of the others would miss the shares
    ultrachat          1 file from HuggingFaceH4/ultrachat_200k at [COMMIT]: 1.8 kB to fetch, 826 tokens expected
      not taken: 1 file not chosen by `files` (data/train_gen-00000-of-00003.parquet); 1 file for testing (data/test_sft-00000-of-00001.parquet); 1 file about the dataset (README.md)
    openorca           1 file from Open-Orca/OpenOrca at [COMMIT]: 1.4 kB to fetch, 646 tokens expected
      not taken: 1 file not chosen by `files` (3_5M-GPT3_5-Augmented.parquet)
    sharegpt           1 file from anon8231489123/ShareGPT_Vicuna_unfiltered at [COMMIT]: 548 B to fetch, 114 tokens expected
      not taken: 2 files not chosen by `files` (HTML_cleaned_raw_dataset/sg_90k_part1_html_cleaned.json, ShareGPT_V3_unfiltered_cleaned_split.json); 1 file of code (clean.py)
    numina_cot         1 file from AI-MO/NuminaMath-CoT at [COMMIT]: 1.9 kB to fetch, 37.2 % of the rows, 417 tokens expected
      not taken: 1 file for testing (data/test-00000-of-00001.parquet)
    gsm8k              1 file from openai/gsm8k at [COMMIT]: 2.8 kB to fetch, 24.3 % of the rows, 416 tokens expected
      not taken: 1 file not chosen by `files` (socratic/train-00000-of-00001.parquet); 1 file for testing (main/test-00000-of-00001.parquet)
    metamath           1 file from meta-math/MetaMathQA at [COMMIT]: 133 B to fetch, 36 tokens expected
    mathinstruct       1 file from TIGER-Lab/MathInstruct at [COMMIT]: 130 B to fetch, 35 tokens expected
    natural_questions  1 file from google-research-datasets/nq_open at [COMMIT]: 1.0 kB to fetch, 31.1 % of the rows, 151 tokens expected
      not taken: 1 file for testing (nq_open/validation-00000-of-00001.parquet)
    hotpotqa           1 file from hotpotqa/hotpot_qa at [COMMIT]: 3.4 kB to fetch, 9.4 % of the rows, 150 tokens expected
      not taken: 1 file not chosen by `files` (fullwiki/train/0000.parquet); 1 file for testing (distractor/validation/0000.parquet)
    squad              1 file from rajpurkar/squad at [COMMIT]: 3.4 kB to fetch, 9.5 % of the rows, 150 tokens expected
      not taken: 1 file for testing (plain_text/validation-00000-of-00001.parquet)
    10 datasets to fetch: 16.6 kB, about 43.6 kB of disk, 17 requests besides the 25 for this plan
    --- stderr
    warning: left out because of their license: openhermes (license not stated), triviaqa (license not stated)
    hint: if you may use them, name them: --dataset openhermes --dataset triviaqa
    ");
}

#[test]
fn more_than_is_allowed_is_refused_with_the_total() {
    let (project, hub) = (Project::new(), hub());
    let refused = download(&project, &hub, "--category factual_qa --max-download 5kB").with_code(2);
    check!(shown(&refused), @r"
    exit: 2
    --- stderr
    natural_questions  1 file from google-research-datasets/nq_open at [COMMIT]: 1.0 kB to fetch, 485 tokens expected
      not taken: 1 file for testing (nq_open/validation-00000-of-00001.parquet)
    hotpotqa           1 file from hotpotqa/hotpot_qa at [COMMIT]: 3.4 kB to fetch, 1,600 tokens expected
      not taken: 1 file not chosen by `files` (fullwiki/train/0000.parquet); 1 file for testing (distractor/validation/0000.parquet)
    squad              1 file from rajpurkar/squad at [COMMIT]: 3.4 kB to fetch, 1,587 tokens expected
      not taken: 1 file for testing (plain_text/validation-00000-of-00001.parquet)
    3 datasets to fetch: 7.9 kB, about 44.2 kB of disk, 6 requests besides the 8 for this plan
    warning: left out because of their license: triviaqa (license not stated)
    hint: if you may use them, name them: --dataset triviaqa
    error: 7.9 kB would be fetched, but --max-download is 5.0 kB
    hint: allow it with `--max-download 8kB`, or take less with `--budget`, `--category` or `--dataset`
    ");
    assert!(!project.path("data").exists());
}

#[test]
fn mistakes_are_answered_with_what_was_meant() {
    let (project, hub) = (Project::new(), hub());
    project.write("own.toml", "[[dataset]]\nrepo = \"a/b\"\nformt = \"json\"\n");
    check!(shown(&download(&project, &hub, "--dataset gms8k")), @r"
    exit: 2
    --- stderr
    error: there is no dataset `gms8k`; did you mean `gsm8k`?
    hint: `mashbill download --status-only` lists them; any dataset of the Hub can be named as organization/name
    ");
    check!(shown(&download(&project, &hub, "--category maths")), @r"
    exit: 2
    --- stderr
    error: there is no category `maths`; did you mean `math_reasoning`?
    hint: the categories are instruction_chat, code, math_reasoning, factual_qa and custom
    ");
    check!(shown(&download(&project, &hub, "--dataset bigcode/the-stack-v2")), @r"
    exit: 2
    --- stderr
    error: `the_stack_v2` cannot be taken: it has no contents, only ids of files in Software Heritage's archive; bulk access to that needs an agreement with them. Take `the_stack` or `starcoder`
    hint: `mashbill download --status-only` lists others
    ");
    check!(shown(&download(&project, &hub, "--catalog own.toml")), @r"
    exit: 2
    --- stderr
    error: `own.toml`, line 3: unknown field `formt`; did you mean `format`?
    hint: docs/download.md describes the file
    ");
    check!(shown(&download(&project, &hub, "--budget lots")), @r"
    exit: 2
    --- stderr
    error: invalid value 'lots' for '--budget <AMOUNT>': `lots` is not clear: tokens are T, B, M or K (5B, 300M, 5Btokens, 5e9tokens), bytes of text TB, GB, MB, kB, TiB, GiB, MiB or KiB (20GB)
    hint: `mashbill download --help` says what it takes
    ");
    assert!(hub.log().is_empty());
}

#[test]
fn any_dataset_of_the_hub_can_be_named() {
    let (project, hub) = (Project::new(), hub());
    let mut repo = Repo::new(RepoType::Dataset, "some/set");
    let put = |repo: &mut Repo, path: &str, text: &str| {
        repo.put("main", path, Content::from(text.as_bytes().to_vec()))
    };
    put(&mut repo, "data/train.jsonl", "{\"prompt\": \"a\", \"response\": \"b\"}\n");
    put(&mut repo, "data/test.jsonl", "{\"prompt\": \"c\", \"response\": \"d\"}\n");
    put(&mut repo, "README.md", "# words");
    hub.put(repo);
    download(&project, &hub, "--dataset some/set").with_code(0);
    let record = "{\"text\": \"User: a\\n\\nAssistant: b\", \"id\": \"some__set/0\", \"source\": \"some__set\", \"category\": \"custom\", \
                  \"metadata\": {\"num_chars\": 21, \"num_messages\": 2}, \
                  \"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}], \
                  \"prompt_messages\": 1}\n";
    assert_eq!(project.read("data/custom/some__set.jsonl"), record);

    project.write(
        "own.toml",
        "[[dataset]]\nname = \"mine\"\ncategory = \"code\"\nrepo = \"some/set\"\nfiles = [\"data/*.jsonl\"]\n\
         [dataset.license]\nid = \"mit\"\nkind = \"open\"\n[dataset.render.text]\nfield = \"response\"\n",
    );
    download(&project, &hub, "--catalog own.toml --category code --license-allow mit --dataset mine")
        .with_code(0);
    assert_eq!(project.read("data/code/mine.jsonl").lines().count(), 2);

    let missing = download(&project, &hub, "--dataset nobody/nothing").with_code(3);
    assert!(
        missing.stderr.contains("nobody__nothing is not downloaded: `nobody/nothing` is not on"),
        "{missing}"
    );
}

#[test]
fn damaged_bytes_are_never_converted() {
    let hub = hub();
    let good = Project::new();
    download(&good, &hub, "--dataset mathinstruct").with_code(0);
    let file = "MathInstruct.json";
    let flip = |times| hub.fail(Rule { on: file.into(), times, fault: Fault::FlipByte(20) });
    flip(1);
    let mended = Project::new();
    download(&mended, &hub, "--dataset mathinstruct").with_code(0);
    let records = "data/math_reasoning/mathinstruct.jsonl";
    assert_eq!(mended.read(records), good.read(records));
    flip(1000);
    let damaged = Project::new();
    let ran = download(&damaged, &hub, "--dataset mathinstruct --dataset squad").with_code(3);
    assert!(ran.stderr.contains("arrived damaged"), "{ran}");
    assert!(!damaged.path(records).exists() && damaged.path("data/factual_qa/squad.jsonl").exists());
    hub.mend();
    download(&damaged, &hub, "--dataset mathinstruct --dataset squad").with_code(0);
    assert_eq!(damaged.read(records), good.read(records));
}

#[test]
fn what_changes_upstream_is_taken_when_asked_for() {
    let (project, hub) = (Project::new(), hub());
    let put = |output: &str| {
        let mut repo = Repo::new(RepoType::Dataset, "sahil2801/CodeAlpaca-20k");
        let rows = serde_json::json!([{"instruction": "i", "input": "", "output": output}]).to_string();
        repo.put("main", "code_alpaca_20k.json", Content::from(rows.into_bytes()));
        hub.put(repo);
    };
    put("old");
    download(&project, &hub, "--dataset codealpaca").with_code(0);
    let lock = project.read("data/curriculum.lock");
    put("new");
    hub.clear_log();
    download(&project, &hub, "--dataset codealpaca").with_code(0);
    assert!(hub.log().is_empty() && project.read("data/code/codealpaca.jsonl").contains("old"));
    // The pinned commit is what another machine gets, too.
    let other = Project::with(&[("data/curriculum.lock", &lock)]);
    download(&other, &hub, "--dataset codealpaca").with_code(0);
    assert_eq!(other.read("data/code/codealpaca.jsonl"), project.read("data/code/codealpaca.jsonl"));
    download(&project, &hub, "--dataset codealpaca --update").with_code(0);
    assert!(project.read("data/code/codealpaca.jsonl").contains("new"));
    assert_ne!(project.read("data/curriculum.lock"), lock);
}

#[test]
fn a_file_that_was_changed_by_hand_is_made_again() {
    let (project, hub) = (Project::new(), hub());
    download(&project, &hub, "--dataset gsm8k").with_code(0);
    let records = project.read("data/math_reasoning/gsm8k.jsonl");
    project.write("data/math_reasoning/gsm8k.jsonl", "shorter\n");
    let status = download(&project, &hub, "--status-only --dataset gsm8k").with_code(0);
    assert!(status.stdout.contains("outdated"), "{status}");
    download(&project, &hub, "--dataset gsm8k --keep-raw").with_code(0);
    assert_eq!(project.read("data/math_reasoning/gsm8k.jsonl"), records);
    assert!(project.path("data/.mashbill/download/gsm8k/raw/main/train-00000-of-00001.parquet").exists());
    hub.clear_log();
    download(&project, &hub, "--dataset gsm8k").with_code(0);
    assert!(hub.log().is_empty());
}

#[test]
fn a_license_travels_into_the_manifest() {
    let (project, hub) = (Project::new(), hub());
    download(&project, &hub, "--dataset gsm8k").with_code(0);
    project.write("data/custom/own.jsonl", "{\"text\": \"of my own\"}\n");
    let tokenize = |more: &str| {
        let fixed = "tokenize --input data --output out --recursive --tokenizer gpt2 --max-seq-length 64";
        let ran = project.run(&format!("{fixed} --threads 1 {more}")).with_code(0);
        let license = project.json("out/manifest.json")["splits"]["gsm8k"]["license"][0].clone();
        (license, ran)
    };
    let mit = serde_json::json!({"id": "mit", "kind": "open"});
    assert_eq!(tokenize("").0, mit);
    assert!(project.json("out/manifest.json")["splits"]["own"].get("license").is_none());

    // A correction is taken over, and nothing is tokenized again.
    let stats = project.read("data/math_reasoning/gsm8k.stats.json");
    let corrected = stats.replace("\"mit\"", "\"cc-by-nc-4.0\"").replace("\"open\"", "\"non-commercial\"");
    project.write("data/math_reasoning/gsm8k.stats.json", &corrected);
    let but_the_manifest = || {
        let mut files = project.files("out");
        // The card repeats what the manifest says.
        files.retain(|name, _| name != "manifest.json" && name != "README.md");
        files
    };
    let before = but_the_manifest();
    let (license, ran) = tokenize("");
    assert_eq!(license, serde_json::json!({"id": "cc-by-nc-4.0", "kind": "non-commercial"}));
    assert!(ran.stderr.contains("2 finished splits unchanged") && but_the_manifest() == before, "{ran}");
    project.write("data/math_reasoning/gsm8k.stats.json", &stats);
    assert_eq!(tokenize("").0, mit);

    // Records that were changed since are nobody's to license, and neither are those without statistics.
    let records = project.read("data/math_reasoning/gsm8k.jsonl");
    project.write("data/math_reasoning/gsm8k.jsonl", format!("{records}{{\"text\": \"mine\"}}\n"));
    assert!(tokenize("--skip-existing").0.is_null());
    project.write("data/math_reasoning/gsm8k.jsonl", &records);
    assert_eq!(tokenize("--skip-existing").0, mit);
    fs::remove_file(project.path("data/math_reasoning/gsm8k.stats.json")).expect("it was there");
    assert!(tokenize("").0.is_null());

    // Compressed, the same records have the same license.
    project.write("data/math_reasoning/gsm8k.stats.json", &stats);
    let compressed = zstd::encode_all(records.as_bytes(), 1).expect("compressed");
    project.write("data/math_reasoning/gsm8k.jsonl.zst", compressed);
    fs::remove_file(project.path("data/math_reasoning/gsm8k.jsonl")).expect("it was there");
    assert_eq!(tokenize("--skip-existing").0, mit);
}

#[test]
fn a_users_own_file_is_left_alone() {
    let (project, hub) = (Project::new(), hub());
    project.write("data/math_reasoning/gsm8k.jsonl", "{\"text\": \"made by another program\"}\n");
    check!(shown(&download(&project, &hub, "--dataset gsm8k")), @r"
    exit: 3
    --- stderr
    nothing to fetch
    warning: gsm8k is not downloaded: `data/math_reasoning/gsm8k.jsonl` already exists, and no download made it
    hint: rename that file, which then still counts as your own, or give another `--output`
    error: incomplete: 1 of 1 dataset was not downloaded: gsm8k
    hint: each warning above says what to do
    ");
    assert!(project.read("data/math_reasoning/gsm8k.jsonl").contains("another program"));
    let status = download(&project, &hub, "--status-only --category math_reasoning").with_code(0);
    let lines: Vec<&str> = status.stdout.lines().map(str::trim).collect();
    let line = lines.iter().find(|line| line.starts_with("gsm8k              foreign   36 B, about "));
    assert!(
        line.is_some_and(|line| line.ends_with("a file of your own has that name, and is left alone")),
        "{status}"
    );
    assert_eq!(status.stdout.matches("gsm8k").count(), 1, "{status}");
}

#[test]
fn offline_the_lock_and_the_hubs_cache_are_enough() {
    let (project, hub) = (Project::new(), hub());
    let offline = |project: &Project, arguments: &str| {
        let mut command = project.command(&format!("download --output data {arguments}"));
        command.env("HF_HUB_OFFLINE", "1").env("HF_ENDPOINT", hub.endpoint());
        command.env("HF_HOME", project.path("home"));
        project.finish(&mut command)
    };
    let refused = offline(&project, "--dataset gsm8k");
    assert!(refused.code != Some(0) && refused.stderr.contains("the network is switched off"), "{refused}");
    assert!(refused.stderr.contains("hint: unset HF_HUB_OFFLINE"), "{refused}");
    assert!(hub.log().is_empty());
    download(&project, &hub, "--dataset gsm8k").with_code(0);

    // A colleague with the lock, and with the file in the cache of the official client.
    let lock = project.json("data/curriculum.lock");
    let file = &lock["datasets"]["gsm8k"]["files"][0];
    let hash = file["hash"].as_str().expect("a hash");
    let digits = hash.strip_prefix("sha256 ").expect("a large file's");
    let bytes = fs::read(samples().join("gsm8k/files").join(file["path"].as_str().expect("a path")))
        .expect("a sample");
    let other = Project::with(&[("data/curriculum.lock", &lock.to_string())]);
    let blob = format!("home/hub/datasets--openai--gsm8k/blobs/{digits}");
    other.write(&blob, &bytes);
    hub.clear_log();
    offline(&other, "--dataset gsm8k").with_code(0);
    assert!(hub.log().is_empty());
    assert!(
        other.files("data/math_reasoning")["gsm8k.jsonl"]
            == project.files("data/math_reasoning")["gsm8k.jsonl"]
    );
    let stats = other.json("data/math_reasoning/gsm8k.stats.json");
    assert_eq!((&stats["downloaded_bytes"], &stats["reused_bytes"]), (&0.into(), &bytes.len().into()));
    assert!(fs::read(other.path(&blob)).expect("it stays") == bytes);
}

#[test]
fn a_status_lists_what_is_asked_for_by_any_name() {
    let (project, hub) = (Project::new(), hub());
    let status =
        download(&project, &hub, "--status-only --dataset OpenAI/gsm8k --dataset finemath").with_code(0);
    assert!(status.stdout.contains("gsm8k ") && status.stdout.contains("finemath "), "{status}");
    assert!(!status.stdout.contains("metamath"), "{status}");
    assert!(hub.log().is_empty());
}
