//! Shards that are missing or damaged: named, or skipped and counted; never a hang and never a short epoch.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mashbill_format::manifest::COUNT_MAX;
use mashbill_load::{CachedShard, Dataset, Error, Loader, OnError, Shuffle, Sources, build_cache};

use crate::world::{PAD, Row, World, options, stream_options};

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
        let again = loader.next_batch().unwrap_err();
        assert_eq!(again.to_string(), error.to_string(), "asked again, it says the same");
        assert!(matches!(again.first(), Error::Shard { .. }));
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
        build_cache(dataset, &cache, 2, &|| false, &mut |CachedShard { found: it, done, of, .. }| {
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

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_of_the_cache_that_is_damaged_or_cut_off_is_made_again() {
    let world = world();
    let cache = world.folder.path().join("cache");
    let dataset = world.dataset();
    let build = |dataset: &Dataset| {
        let mut found = Vec::new();
        build_cache(dataset, &cache, 1, &|| false, &mut |event| found.push(event.found)).map(|()| found)
    };
    build(&dataset).unwrap();
    let path = cache.join(format!("{}.rows", dataset.shards[0].checksum));
    let whole = fs::read(&path).unwrap();
    let rows = |threads| {
        let mut options = options(stream_options(world.rows.len(), 1, 0));
        (options.cache, options.threads) = (Some(cache.clone()), threads);
        let mut loader = Loader::new(world.dataset(), options, None).unwrap();
        let batch = loader.next_batch().unwrap().unwrap();
        for (index, &row) in batch.rows.iter().enumerate() {
            assert_eq!(batch.input_ids[index * 64..][..64], world.rows[row as usize].input_ids);
        }
        loader.made_again()
    };
    assert_eq!(rows(0), 0);
    for length in [0, 10, 64, 200, whole.len() - 17, whole.len() - 1] {
        // When the cache is wanted again, and under way.
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(build(&dataset).unwrap(), [false, true], "{length} bytes");
        assert_eq!(fs::read(&path).unwrap(), whole);
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(rows(0), 1, "{length} bytes");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    for (at, threads) in [(3, 0), (70, 1), (200, 4), (whole.len() / 2, 0), (whole.len() - 3, 2)] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(rows(threads), 1, "byte {at}");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    assert_eq!(names(&cache).len(), 2, "{:?}", names(&cache));
}

#[test]
fn what_is_not_finished_leaves_nothing_in_the_cache() {
    let world = world();
    let cache = world.folder.path().join("cache");
    let dataset = world.dataset();
    let error = build_cache(&dataset, &cache, 1, &|| true, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert_eq!(names(&cache), Vec::<String>::new());
    // A page is damaged, of which the manifest does not know.
    damage(&world);
    build_cache(&dataset, &cache, 1, &|| false, &mut |_| {}).unwrap_err();
    assert!(names(&cache).iter().all(|name| name.ends_with(".rows")), "{:?}", names(&cache));
    // What a process that was killed has left is no hindrance.
    let world = self::world();
    let dataset = world.dataset();
    let cache = world.folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    for ending in ["lock", "temporary"] {
        fs::write(cache.join(format!("{}.{ending}", dataset.shards[0].checksum)), b"half").unwrap();
    }
    build_cache(&dataset, &cache, 2, &|| false, &mut |_| {}).unwrap();
    assert!(names(&cache).iter().all(|name| name.ends_with(".rows")), "{:?}", names(&cache));
}

#[test]
fn many_that_want_the_same_cache_make_it_once() {
    let world = world();
    let cache = world.folder.path().join("cache");
    let made = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                build_cache(&world.dataset(), &cache, 2, &|| false, &mut |event| {
                    made.fetch_add(usize::from(!event.found), std::sync::atomic::Ordering::Relaxed);
                })
                .unwrap();
            });
        }
    });
    assert_eq!(made.into_inner(), 2);
    assert_eq!(names(&cache).len(), 2, "{:?}", names(&cache));
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_can_write_to_is_not_trusted() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let world = world();
    let dataset = world.dataset();
    let cache = world.folder.path().join("cache");
    let build = |cache: &Path| build_cache(&dataset, cache, 1, &|| false, &mut |_| {});
    build(&cache).unwrap();
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o022, 0);
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o1777)).unwrap();
    let link = world.folder.path().join("link");
    symlink(&cache, &link).unwrap();
    for cache in [&cache, &link] {
        let error = build(cache).unwrap_err();
        let expected =
            format!("the cache folder `{}` is not trusted: every user can write to it", cache.display());
        assert_eq!(error.to_string(), expected);
    }
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o755)).unwrap();
    build(&cache).unwrap();
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_keeps_nobody_waiting() {
    let world = world();
    for file in [world.shard("b"), world.table("b")] {
        fs::remove_file(&file).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
        assert!(made.success());
    }
    let mut options = options(stream_options(world.rows.len(), 1, 0));
    options.on_error = OnError::Skip;
    let batch = Loader::new(world.dataset(), options, None).unwrap().next_batch().unwrap().unwrap();
    assert_eq!(batch.skipped as usize, world.rows.len() / 2);
    let error = Sources::new(world.dataset()).of(world.rows.len() as u64 - 1, 0).map(drop).unwrap_err();
    assert!(error.to_string().contains("cannot be opened: it is a pipe, but a file is needed"), "{error}");
}

