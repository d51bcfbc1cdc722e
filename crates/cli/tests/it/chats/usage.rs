//! What is asked for that cannot be: an error before the run, with what to type instead.

use serde_json::json;

use super::{ASKED, TEMPLATE, project, tokenize, tokenizer_json};
use crate::project::Project;

/// A project whose tokenizer has a template that asks for the date, and files with others.
fn with_templates() -> Project {
    let project = project(&format!("{ASKED}\n"));
    project.write("bare/tokenizer.json", tokenizer_json());
    let named = json!({"chat_template": [{"name": "rag", "template": TEMPLATE}]});
    project.write("named/tokenizer.json", tokenizer_json());
    project.write("named/tokenizer_config.json", named.to_string());
    project.write("dated.jinja", format!("{{{{ strftime_now('%d %b %Y') }}}}{TEMPLATE}"));
    project.write("open.jinja", "{% for m in messages %}{{ m.content }}");
    project.write("filter.jinja", "{% for m in messages %}{{ m.content | shout }}{% endfor %}");
    project.write("other.jinja", TEMPLATE.replace("<|im_start|>", "<|start_header_id|>"));
    project.write("bytes.jinja", [0xFF, 0xFE, b'{']);
    project.write("several/tokenizer.json", tokenizer_json());
    project.write("several/chat_template.jinja", TEMPLATE);
    project.write("several/additional_chat_templates/rag.jinja", TEMPLATE);
    project.write("empty.jinja", "\n");
    project.write("constant.jinja", "Hello!");
    project.write("odd.jinja", TEMPLATE.replace("<|im_start|>", "<|odd_start|><｜of▁turn｜>"));
    project.write("include.jinja", "{% include 'other.jinja' %}");
    project.write("ends.jinja", "{{ messages[0].content }}{% endif %}");
    project
}

