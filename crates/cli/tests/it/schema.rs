//! The schemas in `schemas/` are those of the types.

use std::fs;
use std::path::Path;

use mashbill_format::catalog::{Curriculum, OwnCatalog};
use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::lock::Lock;
use mashbill_format::manifest::Manifest;
use mashbill_format::recipe::Recipe;
use mashbill_format::stats::Stats;
use mashbill_format::training_run::MetricsRecord;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, schema_for};

/// Writes the schema of what is read as `T`, and fails where another one was there.
fn check<T: JsonSchema>(name: &str) {
    is_current(name, &schema_for!(T));
}

/// The same of what Python writes, which is to have each key that a reader may find missing.
fn check_written<T: JsonSchema>(name: &str) {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    is_current(name, &settings.into_generator().into_root_schema_for::<T>());
}

fn is_current(name: &str, schema: &Schema) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(name);
    let schema = serde_json::to_string_pretty(schema).expect("a schema is JSON") + "\n";
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

#[test]
fn of_a_training_run_is_current() {
    check_written::<MetricsRecord>("metrics.schema.json");
    check_written::<Recipe>("loader.schema.json");
}
