//! Which files of a repository are taken.

/// Whether `path` is one that `pattern` chooses: `*` stands for anything within a folder, `**` across folders.
///
/// Both may be a stranger's: the time is in step with the product of their lengths, whatever stars there are.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    // Bytes do as well as characters: a star ends before a byte that it must not pass, which is `/`.
    let (pattern, path) = (pattern.as_bytes(), path.as_bytes());
    // Which beginnings of the path the pattern so far stands for, by their lengths.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        if pattern[at] != b'*' {
            for end in (1..=path.len()).rev() {
                reached[end] = reached[end - 1] && path[end - 1] == pattern[at];
            }
            reached[0] = false;
            at += 1;
            continue;
        }
        let across = pattern.get(at + 1) == Some(&b'*');
        at += if across { 2 } else { 1 };
        let before = reached.clone();
        for end in 1..=path.len() {
            reached[end] |= reached[end - 1] && (across || path[end - 1] != b'/');
        }
        if across && pattern.get(at) == Some(&b'/') {
            // `a/**/b` is also `a/b`.
            for end in (1..=path.len()).rev() {
                reached[end] = before[end] || (reached[end - 1] && path[end - 1] == b'/');
            }
            reached[0] = before[0];
            at += 1;
        }
    }
    reached[path.len()]
}

/// Words for data that models are measured by, with or without a number behind: those that the Hub infers splits from,
/// and what else files are called. `held-out` and `hold_out` are two.
const FOR_TESTING: [&str; 19] = [
    "test",
    "tests",
    "testing",
    "testset",
    "testdata",
    "testsplit",
    "validation",
    "valid",
    "val",
    "valset",
    "dev",
    "devset",
    "devel",
    "eval",
    "evals",
    "evalset",
    "evaluation",
    "heldout",
    "holdout",
];

/// Whether a path speaks of data that models are measured by.
pub(crate) fn is_for_testing(path: &str) -> bool {
    let mut before = String::new();
    path.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit()).to_ascii_lowercase();
        let is_pair = word == "out" && ["held", "hold"].contains(&before.as_str());
        let is_word = FOR_TESTING.contains(&word.as_str());
        before = word;
        is_word || is_pair
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_within_a_folder_and_pairs_across() {
        for (pattern, path, expected) in [
            ("main/train-*.parquet", "main/train-00000-of-00001.parquet", true),
            ("main/train-*.parquet", "main/test-00000-of-00001.parquet", false),
            ("*/train.json", "a/train.json", true),
            ("*/train.json", "a/b/train.json", false),
            ("data/**/data.json", "data/a/b/data.json", true),
            ("data/**/data.json", "data/data.json", true),
            ("**", "a/b", true),
            ("train.jsonl", "train.jsonl", true),
            ("train.jsonl", "xtrain.jsonl", false),
            ("a*b*c", "aXbYc", true),
            ("a*é", "aéé", true),
            ("*", "", true),
            ("**/a", "a", true),
            ("**/a", "xa", false),
            ("**/**/a", "x/a", true),
            ("a**b", "a/x/b", true),
            ("***", "a/b", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_few() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(1024)));
        assert!(matches(&"**/*".repeat(100), &"a/".repeat(500)));
    }

    #[test]
    fn benchmarks_are_known_by_their_paths() {
        for path in [
            "main/test-0.parquet",
            "dev.json",
            "data/validation/0.parquet",
            "x_test.jsonl",
            "testing.jsonl",
            "test1.jsonl",
            "Evaluation/a.parquet",
            "TestSet.jsonl",
            "heldout-0.jsonl",
            "data/held_out/0.jsonl",
            "a-hold-out.csv",
            "dev-v2.json",
        ] {
            assert!(is_for_testing(path), "{path}");
        }
        for path in [
            "train.jsonl",
            "latest/contest.json",
            "devices.jsonl",
            "testimonials/0.jsonl",
            "validated.tsv",
            "medieval.jsonl",
            "protest1.jsonl",
            "fade-out.jsonl",
            "upheld-out.jsonl",
        ] {
            assert!(!is_for_testing(path), "{path}");
        }
    }
}
