//! Arguments that are none: what is typed instead.

use crate::project::Project;

#[test]
fn every_mistake_in_the_arguments_ends_in_a_hint() {
    let project = Project::with(&[("data/a.jsonl", "{\"text\":\"a\"}\n")]);
    for arguments in [
        "tokenize --input data --max-seq-length abc",
        "tokenize --input data --split-names foo",
        "tokenize --input data --skip-existing --force",
        "tokenize --inputs data",
        "tokenize",
        "download --budget 5",
        "download --max-rows 0",
        "verify",
        "inspect data --row x",
    ] {
        let ran = project.run(arguments).with_code(2);
        let command = arguments.split(' ').next().expect("a command");
        let hint = format!("\nhint: `mashbill {command} --help` says what it takes\n");
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.ends_with(&hint), "{ran}");
        assert!(!ran.stderr.contains("For more information"), "{ran}");
    }
    let ran = project.run("tokenise data").with_code(2);
    assert!(ran.stderr.ends_with("hint: `mashbill --help` lists the commands\n"), "{ran}");
}

#[test]
fn a_word_without_its_flag_is_given_one() {
    let project = Project::new();
    for (arguments, hint) in [
        ("tokenize data", "`mashbill tokenize --input data`"),
        ("tokenize --tokenizer gpt2 data", "`mashbill tokenize --input data`"),
        ("download gsm8k", "`mashbill download --dataset gsm8k`"),
        ("quickstart here", "`mashbill quickstart --output here`"),
    ] {
        let ran = project.run(arguments).with_code(2);
        assert!(ran.stderr.ends_with(&format!("hint: {hint}\n")), "{ran}");
    }
}

#[test]
fn a_catalog_that_cannot_be_read_is_unusable_input() {
    check!(Project::new().run("download --catalog nope.toml"), @r"
    exit: 2
    --- stderr
    error: cannot read `nope.toml`: No such file or directory (os error 2)
    hint: check the path after `--catalog`; docs/download.md describes the file
    ");
}

#[test]
fn training_has_one_usage_however_it_is_asked_for() {
    let project = Project::new();
    let mut command = project.command("train --help");
    let asked = project.finish(command.env("PATH", project.path("nothing"))).with_code(0).stdout;
    let told = project.run("help train").with_code(0).stdout;
    let usage = |help: &str| help.lines().find(|line| line.starts_with("Usage: ")).map(str::to_owned);
    assert_eq!(usage(&asked), Some("Usage: mashbill train [OPTIONS] [ARGUMENTS]...".into()), "{asked}");
    assert_eq!(usage(&asked), usage(&told));
}
