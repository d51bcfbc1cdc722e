//! The schemas in `schemas/` are those of the types.

use std::fs;
use std::path::Path;

use mashbill_format::catalog::{Curriculum, OwnCatalog};
use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::lock::Lock;
use mashbill_format::manifest::Manifest;
use mashbill_format::stats::Stats;
use schemars::{JsonSchema, schema_for};

/// Writes the schema of `T`, and fails where another one was there.
fn check<T: JsonSchema>(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(name);
    let schema = serde_json::to_string_pretty(&schema_for!(T)).expect("a schema is JSON") + "\n";
    let found = fs::read_to_string(&path).unwrap_or_default();
    if found != schema {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, schema).expect("it is ours");
        panic!("schemas/{name} was not that of the type; it is now: look at the change and commit it");
    }
}

#[test]
fn of_the_manifest_is_current() {
    check::<Manifest>("manifest.schema.json");
}

#[test]
fn of_the_statistics_is_current() {
    check::<Stats>("stats.schema.json");
}

#[test]
fn of_the_catalog_are_current() {
    check::<Curriculum>("curriculum.schema.json");
    check::<OwnCatalog>("catalog.schema.json");
}

#[test]
fn of_a_download_are_current() {
    check::<DatasetStats>("dataset_stats.schema.json");
    check::<Lock>("lock.schema.json");
}
