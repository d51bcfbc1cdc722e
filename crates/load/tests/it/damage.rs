//! Shards that are missing or damaged: named, or skipped and counted; never a hang and never a short epoch.

use std::fs;

use mashbill_load::{CachedShard, Dataset, Error, Loader, OnError, build_cache};

use crate::world::{PAD, World, options, stream_options};

fn world() -> World {
    World::new(64, &[("a", vec![vec![100; 60]]), ("b", vec![vec![100; 60]])])
}

/// Changes a byte in the middle of split `b`'s first page of ids.
fn damage(world: &World) {
    let path = world.shard("b");
    let mut bytes = fs::read(&path).unwrap();
    bytes[3000] ^= 0x55;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_missing_shard_is_named_at_once() {
    let world = world();
    fs::remove_file(world.shard("b")).unwrap();
    let error = Loader::new(world.dataset(), options(stream_options(4, 1, 0)), None).unwrap_err();
    let expected = format!("shard `{}` of split `b` cannot be opened: ", world.shard("b").display());
    assert!(error.to_string().starts_with(&expected), "{error}");

    fs::write(world.shard("b"), b"short").unwrap();
    let error = world.dataset().check_shards().unwrap_err();
    assert!(error.to_string().contains("of split `b` has 5 bytes where the manifest says "), "{error}");
}

#[test]
fn a_damaged_page_is_an_error_that_names_the_shard_with_and_without_threads() {
    let world = world();
    damage(&world);
    for threads in [0, 1, 4] {
        let mut options = options(stream_options(4, 1, 0));
        options.threads = threads;
        let mut loader = Loader::new(world.dataset(), options, None).unwrap();
        let error = (0..100).find_map(|_| loader.next_batch().err()).unwrap();
        let expected = format!("shard `{}` of split `b` is damaged: ", world.shard("b").display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        let before = loader.state().clone();
        assert!(loader.next_batch().is_err(), "asked again, it does not go on");
        assert_eq!(loader.state(), &before);
    }
}

#[test]
fn skipped_rows_are_padding_and_counted() {
    let world = world();
    fs::remove_file(world.shard("b")).unwrap();
    let rows = world.rows.len();
    for threads in [0, 2] {
        let mut options = options(stream_options(rows, 1, 0));
        options.on_error = OnError::Skip;
        options.threads = threads;
        let mut loader = Loader::new(world.dataset(), options, None).unwrap();
        let batch = loader.next_batch().unwrap().unwrap();
        assert_eq!(batch.rows.len(), rows, "the batch keeps its shape");
        assert_eq!(batch.skipped as usize, rows / 2);
        assert_eq!(loader.skipped() as usize, rows / 2);
        for (index, &row) in batch.rows.iter().enumerate() {
            let here = index * 64..(index + 1) * 64;
            if row as usize >= rows / 2 {
                assert!(batch.input_ids[here.clone()].iter().all(|&id| id == PAD as i32));
                assert!(batch.labels[here.clone()].iter().all(|&label| label == -100));
                assert!(batch.attention_mask[here].iter().all(|&mask| mask == 0));
            } else {
                assert_eq!(batch.input_ids[here], world.rows[row as usize].input_ids);
            }
        }
    }
}

#[test]
fn a_cache_is_made_once_and_never_of_a_damaged_shard() {
    let world = world();
    let cache = world.folder.path().join("cache");
    let dataset = world.dataset();
    let build = |dataset: &Dataset| {
        let mut found = Vec::new();
        build_cache(dataset, &cache, 2, &mut |CachedShard { found: it, done, of, .. }| {
            found.push((it, done, of));
        })
        .map(|()| found)
    };
    assert_eq!(build(&dataset).unwrap(), [(false, 1, 2), (false, 2, 2)]);
    assert_eq!(build(&dataset).unwrap(), [(true, 1, 2), (true, 2, 2)]);
    let files: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");

    fs::remove_dir_all(&cache).unwrap();
    damage(&world);
    let error = build(&dataset).unwrap_err();
    assert!(matches!(&error, Error::Shard { what, .. } if what.contains("its checksum is")), "{error}");
}

#[test]
fn a_damaged_cache_is_an_error_that_names_its_file() {
    let world = world();
    let cache = world.folder.path().join("cache");
    let dataset = world.dataset();
    build_cache(&dataset, &cache, 1, &mut |_| {}).unwrap();
    let path = cache.join(format!("{}.rows", dataset.shards[0].checksum));
    let mut bytes = fs::read(&path).unwrap();
    bytes[200] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut options = options(stream_options(world.rows.len(), 1, 0));
    options.cache = Some(cache);
    let error = Loader::new(dataset, options, None).unwrap().next_batch().unwrap_err();
    assert_eq!(error.to_string(), format!("`{}` is damaged: row 0 has another checksum", path.display()));
}

#[test]
fn a_folder_without_a_manifest_and_labels_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = Dataset::open(folder.path(), None).unwrap_err();
    assert!(error.to_string().ends_with("is no tokenized dataset: it has no manifest.json"), "{error}");

    let world = world();
    let path = world.folder.path().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"shifted\"", "\"aligned\"");
    fs::write(&path, text).unwrap();
    let error = Dataset::open(world.folder.path(), None).unwrap_err();
    assert_eq!(error.to_string(), "the manifest's labels are `aligned`, and only `shifted` ones can be read");
}
