//! What a second run keeps, and why it redoes the rest.

use std::collections::BTreeMap;

use super::{TEMPLATE, conversation, conversations, project, tokenize, told};
use crate::project::Project;

const ARGUMENTS: &str = "--chat-template auto --shard-size 0.00001 --skip-existing";

/// The bytes of each shard.
fn shards(project: &Project) -> BTreeMap<String, Vec<u8>> {
    let mut files = project.files("out/a");
    files.retain(|name, _| name.starts_with("shard_"));
    files
}

#[test]
fn a_changed_record_redoes_its_shard_alone() {
    let project = project(&conversations(150));
    tokenize(&project, ARGUMENTS).with_code(0);
    let before = shards(&project);
    assert!(before.len() > 3);
    let line = conversation(75).to_string();
    let changed = line.replacen("Question 75 0", "Question 75 9", 1);
    assert_ne!(line, changed);
    project.write("data/a.jsonl", conversations(150).replacen(&line, &changed, 1));
    let ran = tokenize(&project, ARGUMENTS).with_code(0);
    assert!(ran.stderr.contains(" compared, to redo: shard "), "{ran}");
    let after = shards(&project);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert_eq!(before.iter().filter(|(name, bytes)| after[*name] != **bytes).count(), 1);
    let kept = project.files("out");
    tokenize(&project, &format!("{ARGUMENTS} --force").replace("--skip-existing", "")).with_code(0);
    for (name, bytes) in project.files("out").iter().filter(|(name, _)| name.contains("shard_")) {
        assert!(kept[name] == *bytes, "{name}");
    }
    project.run("verify out --deep --sample 1").with_code(0);
}

#[test]
fn what_makes_other_rows_redoes_all_and_says_why() {
    let dated =
        format!("{{% if date is defined %}}{{{{ strftime_now('%d %b %Y') }}}}{{% endif %}}{TEMPLATE}");
    let project = project(&conversations(4));
    project.write("dated.jinja", &dated);
    project.write("data/b.jsonl", conversations(2));
    // How the path of a template is spelled makes no other rows.
    tokenize(&project, "--chat-template dated.jinja").with_code(0);
    let again = tokenize(&project, "--skip-existing --chat-template ./dated.jinja").with_code(0);
    assert!(!again.stderr.contains("done "), "{again}");
    tokenize(&project, "--force --chat-template chatml").with_code(0);
    for (arguments, why) in [
        ("--render plain", "--chat-template chatml has become --render plain"),
        ("--chat-template auto", "--render plain has become --chat-template chat_template.jinja"),
        ("--chat-template auto --loss-on last-assistant", "--loss-on was assistant and is last-assistant"),
        (
            "--chat-template auto --loss-on last-assistant --no-loss-on reasoning,tool-calls",
            "--no-loss-on was not given and is reasoning,tool-calls",
        ),
        (
            "--chat-template auto --loss-on last-assistant --no-loss-on reasoning",
            "--no-loss-on was reasoning,tool-calls and is reasoning",
        ),
        (
            "--chat-template auto --loss-on all",
            "--loss-on was last-assistant and is all, --no-loss-on was reasoning and is not given",
        ),
        ("--chat-template auto --loss-on all --mixed", "--mixed was not given before"),
        (
            "--chat-template auto --loss-on all --tool-arguments keep",
            "--mixed is not given any more, --tool-arguments was parse and is keep",
        ),
        (
            "--chat-template auto --template-args {\"thinks\":false}",
            "--tool-arguments was keep and is parse, --loss-on was all and is assistant, \
             --template-args was not given and is thinks false",
        ),
        (
            "--chat-template auto --template-args {\"thinks\":true}",
            "--template-args was thinks false and is thinks true",
        ),
        (
            "--chat-template dated.jinja",
            "--template-args was thinks true and is not given, --chat-template was chat_template.jinja and is dated.jinja, \
             the chat template has another text",
        ),
        ("--chat-template dated.jinja --date 2026-01-02", "--date was not given and is 2026-01-02"),
        ("--chat-template dated.jinja --date 2026-01-03", "--date was 2026-01-02 and is 2026-01-03"),
    ] {
        let ran = tokenize(&project, &format!("{arguments} --skip-existing")).with_code(0);
        for split in ["a", "b"] {
            assert!(ran.stderr.contains(&format!("{split}: redone, because {why}\n")), "{arguments}: {ran}");
        }
        let ran = tokenize(&project, &format!("{arguments} --skip-existing")).with_code(0);
        assert!(ran.stderr.contains("2 finished splits unchanged, skipped: a, b"), "{ran}");
    }
    // What is done with control tokens, and what ends documents, is called by its flag, too.
    let with =
        |arguments: &str| tokenize(&project, &format!("{arguments} --skip-existing")).with_code(0).stderr;
    let stderr = with("--chat-template dated.jinja --date 2026-01-03 --special-tokens-in-text split");
    let why = "a: redone, because --special-tokens-in-text was encode and is split\n";
    assert!(stderr.contains(why), "{stderr}");
    with("--render plain");
    let stderr = with("--render plain --eos-token <|im_end|>");
    assert!(stderr.contains("a: redone, because --eos-token was </s> and is <|im_end|>, "), "{stderr}");
    // Without a template there is no text in these records, and of what was made nothing is left to be taken for theirs.
    let ran = tokenize(&project, "--skip-existing").with_code(3);
    assert!(ran.stderr.contains("a: redone, because --render plain is not given any more"), "{ran}");
}

#[test]
fn a_template_whose_text_changed_redoes_all() {
    let project = project(&conversations(4));
    tokenize(&project, "--chat-template auto").with_code(0);
    project.write("tok/chat_template.jinja", format!("{{{{ 'So: ' }}}}{TEMPLATE}"));
    // Without being asked to, a finished split is kept, and what is different is an error.
    let kept = project.files("out");
    let ran = tokenize(&project, "--chat-template auto").with_code(2);
    assert!(
        ran.stderr.contains("is different: the chat template has another text\nhint: `--skip-existing` "),
        "{ran}"
    );
    assert_eq!(project.files("out"), kept);
    let ran = tokenize(&project, "--chat-template auto --skip-existing").with_code(0);
    assert!(ran.stderr.contains("a: redone, because the chat template has another text"), "{ran}");
    assert!(told(&project.path("out"), "a").iter().all(|text| text.starts_with("So: <|im_start|>")));
    project.run("verify out --deep --sample 1").with_code(0);
}
