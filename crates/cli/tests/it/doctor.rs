//! `mashbill doctor`: what it says where things are missing.

use std::process::Command as Process;

use serde_json::Value;

use crate::project::Project;

fn finding(project: &Project, arguments: &str, variables: &[(&str, &str)], what: &str) -> (i32, Value) {
    let mut command = project.command(&format!("doctor --json {arguments}"));
    command.envs(variables.iter().copied());
    let ran = project.finish(&mut command);
    let findings: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
    let found = findings.as_array().expect("a list").iter().find(|finding| finding["what"] == what);
    (ran.code.expect("it ends by itself"), found.expect("it is looked at").clone())
}

#[test]
fn each_line_is_ok_or_says_what_to_type() {
    let project = Project::new();
    let ran = project.run("doctor --tokenizer gpt2 --python no-such-python").with_code(0);
    for line in [
        "warning: token: none",
        "hint: make one at https://huggingface.co/settings/tokens, then set HF_TOKEN or run `hf auth login`",
        "ok proxy: none",
        "warning: hub: https://huggingface.co is not asked: HF_HUB_OFFLINE is set",
        "ok tokenizer: `gpt2` found",
        "ok disk: ",
        "warning: python: `no-such-python` does not run",
    ] {
        assert!(ran.stderr.lines().any(|found| found.starts_with(line)), "{line}: {ran}");
    }
}

#[test]
fn a_token_is_named_by_its_source_and_never_shown() {
    let project = Project::new();
    let secret = "hf_nobodyshouldseethis";
    let mut command = project.command("doctor --tokenizer gpt2");
    let ran = project.finish(command.env("HF_TOKEN", secret));
    assert!(ran.stderr.contains("ok token: found in HF_TOKEN"), "{ran}");
    assert!(!ran.to_string().contains(secret));
}

#[test]
fn a_hub_that_does_not_answer_is_a_problem_only_for_what_needs_it() {
    let project = Project::new();
    let nowhere = [("HF_HUB_OFFLINE", "0"), ("HF_ENDPOINT", "http://127.0.0.1:9")];
    for (tokenizer, code, state) in [("gpt2", 0, "warning"), ("org/tokenizer", 4, "problem")] {
        let (found, hub) = finding(&project, &format!("--tokenizer {tokenizer}"), &nowhere, "hub");
        assert_eq!((found, &hub["state"]), (code, &state.into()), "{hub}");
        let hint = hub["hint"].as_str().expect("a hint");
        assert!(hint.contains("HF_ENDPOINT") && !hint.contains("gpt2"), "{hub}");
    }
}

#[test]
fn what_is_mended_in_one_way_is_told_once_and_no_word_twice() {
    let project = Project::new();
    project.write("python", "#!/bin/sh\necho python 3.12.0\n");
    let script = project.path("python");
    Process::new("chmod").arg("+x").arg(&script).status().expect("it is ours");
    let ran = project.run(&format!("doctor --python {}", script.display())).with_code(4);
    for name in ["mashbill", "torch", "transformers"] {
        assert!(ran.stderr.contains(&format!("warning: {name}: ")), "{ran}");
    }
    assert_eq!(ran.stderr.matches("pip install").count(), 1, "{ran}");
    assert!(ran.stderr.contains("error: tokenizer: `meta-llama/Llama-3.2-1B` not found: "), "{ran}");
}

#[test]
fn a_tokenizer_that_is_not_there_is_a_problem() {
    let project = Project::new();
    let (code, tokenizer) = finding(&project, "", &[], "tokenizer");
    assert_eq!((code, &tokenizer["state"]), (4, &"problem".into()));
    assert!(tokenizer["hint"].as_str().expect("a hint").contains("unset HF_HUB_OFFLINE"), "{tokenizer}");
}

#[test]
fn a_variable_that_makes_no_sense_is_a_problem() {
    let project = Project::new();
    let (code, settings) = finding(&project, "--tokenizer gpt2", &[("HF_ENDPOINT", "nonsense")], "settings");
    assert_eq!((code, &settings["state"]), (4, &"problem".into()));
}
