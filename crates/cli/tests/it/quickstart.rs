//! The whole way on the records that ship with the command.

use std::fs;

use mashbill_format::layout::DATASET_STATS_SUFFIX;

use crate::project::{Project, Ran};

/// The quickstart in surroundings that must not matter to it.
fn quickstart(project: &Project) -> Ran {
    let mut command = project.command("quickstart");
    command.env("HF_HUB_OFFLINE", "1").env("HF_TOKEN", "hf_theTokenOfSomebody");
    command.env("HTTP_PROXY", "http://127.0.0.1:9").env("HF_ENDPOINT", "http://127.0.0.1:9");
    project.finish(&mut command)
}

#[test]
fn goes_the_whole_way_and_the_second_time_finds_all_done() {
    let project = Project::new();
    let ran = quickstart(&project).with_code(0);
    for said in [
        "a stand-in for the Hub is at http://127.0.0.1:",
        "running: HF_ENDPOINT=http://127.0.0.1:",
        " mashbill download --dataset gsm8k --dataset human_eval --dataset nq_open --catalog",
        "3 datasets with 664 records in mashbill-quickstart/data: 141.9 kB fetched in ",
        "5 requests besides the 6 for this plan",
        "the stand-in answered 11 requests",
        "running: mashbill tokenize --recursive --skip-existing --tokenizer gpt2",
        "running: mashbill verify mashbill-quickstart/data mashbill-quickstart/tokenized",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {ran}");
    }
    let manifest = project.json("mashbill-quickstart/tokenized/manifest.json");
    assert_eq!(manifest["files_processed"], 3);
    for (category, name, rows, license) in [
        ("math_reasoning", "gsm8k", 200, "mit"),
        ("code", "human_eval", 164, "mit"),
        ("factual_qa", "nq_open", 300, "apache-2.0"),
    ] {
        let file = format!("mashbill-quickstart/data/{category}/{name}");
        assert_eq!(project.read(&format!("{file}.jsonl")).lines().count(), rows);
        assert_eq!(project.json(&format!("{file}{DATASET_STATS_SUFFIX}"))["license"], license);
        assert_eq!(manifest["splits"][name]["samples"], rows);
        assert_eq!(manifest["splits"][name]["license"][0]["id"], license);
    }
    let before = project.files("mashbill-quickstart");
    assert!(before.keys().all(|name| !name.contains("raw/")), "{:?}", before.keys());
    assert!(before.values().all(|bytes| !String::from_utf8_lossy(bytes).contains("hf_the")));

    let again = quickstart(&project).with_code(0);
    for said in
        ["3 datasets already there", "the stand-in answered 0 requests", "3 finished splits unchanged"]
    {
        assert!(again.stderr.contains(said), "{said}: {again}");
    }
    assert!(project.files("mashbill-quickstart") == before, "files were changed");
}

#[test]
fn goes_on_where_something_is_missing() {
    let project = Project::new();
    quickstart(&project).with_code(0);
    fs::remove_file(project.path("mashbill-quickstart/data/code/human_eval.stats.json"))
        .expect("it was there");
    fs::remove_file(project.path("mashbill-quickstart/data/code/human_eval.jsonl")).expect("it was there");
    let again = quickstart(&project).with_code(0);
    assert!(again.stderr.contains("2 datasets already there: gsm8k, nq_open"), "{again}");
    assert!(again.stderr.contains("human_eval: unchanged, skipped"), "{again}");
}

#[test]
fn a_folder_of_somebody_elses_is_left_alone() {
    let project = Project::with(&[("mashbill-quickstart/catalog.toml", "mine")]);
    check!(quickstart(&project), @r"
    exit: 2
    --- stderr
    error: `mashbill-quickstart/catalog.toml` already holds something else
    hint: choose an empty or new folder with --output
    ");
    assert_eq!(project.files("mashbill-quickstart").len(), 1);
}