#[test]
fn a_folder_without_a_manifest_and_labels_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = Dataset::open(folder.path(), None).unwrap_err();
    assert!(error.to_string().ends_with("is not a tokenized dataset: it has no manifest.json"), "{error}");

    let world = world();
    let path = world.folder.path().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    for (is, other, expected) in [
        ("\"shifted\"", "\"aligned\"", "unknown variant `aligned`, expected `shifted`"),
        ("\"crossing\"", "\"masked\"", "unknown variant `masked`, expected `crossing`"),
        ("\"next_token\"", "\"ignored\"", "unknown variant `ignored`, expected `next_token`"),
    ] {
        assert!(text.contains(is), "{is}");
        fs::write(&path, text.replace(is, other)).unwrap();
        let error = Dataset::open(world.folder.path(), None).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{}` is damaged: {expected}", path.display())), "{error}");
    }
    fs::write(&path, text.replace("\"format_version\":2", "\"format_version\":2,\"requires\":[\"more\"]"))
        .unwrap();
    let error = Dataset::open(world.folder.path(), None).unwrap_err().to_string();
    assert_eq!(error, format!("`{}` needs \"more\", which this mashbill does not know", path.display()));
    fs::write(&path, text.replace("\"ignore_index\":-100", "\"ignore_index\":-1")).unwrap();
    let error = Dataset::open(world.folder.path(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the manifest's labels have the ignore_index -1, but only -100 can be read"
    );
}

#[test]
fn another_format_is_refused_by_its_version() {
    let world = world();
    let path = world.folder.path().join("manifest.json");
    for (version, is_older) in [(1, true), (3, false)] {
        world.change(|manifest| manifest.format_version = 2);
        let text = fs::read_to_string(&path).unwrap();
        let other = text.replace("\"format_version\":2", &format!("\"format_version\":{version}"));
        fs::write(&path, &other).unwrap();
        let error = Dataset::open(world.folder.path(), None).unwrap_err();
        let expected = format!("`{}` has format_version {version}, this mashbill reads 2", path.display());
        assert_eq!(error.to_string(), expected);
        let kind = if is_older {
            matches!(error, Error::File(mashbill_format::Error::TooOld { .. }))
        } else {
            matches!(error, Error::File(mashbill_format::Error::TooNew { .. }))
        };
        assert!(kind, "{error:?}");
        fs::write(&path, text).unwrap();
    }
}

/// The rows of a shard of the world with the keys that `key` makes of theirs.
fn with_keys(world: &World, shard: usize, key: fn(i64) -> i64) -> Vec<Row> {
    let dataset = world.dataset();
    let shard = &dataset.shards[shard];
    let rows = &world.rows[shard.first_row as usize..][..shard.rows as usize];
    let rows = rows.iter().cloned().map(|mut row| {
        row.pieces.iter_mut().for_each(|piece| piece.doc_id = key(piece.doc_id - shard.input.start as i64));
        row
    });
    rows.collect()
}

#[test]
fn keys_that_lead_out_of_their_stretch_are_damage_also_in_the_cache() {
    let world = World::new(16, &[("a", vec![vec![40], vec![30, 20], vec![50]])]);
    let keys: [fn(i64) -> i64; 4] = [|key| -key, |key| key + 300, |_| i64::MAX, |_| i64::MIN];
    for (key, expected) in keys.into_iter().zip([-35, 335, i64::MAX, i64::MIN]) {
        world.replace_shard("a", 1, &with_keys(&world, 1, key));
        let cache = world.folder.path().join("cache");
        build_cache(&world.dataset(), &cache, 1, &|| false, &mut |_| {}).unwrap();
        for cache in [None, Some(cache)] {
            let mut options = options(stream_options(world.rows.len(), 1, 0));
            options.stream.shuffle = Shuffle::Off;
            options.cache = cache;
            let mut loader = Loader::new(world.dataset(), options.clone(), None).unwrap();
            let error = loader.next_batch().unwrap_err().to_string();
            let expected = format!(
                "shard `{}` of split `a` is damaged: row 0 has a part of a document {expected} of a stretch of 270",
                world.dataset().shards[1].path.display()
            );
            assert_eq!(error, expected);
            options.on_error = OnError::Skip;
            let mut loader = Loader::new(world.dataset(), options, None).unwrap();
            let batch = loader.next_batch().unwrap().unwrap();
            assert_eq!(batch.skipped, world.dataset().shards[1].rows);
        }
    }
}

#[test]
fn equal_shards_of_other_places_share_the_cache_and_keep_their_own_keys() {
    let world = World::of_equal_shards(16, 3, &[20, 30, 5]);
    let dataset = world.dataset();
    let cache = world.folder.path().join("cache");
    build_cache(&dataset, &cache, 2, &|| false, &mut |_| {}).unwrap();
    assert_eq!(names(&cache).len(), 1, "{:?}", names(&cache));
    for cache in [None, Some(cache)] {
        let mut options = options(stream_options(world.rows.len(), 1, 0));
        options.stream.shuffle = Shuffle::Off;
        options.cache = cache;
        let mut loader = Loader::new(world.dataset(), options, None).unwrap();
        let documents = loader.next_batch().unwrap().unwrap().documents.unwrap();
        let expected: Vec<_> = world.rows.iter().flat_map(|row| row.pieces.clone()).collect();
        assert_eq!(documents.pieces, expected);
        let mut keys: Vec<i64> = documents.pieces.iter().map(|piece| piece.doc_id).collect();
        keys.dedup();
        assert_eq!(keys, world.keys["all"], "every shard has keys of its own");
    }
}

#[test]
fn a_shard_may_stand_anywhere_up_to_the_largest_count() {
    let world = World::new(16, &[("a", vec![vec![20, 30]])]);
    let length = world.dataset().shards[0].input.end;
    let place = |start: u64| {
        world.change(|manifest| {
            let shards = &mut manifest.splits.get_mut("a").unwrap().shard_list;
            let mut shard = shards.pop().unwrap();
            // Before it comes a stretch in which no document was kept.
            let mut empty = shard.clone();
            (empty.file, empty.table, empty.documents, empty.tokens, empty.padding) = (None, None, 0, 0, 0);
            (empty.input.start, empty.input.end) = (0, start);
            (shard.input.start, shard.input.end) = (start, start + length);
            *shards = vec![empty, shard];
        });
        Dataset::open(world.folder.path(), None)
    };
    // The bytes of the files count beside those of the input.
    let start = COUNT_MAX - length - (1 << 20);
    let dataset = place(start).unwrap();
    let keys: Vec<i64> = world.keys["a"].iter().map(|key| start as i64 + key).collect();
    let dataset = Arc::new(dataset);
    let mut sources = Sources::new(Arc::clone(&dataset));
    assert!(keys.iter().all(|&key| sources.of(0, key).is_ok()));
    let stream = stream_options(dataset.rows as usize, 1, 0);
    let mut loader = Loader::new(dataset, options(stream), None).unwrap();
    let pieces = loader.next_batch().unwrap().unwrap().documents.unwrap().pieces;
    assert!(pieces.iter().all(|piece| keys.contains(&piece.doc_id)), "{pieces:?}");
    let error = place(COUNT_MAX).unwrap_err();
    assert!(error.to_string().ends_with(&format!("its bytes are more than {COUNT_MAX} in all")), "{error}");
}