#[test]
fn flags_that_do_nothing_without_a_template_are_refused() {
    let project = with_templates();
    for (flag, hint) in [
        ("--template-args {}", "hint: give `--chat-template auto`, which takes the tokenizer's own\n"),
        ("--date 2026-01-01", "hint: give `--chat-template auto`, which takes the tokenizer's own\n"),
        ("--loss-on assistant", "hint: give `--chat-template auto`, which takes the tokenizer's own\n"),
        ("--no-loss-on reasoning", "hint: give `--chat-template auto`, which takes the tokenizer's own\n"),
        ("--mixed", "hint: give `--chat-template auto`, which takes the tokenizer's own\n"),
        (
            "--tool-arguments keep",
            "hint: give `--chat-template auto`, which takes the tokenizer's own, or `--render plain`\n",
        ),
    ] {
        let name = flag.split(' ').next().expect("a flag");
        for template in ["", "--chat-template none"] {
            let ran = tokenize(&project, &format!("{template} {flag}")).with_code(2);
            let told = format!("error: {name} needs --chat-template\n");
            assert!(ran.stderr.contains(&told) && ran.stderr.contains(hint), "{ran}");
        }
    }
    // What to type does not lead to the next error.
    check!(tokenize(&project, "--render plain --loss-on assistant"), @r"
    exit: 2
    --- stderr
    error: --loss-on needs --chat-template
    hint: give `--chat-template auto` in the place of `--render plain`, or leave out `--loss-on`
    ");
    tokenize(&project, "--render plain --tool-arguments keep").with_code(0);
    let ran = tokenize(&project, "--render plain --chat-template auto").with_code(2);
    assert!(ran.stderr.contains("cannot be used with"), "{ran}");
    assert!(
        !project.path("out/manifest.json").exists()
            || project.json("out/manifest.json")["requires"].is_null()
    );
}

#[test]
fn a_template_that_cannot_be_taken_is_told_with_what_can() {
    let project = with_templates();
    check!(tokenize(&project, "--chat-template nowhere"), @r"
    exit: 2
    --- stderr
    error: no chat template is called `nowhere`: no file, and none of the tokenizer's
    hint: `--chat-template auto` takes the tokenizer's own; `chatml` comes with mashbill
    ");
    let with = |tokenizer: &str, template: &str| {
        project.run(&format!(
            "tokenize --input data --output out --tokenizer {tokenizer} --chat-template {template}"
        ))
    };
    check!(with("bare", "auto"), @r"
    exit: 2
    --- stderr
    error: the tokenizer `bare` has no chat template
    hint: `--chat-template chatml` suits many models, `--chat-template FILE` takes one of yours
    ");
    check!(with("gpt2", "auto"), @r"
    exit: 2
    --- stderr
    error: the tokenizer `gpt2` has no chat template
    hint: take a chat model's tokenizer (`--tokenizer`): this one does not have the control tokens of `chatml` either
    ");
    check!(with("named", "auto"), @r"
    exit: 2
    --- stderr
    error: the tokenizer `named` has no default chat template, only `rag`
    hint: `--chat-template rag` takes that one
    ");
    check!(with("named", "other"), @r"
    exit: 2
    --- stderr
    error: no chat template is called `other`: no file, and none of the tokenizer's
    hint: the tokenizer has `rag`; `chatml` comes with mashbill
    ");
    check!(with("several", "AUTO"), @r"
    exit: 2
    --- stderr
    error: no chat template is called `AUTO`: no file, and none of the tokenizer's
    hint: `--chat-template auto` takes the tokenizer's own, which also has `rag`; `chatml` comes with mashbill
    ");
    check!(tokenize(&project, "--chat-template data"), @r"
    exit: 2
    --- stderr
    error: cannot read the chat template `data`: it is a folder, but a file is needed
    hint: give a file with a template in Jinja
    ");
    check!(tokenize(&project, "--chat-template bytes.jinja"), @r"
    exit: 2
    --- stderr
    error: cannot read the chat template `bytes.jinja`: it is not UTF-8
    hint: iconv -f ENCODING -t UTF-8 bytes.jinja > chat_template.jinja
    ");
    check!(tokenize(&project, "--chat-template named/tokenizer_config.json"), @r"
    exit: 2
    --- stderr
    error: `named/tokenizer_config.json` is JSON, but a chat template is a text in Jinja
    hint: give its folder as `--tokenizer` and `--chat-template auto`, or the name of a template in it
    ");
    for silent in ["empty.jinja", "constant.jinja"] {
        let ran = tokenize(&project, &format!("--chat-template {silent}")).with_code(2);
        let told = format!(
            "error: the chat template `{silent}` prints nothing that is said in messages\nhint: give a template in Jinja that prints \
             each message's `content`, which is a text; `--chat-template auto` takes the tokenizer's own\n"
        );
        assert_eq!(ran.stderr, told);
    }
    check!(tokenize(&project, "--chat-template dated.jinja"), @r"
    exit: 2
    --- stderr
    error: the chat template `dated.jinja` cannot be used: it asks for the date with `strftime_now`, and none is given (line 1 of the template)
    hint: give the date that the model is to see: `--date YYYY-MM-DD`
    ");
    check!(tokenize(&project, "--chat-template dated.jinja --date 2026-02-30"), @r"
    exit: 2
    --- stderr
    error: `2026-02-30` is not a date
    hint: write it as `--date YYYY-MM-DD`
    ");
    check!(tokenize(&project, "--chat-template open.jinja"), @r"
    exit: 2
    --- stderr
    error: the chat template `open.jinja` cannot be used: `endfor` or `else` is expected, and the template ends (line 1 of the template)
    hint: give another one: `--chat-template FILE`, or `chatml`
    ");
    check!(tokenize(&project, "--chat-template filter.jinja"), @r"
    exit: 2
    --- stderr
    error: the chat template `filter.jinja` cannot be used: there is no filter `shout` (line 1 of the template)
    hint: give another one: `--chat-template FILE`, or `chatml`
    ");
    check!(tokenize(&project, "--chat-template other.jinja"), @r"
    exit: 2
    --- stderr
    error: the chat template `other.jinja` writes `<|start_header_id|>`, which the tokenizer does not have as a token
    hint: take the tokenizer of a chat model (`--tokenizer`), or a template of this tokenizer's own
    ");
    // Whatever its name is.
    check!(tokenize(&project, "--chat-template odd.jinja"), @r"
    exit: 2
    --- stderr
    error: the chat template `odd.jinja` writes `<|odd_start|>`, `<｜of▁turn｜>`, which the tokenizer does not have as tokens
    hint: take the tokenizer of a chat model (`--tokenizer`), or a template of this tokenizer's own
    ");
    check!(tokenize(&project, "--chat-template include.jinja"), @r"
    exit: 2
    --- stderr
    error: the chat template `include.jinja` cannot be used: there is no support for the tag `include` (line 1 of the template)
    hint: give another one: `--chat-template FILE`, or `chatml`
    ");
    check!(tokenize(&project, "--chat-template ends.jinja"), @r"
    exit: 2
    --- stderr
    error: the chat template `ends.jinja` cannot be used: `endif` closes nothing (line 1 of the template)
    hint: give another one: `--chat-template FILE`, or `chatml`
    ");
    assert!(!project.path("out").exists());
}

#[test]
fn arguments_and_parts_that_are_none_are_told() {
    let project = with_templates();
    check!(tokenize(&project, "--chat-template auto --template-args [1]"), @r#"
    exit: 2
    --- stderr
    error: --template-args takes a JSON object, and this is none: [1]: invalid type: sequence, expected a map at line 1 column 0
    hint: --template-args '{"enable_thinking": false}'
    "#);
    check!(tokenize(&project, "--chat-template auto --template-args {\"a\":1,\"a\":2}"), @r"
    exit: 2
    --- stderr
    error: --template-args can be read in two ways: `a` stands twice
    hint: leave one of them out
    ");
    check!(tokenize(&project, "--chat-template auto --template-args {\"messages\":[]}"), @r"
    exit: 2
    --- stderr
    error: the argument `messages` of the chat template cannot be given: no argument of a template has this name
    hint: correct the value after `--template-args`
    ");
    check!(tokenize(&project, "--chat-template auto --template-args {\"a\":"), @r#"
    exit: 2
    --- stderr
    error: --template-args takes a JSON object, and this is none: {"a":: EOF while parsing a value at line 1 column 5
    hint: --template-args '{"enable_thinking": false}'
    "#);
    check!(tokenize(&project, "--chat-template auto --loss-on all --no-loss-on reasoning"), @r"
    exit: 2
    --- stderr
    error: --no-loss-on leaves parts of turns out, but with --loss-on all there is a loss on everything
    hint: leave one of them out
    ");
    for arguments in ["--loss-on users", "--no-loss-on all", "--render html", "--tool-arguments drop"] {
        let ran = tokenize(&project, &format!("--chat-template auto {arguments}")).with_code(2);
        assert!(ran.stderr.contains("possible values"), "{ran}");
    }
    for date in ["2026", "2026-13-01", "2026-02-29", "01.02.2026", "2026-1-1", "２026-01-01", ""] {
        let mut command = project.command("tokenize --input data --tokenizer tok --chat-template auto");
        let ran = project.finish(command.args(["--date", date])).with_code(2);
        assert!(ran.stderr.contains("hint: write it as `--date YYYY-MM-DD`"), "{date}: {ran}");
    }
    assert!(!project.path("out").exists());
}
