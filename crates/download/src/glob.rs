//! Which files of a repository are taken.

/// Whether `path` is one that `pattern` chooses: `*` stands for anything within a folder, `**` across folders.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let Some(star) = pattern.find('*') else { return pattern == path };
    let (before, rest) = pattern.split_at(star);
    let Some(path) = path.strip_prefix(before) else { return false };
    let (across, rest) = match rest.strip_prefix("**") {
        // `a/**/b` is also `a/b`.
        Some(rest) if rest.starts_with('/') && matches(&rest[1..], path) => return true,
        Some(rest) => (true, rest),
        None => (false, &rest[1..]),
    };
    let end = if across { path.len() } else { path.find('/').unwrap_or(path.len()) };
    (0..=end).filter(|&at| path.is_char_boundary(at)).any(|at| matches(rest, &path[at..]))
}

/// Whether a path speaks of data that models are measured by.
pub(crate) fn is_for_testing(path: &str) -> bool {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    words.into_iter().any(|word| {
        let word = word.to_ascii_lowercase();
        ["test", "tests", "validation", "valid", "val", "dev", "eval"].contains(&word.as_str())
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
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn benchmarks_are_known_by_their_paths() {
        for path in ["main/test-0.parquet", "dev.json", "data/validation/0.parquet", "x_test.jsonl"] {
            assert!(is_for_testing(path), "{path}");
        }
        for path in ["train.jsonl", "latest/contest.json", "devices.jsonl"] {
            assert!(!is_for_testing(path), "{path}");
        }
    }
}
