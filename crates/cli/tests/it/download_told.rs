//! What `download` says of datasets that cannot be had as they are, and of those that have to be named.

use mashbill_stand_in::{Content, Repo, RepoType, StandIn};

use crate::download::{TOKEN, download, hub, run};
use crate::project::Project;

fn put(hub: &StandIn, id: &str, license: Option<&str>, rows: &str) {
    let mut repo = Repo::new(RepoType::Dataset, id);
    repo.put("main", "train.jsonl", Content::from(rows.as_bytes().to_vec()));
    repo.license = license.map(str::to_owned);
    hub.put(repo);
}

#[test]
fn columns_that_nobody_recognizes_are_named_with_what_describes_them() {
    let (project, hub) = (Project::new(), hub());
    put(&hub, "org/odd", None, "{\"foo\": \"a text\", \"bar\": 1}\n");
    let ran = download(&project, &hub, "--dataset org/odd").with_code(3);
    for said in [
        "warning: org__odd is not downloaded: none of 1 rows became a record: its columns are bar, foo, and none of them is \
         recognized\nhint: say which one has the text: give `--catalog own.toml` with",
        "error: incomplete: 1 of 1 dataset was not downloaded: org__odd\nhint: each warning above says what to do\n",
    ] {
        assert!(ran.stderr.contains(said), "{said}\n{ran}");
    }
    // To download it again would fail again.
    let verified = project.run("verify data").with_code(0);
    assert!(verified.stderr.contains("none of the rows of org__odd became a record"), "{verified}");
    assert!(verified.stderr.contains("hint: describe the columns of org__odd"), "{verified}");
    let described = "[[dataset]]\nrepo = \"org/odd\"\n[dataset.render.text]\nfield = \"foo\"\n";
    project.write("own.toml", described);
    download(&project, &hub, "--catalog own.toml --dataset org/odd").with_code(0);
    assert!(project.read("data/custom/org__odd.jsonl").contains("a text"));
}

#[test]
fn a_license_that_the_card_names_has_its_kind() {
    let (project, hub) = (Project::new(), hub());
    for (name, license, kind) in [
        ("mit", Some("mit"), "open"),
        ("nc", Some("cc-by-nc-4.0"), "non-commercial"),
        ("other", Some("other"), "unknown"),
        ("none", None, "unknown"),
    ] {
        put(&hub, &format!("org/{name}"), license, "{\"text\": \"a\"}\n");
        download(&project, &hub, &format!("--dataset org/{name}")).with_code(0);
        let stats = project.json(&format!("data/custom/org__{name}.stats.json"));
        assert_eq!(stats["license_kind"], kind, "{name}");
    }
    // It came from the Hub, and is no file of the user's own.
    let status = download(&project, &hub, "--status-only").with_code(0).stdout;
    let line = status.lines().find(|line| line.contains("org__mit")).expect("it is listed");
    assert!(line.contains("org__mit           downloaded 1") && line.ends_with("from org/mit"), "{line}");
}

#[test]
fn a_status_says_what_has_to_be_named_and_lists_a_name_once() {
    let (project, hub) = (Project::new(), hub());
    project.write("data/math_reasoning/gsm8k.jsonl", "{\"text\": \"made by another program\"}\n");
    let status = download(&project, &hub, "--status-only").with_code(0).stdout;
    for said in [
        "  taken only when named: tulu3, dolci_instruct, smoltalk\n",
        "  taken only when named: opc_sft_stage2\n",
        "  taken only when named: openmathreasoning, finemath, openthoughts3\n",
        "(taken only when named: license not stated)",
        "(gated: needs a token; columns unconfirmed)",
    ] {
        assert!(status.contains(said), "{said}\n{status}");
    }
    assert_eq!(status.matches("gsm8k").count(), 1, "{status}");
    // What cannot be taken at all is not offered.
    assert!(!status.contains("stack_edu"), "{status}");
}

#[test]
fn a_gated_dataset_of_which_nothing_was_fetched_does_not_resume() {
    let (project, hub) = (Project::new(), hub());
    download(&project, &hub, "--dataset starcoder").with_code(3);
    let ran = run(&project, &hub, "--dataset starcoder --dry-run", Some(TOKEN)).with_code(0);
    assert!(ran.stdout.contains("starcoder") && !ran.stdout.contains("resumes"), "{ran}");
}

#[test]
fn where_the_hub_cannot_be_reached_nothing_was_done() {
    let project = Project::with(&[("in/a.jsonl", "{\"text\":\"a\"}\n")]);
    for arguments in ["download --dataset gsm8k", "tokenize --input in --tokenizer org/tokenizer"] {
        let mut command = project.command(arguments);
        command.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", "http://127.0.0.1:9");
        let ran = project.finish(&mut command).with_code(2);
        assert!(ran.stderr.contains("cannot reach http://127.0.0.1:9"), "{ran}");
    }
}
