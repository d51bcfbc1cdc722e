//! Who may use whom. The table is the rule; ARCHITECTURE.md draws it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each crate with the crates of the workspace that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("mashbill-store", &[]),
    ("mashbill-parquet", &["mashbill-store"]),
    ("mashbill-records", &["mashbill-store", "mashbill-parquet"]),
    ("mashbill-format", &["mashbill-store", "mashbill-parquet", "mashbill-records"]),
    ("mashbill-verify", &["mashbill-store", "mashbill-parquet", "mashbill-records", "mashbill-format"]),
    ("mashbill-stand-in", &[]),
    ("mashbill-hub", &["mashbill-store", "mashbill-stand-in"]),
    (
        "mashbill-download",
        &[
            "mashbill-store",
            "mashbill-records",
            "mashbill-format",
            "mashbill-verify",
            "mashbill-hub",
            "mashbill-stand-in",
        ],
    ),
    ("mashbill-subword", &[]),
    ("mashbill-tokenizer", &["mashbill-store", "mashbill-records", "mashbill-format", "mashbill-subword"]),
    ("mashbill-jinja", &[]),
    ("mashbill-chat", &["mashbill-records", "mashbill-format", "mashbill-jinja"]),
    (
        "mashbill-tokenize",
        &[
            "mashbill-store",
            "mashbill-parquet",
            "mashbill-records",
            "mashbill-format",
            "mashbill-verify",
            "mashbill-tokenizer",
            "mashbill-chat",
        ],
    ),
    ("mashbill-load", &["mashbill-store", "mashbill-parquet", "mashbill-format"]),
    ("mashbill-report", &["mashbill-store", "mashbill-records", "mashbill-format", "mashbill-verify"]),
    (
        "mashbill-cli",
        &[
            "mashbill-store",
            "mashbill-parquet",
            "mashbill-records",
            "mashbill-format",
            "mashbill-verify",
            "mashbill-hub",
            "mashbill-download",
            "mashbill-tokenizer",
            "mashbill-chat",
            "mashbill-tokenize",
            "mashbill-load",
            "mashbill-report",
            "mashbill-stand-in",
        ],
    ),
    (
        "mashbill-python",
        &["mashbill-store", "mashbill-format", "mashbill-tokenizer", "mashbill-cli", "mashbill-load"],
    ),
];

/// What only some crates may use, and why.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("clap", &["mashbill-cli"], "libraries know no command line"),
    ("anyhow", &["mashbill-cli"], "libraries have errors that a caller can act on"),
    ("indicatif", &["mashbill-cli"], "libraries are silent"),
    ("ctrlc", &["mashbill-cli"], "signals belong to the program"),
    ("mimalloc", &["mashbill-cli", "mashbill-python"], "the allocator belongs to the program"),
    ("tokenizers", &["mashbill-tokenizer"], "others deal in ids"),
    ("tiktoken-rs", &["mashbill-tokenizer"], "others deal in ids"),
    ("ureq", &["mashbill-hub"], "one crate speaks to the network"),
    ("mashbill-stand-in", &["mashbill-cli"], "libraries need a Hub to speak to in their tests only"),
    ("pyo3", &["mashbill-python"], "others know nothing of Python"),
    ("numpy", &["mashbill-python"], "others know nothing of Python"),
];

/// What nobody may bring in, however deep, and why.
const NEVER: [(&str, &str); 3] = [
    ("tokio", "threads are enough"),
    ("openssl-sys", "rustls needs nothing of the machine"),
    ("reqwest", "ureq has a third of its dependencies"),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn metadata() -> Value {
    let mut command = Command::new(env!("CARGO"));
    // Without the dependencies: those of other systems need not be on this machine.
    command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(workspace());
    let output = command.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo's metadata is JSON")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().expect("a string")
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().expect("a list")
}

#[test]
fn are_kept() {
    let metadata = metadata();
    let packages = list(&metadata, "packages");
    let mut broken = Vec::new();
    let may_use: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    assert_eq!(packages.len(), MAY_USE.len());
    for package in packages {
        let name = text(package, "name");
        let Some(allowed) = may_use.get(name) else {
            broken.push(format!("`{name}` is not in MAY_USE"));
            continue;
        };
        for dependency in list(package, "dependencies") {
            let used = text(dependency, "name");
            if may_use.contains_key(used) && !allowed.contains(&used) {
                broken.push(format!("`{name}` may not use `{used}`"));
            }
            // Tests may hold a crate against the reference.
            if dependency["kind"] != "dev"
                && let Some((_, only, why)) =
                    ONLY_IN.iter().find(|(rule, only, _)| *rule == used && !only.contains(&name))
            {
                broken.push(format!("`{name}` may not use `{used}`, only {only:?} may: {why}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn nobody_brings_in_what_is_not_wanted() {
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).expect("the lock file is kept");
    for (name, why) in NEVER {
        assert!(!lock.contains(&format!("name = \"{name}\"\n")), "{why} (cargo tree --target all -i {name})");
    }
}
