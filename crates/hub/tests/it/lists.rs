//! What the Hub says of datasets and their files.

use mashbill_hub::{AccessToken, Digest, Error, Gated, Revision, TokenSource};
use mashbill_stand_in::{Access, Content, Fault, Repo, RepoType, Rule, Site};

use crate::site::{DATASET, Place, dataset};

#[test]
fn a_dataset_is_described() {
    let place = Place::new();
    place.put(&[("a.json", b"{}")], Access::Gated);
    let info = place.on_hub(|hub| hub.dataset(&dataset(), &Revision::main())).expect("an answer");
    assert_eq!((info.gated, info.private, info.license.as_deref()), (Gated::Auto, false, Some("mit")));
}

#[test]
fn a_list_of_many_pages_stays_on_the_endpoint() {
    let place = Place::with(Site {
        page_size: 3,
        link_base: Some("https://huggingface.co".to_owned()),
        ..Site::default()
    });
    let names: Vec<String> = (0..10).map(|file| format!("data/part-{file}.json")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    place.put(&files, Access::Open);
    let listed = place.files().expect("a list");
    assert_eq!(listed.iter().map(|file| &file.path).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    assert!(matches!(&listed[0].hash, Digest::GitSha1(_)) && listed[0].size == 16);
    assert_eq!(place.stand_in.log().len(), 1 + 4);
}

#[test]
fn a_folder_of_a_converted_branch_is_listed_alone() {
    let place = Place::new();
    let mut repo = Repo::new(RepoType::Dataset, DATASET);
    repo.put("main", "README.md", Content::from("hello"));
    for path in ["default/train/0000.parquet", "default/test/0000.parquet"] {
        repo.put("refs/convert/parquet", path, Content::from("PAR1"));
    }
    place.stand_in.put(repo);
    let files = place
        .on_hub(|hub| {
            let revision = "refs/convert/parquet".parse()?;
            let commit = hub.dataset(&dataset(), &revision)?.commit;
            hub.tree(&dataset(), &commit, "default/train")
        })
        .expect("a list");
    assert_eq!(files.len(), 1);
    assert_eq!((files[0].path.as_str(), files[0].size), ("default/train/0000.parquet", 4));
    assert!(matches!(&files[0].hash, Digest::Sha256(_)));
}

#[test]
fn refusals_have_names() {
    let place = Place::new();
    place.put(&[("a.json", b"{}")], Access::Open);
    let ask = |revision: &str| {
        place.on_hub(|hub| hub.dataset(&dataset(), &revision.parse()?)).expect_err("a refusal")
    };
    assert!(matches!(ask("nowhere"), Error::RevisionNotFound { .. }));
    let commit = place.files().expect("a list")[0].commit.clone();
    let error = place.on_hub(|hub| hub.tree(&dataset(), &commit, "nowhere")).expect_err("no such folder");
    assert!(matches!(error, Error::EntryNotFound { .. }), "{error}");
    place.put(&[("a.json", b"{}")], Access::Private);
    assert!(matches!(ask("main"), Error::RepoNotFound { token: None, .. }));
    place.put(&[("a.json", b"{}")], Access::Disabled);
    assert!(matches!(ask("main"), Error::Disabled { .. }));
    let mut place = Place::new();
    place.settings.token =
        AccessToken::new("hf_UnknownSecret", TokenSource::Variable("HF_TOKEN")).expect("a token");
    let error = place.files().expect_err("a refusal");
    let source = TokenSource::Variable("HF_TOKEN");
    assert!(matches!(error, Error::BadToken { source_of_token, .. } if source_of_token == source));
}

#[test]
fn metadata_is_asked_for_again_too() {
    let place = Place::new();
    place.put(&[("a.json", b"{}")], Access::Open);
    let failure = |status| Fault::Answer { status, headers: Vec::new(), body: String::new() };
    place.fail("/revision/main", [failure(500), failure(503), Fault::Close]);
    place.fail("/tree/", [failure(502), Fault::CutAfter(10)]);
    place.files().expect("a list");
    assert_eq!(place.pauses().len(), 5);
    let limited = ("RateLimit".to_owned(), r#""api";r=0;t=3"#.to_owned());
    place.stand_in.fail(Rule {
        on: "/revision/main".into(),
        times: 1,
        fault: Fault::Answer { status: 429, headers: vec![limited], body: String::new() },
    });
    place.files().expect("a list");
    assert!(place.pauses().iter().any(|pause| pause.as_secs() >= 3));
}

#[test]
fn requests_are_spread_before_a_window_is_used_up() {
    let place = Place::with(Site { quota: 100, ..Site::default() });
    place.put(&[("a.json", b"{}")], Access::Open);
    let pauses = place.on_hub(|hub| {
        for _ in 0..99 {
            hub.dataset(&dataset(), &Revision::main())?;
        }
        Ok(place.pauses())
    });
    let pauses = pauses.expect("answers");
    // Fewer than 5 of 100 are left after the 96th.
    assert!((2..=4).contains(&pauses.len()), "{pauses:?}");
    assert!(pauses.iter().all(|pause| pause.as_secs() > 30), "{pauses:?}");
}
