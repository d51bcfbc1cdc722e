//! What a dataset's card says about its files: the configurations that `load_dataset` offers, and their splits.
//!
//! The form is the Hub's: <https://huggingface.co/docs/hub/datasets-manual-configuration>.

use serde_json::Value;

use crate::settings::Settings;

/// A configuration's name is shown.
const NAME_CHARS_MAX: usize = 100;

/// A configuration of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its name, as the card spells it: at most 100 characters, for people.
    pub name: String,
    /// Whether the card says that it is the default.
    pub default: bool,
    /// Its splits, in the card's order.
    pub splits: Vec<ConfigSplit>,
}

/// A split of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSplit {
    /// Its name, such as `train`; none where the card only names a folder, whose files tell their splits by their paths.
    pub name: Option<String>,
    /// What chooses its files: `*` stands for anything within a folder, `**` across folders.
    pub patterns: Vec<String>,
}

/// The configurations of a card that name files. What has another form names none.
pub(crate) fn configs(card: &Value, settings: &Settings) -> Vec<Config> {
    let configs = card.get("configs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let configs = configs.iter().filter_map(|config| of_value(config, settings));
    configs.filter(|config| !config.splits.is_empty()).collect()
}

fn of_value(config: &Value, settings: &Settings) -> Option<Config> {
    let folder =
        config.get("data_dir").and_then(Value::as_str).map(plain).filter(|folder| !folder.is_empty());
    let within = |pattern: &str| match folder {
        Some(folder) => format!("{}/{}", folder.trim_end_matches('/'), plain(pattern)),
        None => plain(pattern).to_owned(),
    };
    let split = |name: Option<&str>, patterns: &Value| ConfigSplit {
        name: name.map(str::to_owned),
        patterns: strings(patterns).into_iter().map(within).collect(),
    };
    let splits = match config.get("data_files") {
        None | Some(Value::Null) if folder.is_some() => {
            vec![ConfigSplit { name: None, patterns: vec![within("**")] }]
        }
        // Files without the name of a split are `train`, says the Hub.
        Some(files) if !strings(files).is_empty() => vec![split(Some("train"), files)],
        Some(Value::Array(splits)) => splits
            .iter()
            .filter_map(|of| Some(split(Some(of.get("split")?.as_str()?), of.get("path")?)))
            .filter(|split| !split.patterns.is_empty())
            .collect(),
        _ => Vec::new(),
    };
    Some(Config {
        name: settings.shown(config.get("config_name")?.as_str()?).chars().take(NAME_CHARS_MAX).collect(),
        default: config.get("default").and_then(Value::as_bool).unwrap_or(false),
        splits,
    })
}

/// A string, or a list of nothing else.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().map(Value::as_str).collect::<Option<_>>().unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_forms_that_the_hub_describes_are_read_and_others_name_nothing() {
        let settings =
            Settings::from_env(&|name| (name == "HOME").then(|| "/".to_owned())).expect("defaults");
        let split = |name: Option<&str>, patterns: &[&str]| ConfigSplit {
            name: name.map(str::to_owned),
            patterns: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
        };
        let check = |config: Value, expected: &[ConfigSplit]| {
            let mut card = json!({"configs": [config]});
            card["configs"][0]["config_name"] = json!("c");
            let found: Vec<_> =
                configs(&card, &settings).into_iter().flat_map(|config| config.splits).collect();
            assert_eq!(found, expected, "{card}");
        };
        check(json!({"data_files": "a/*.csv"}), &[split(Some("train"), &["a/*.csv"])]);
        check(json!({"data_files": ["a.csv", "./b.csv"]}), &[split(Some("train"), &["a.csv", "b.csv"])]);
        check(
            json!({"data_files": [{"split": "train", "path": "t-*"}, {"split": "dev", "path": ["d", "e"]}]}),
            &[split(Some("train"), &["t-*"]), split(Some("dev"), &["d", "e"])],
        );
        check(json!({"data_dir": "en/"}), &[split(None, &["en/**"])]);
        check(json!({"data_dir": "en", "data_files": "t-*"}), &[split(Some("train"), &["en/t-*"])]);
        for odd in
            [json!({}), json!({"data_files": 1}), json!({"data_files": []}), json!({"data_files": [1, "a"]})]
        {
            check(odd, &[]);
        }
        for odd in [
            json!(null),
            json!([]),
            json!({"configs": {}}),
            json!({"configs": [1, null, {"data_files": "a"}]}),
        ] {
            assert_eq!(configs(&odd, &settings), [], "{odd}");
        }
    }
}
