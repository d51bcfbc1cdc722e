//! The data of a training run's page, from one pass over its `metrics.jsonl`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use mashbill_format::figures::count;
use mashbill_format::layout::Output;
use mashbill_format::manifest::Manifest;
use mashbill_format::training_run::{
    CONFIG, CONFIG_BYTES_MAX, METRICS, Measurement, MetricsRecord, StepMetrics, last_checkpoint, records,
};
use mashbill_store::open;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::curve::{Curve, Steps, rounded};
use crate::error::Result;
use crate::page::{Amount, amounts, beginning, html, title};
use crate::yaml;

/// Splits that have a curve of their own.
const CURVES_MAX: usize = 8;

/// Splits that are told apart.
const SPLITS_MAX: usize = 1000;

/// Measurements that are kept; of more, every second one goes.
const MEASUREMENTS_MAX: usize = 1000;

/// Bytes of the configuration that are shown.
const CONFIG_BYTES: usize = 40_000;

/// The curves of a step's record.
const LOSS: usize = 0;
const CROSS_ENTROPY: usize = 1;
const DIVERGENCE: usize = 2;
const LEARNING_RATE: usize = 3;
const GRADIENT_NORM: usize = 4;
const TOKENS_PER_SECOND: usize = 5;
const LOADER_WAIT: usize = 6;
const CURVES: usize = 7;

/// What the page of a run shows.
#[derive(Debug, Serialize)]
pub struct RunPage {
    kind: &'static str,
    title: String,
    subtitle: String,
    facts: Vec<(&'static str, serde_json::Value)>,
    /// What is not on the page, and why.
    notes: Vec<String>,
    /// The steps of the points of all curves but the measurements'.
    steps: Vec<u64>,
    losses: Vec<Curve>,
    learning_rate: Vec<Curve>,
    gradient_norm: Vec<Curve>,
    tokens_per_second: Vec<Curve>,
    /// In percent.
    loader_wait: Vec<Curve>,
    /// Steps of the measurements, and the loss by split.
    measured_at: Vec<u64>,
    validation: Vec<Curve>,
    /// The last measurement of every split: the loss, the least of all, and the step of that.
    measured: Vec<Measured>,
    /// Tokens seen by split, and the percent that the mix gives each.
    seen: Vec<Amount>,
    /// The percent of each split in the tokens of each point.
    seen_over_time: Vec<Curve>,
    /// The resolved configuration.
    config: String,
}

#[derive(Debug, Serialize)]
struct Measured {
    name: String,
    last: f64,
    best: f64,
    best_step: u64,
}

/// What is read of the resolved configuration.
#[derive(Debug, Default, Deserialize)]
struct Config {
    train_data_path: Option<PathBuf>,
    use_pretokenized_data: Option<bool>,
    pretokenized_splits: Option<Vec<String>>,
    #[serde(default)]
    model: Model,
    steps: Option<u64>,
    mix: Option<Vec<MixStage>>,
}

#[derive(Debug, Default, Deserialize)]
struct Model {
    start_from: Option<String>,
    llama: Option<serde_json::Value>,
}

/// Weights of splits or categories from a step on; with a ramp they change linearly to those of the next stage.
#[derive(Debug, Default, Deserialize)]
struct MixStage {
    #[serde(default)]
    from_step: u64,
    #[serde(default)]
    ramp: bool,
    weights: BTreeMap<String, f64>,
}

impl RunPage {
    /// The page as one file.
    #[must_use]
    pub fn html(&self) -> String {
        html(self)
    }
}

/// The page of a training run. Of a run that goes on it is that of the steps so far.
///
/// # Errors
/// [`crate::Error::File`] where its records cannot be read. What else is missing is the page's to say.
pub fn of_run(path: &Path) -> Result<RunPage> {
    Ok(page(path, read(path)?, &config_text(path)))
}

fn read(path: &Path) -> Result<RunSoFar> {
    let mut run = RunSoFar::default();
    records(path, |record| match record {
        Some(MetricsRecord::Step(step)) => run.step(step),
        Some(MetricsRecord::Measurement(measurement)) => run.measured.add(measurement),
        None => run.unreadable += 1,
    })?;
    run.end();
    Ok(run)
}

/// The text of `config.yaml`; nothing where it is not there, is larger than any configuration, or is no file.
fn config_text(path: &Path) -> String {
    open::read_text(&path.join(CONFIG), CONFIG_BYTES_MAX).unwrap_or_default()
}

/// What is known of a run so far.
#[derive(Debug, Default)]
struct RunSoFar {
    steps: Steps<CURVES>,
    last: Option<StepMetrics>,
    first_loss: Option<f64>,
    /// Lines that are no records.
    unreadable: u64,
    /// Steps whose loss is no number.
    lost: u64,
    /// Names by the order in which they were met.
    splits: Vec<String>,
    measured: Measurements,
}

impl RunSoFar {
    fn step(&mut self, step: StepMetrics) {
        let mut values = [None; CURVES];
        values[LOSS] = step.loss;
        values[CROSS_ENTROPY] = step.cross_entropy;
        values[DIVERGENCE] = step.divergence;
        values[LEARNING_RATE] = step.learning_rate;
        values[GRADIENT_NORM] = step.gradient_norm;
        values[TOKENS_PER_SECOND] = step.tokens_per_second;
        values[LOADER_WAIT] = step.loader_wait.map(|share| 100.0 * share);
        self.lost += u64::from(step.loss.is_none());
        self.first_loss = self.first_loss.or(step.loss);
        let splits = &mut self.splits;
        self.steps.add(step.step, values, || so_far(&step, splits));
        self.last = Some(step);
    }

    fn end(&mut self) {
        let so_far = self.last.as_ref().map_or_else(Vec::new, |last| so_far(last, &mut self.splits));
        self.steps.end(so_far);
    }
}

/// The tokens by split up to a step, in the order of `splits`, to which new ones are added; nothing where its record
/// does not say it.
fn so_far(step: &StepMetrics, splits: &mut Vec<String>) -> Vec<u64> {
    let tokens = step.tokens_by_split();
    if tokens.is_empty() {
        return Vec::new();
    }
    for name in tokens.keys() {
        if splits.len() < SPLITS_MAX && !splits.contains(name) {
            splits.push(name.clone());
        }
    }
    splits.iter().map(|name| tokens.get(name).copied().unwrap_or(0)).collect()
}

/// Losses on data that training does not see.
#[derive(Debug, Default)]
struct Measurements {
    /// One of so many is kept.
    step: u64,
    met: u64,
    at: Vec<u64>,
    losses: BTreeMap<String, Vec<Option<f64>>>,
    best: BTreeMap<String, Measured>,
}

impl Measurements {
    fn add(&mut self, Measurement { step, validation }: Measurement) {
        let losses: BTreeMap<String, f64> =
            validation.into_iter().filter_map(|(name, loss)| Some((name, loss?))).collect();
        for (name, &loss) in &losses {
            if self.best.len() >= SPLITS_MAX && !self.best.contains_key(name) {
                continue;
            }
            let best = self.best.entry(name.clone()).or_insert_with(|| Measured {
                name: name.clone(),
                last: loss,
                best: loss,
                best_step: step,
            });
            best.last = loss;
            if loss < best.best {
                (best.best, best.best_step) = (loss, step);
            }
        }
        self.step = self.step.max(1);
        self.met += 1;
        if !(self.met - 1).is_multiple_of(self.step) {
            return;
        }
        let before = self.at.len();
        self.at.push(step);
        for (name, loss) in losses {
            if self.losses.len() < CURVES_MAX || self.losses.contains_key(&name) {
                let curve = self.losses.entry(name).or_default();
                curve.resize(before, None);
                curve.push(Some(rounded(loss)));
            }
        }
        if self.at.len() == MEASUREMENTS_MAX {
            self.step *= 2;
            every_second(&mut self.at);
            self.losses.values_mut().for_each(every_second);
        }
    }

    fn curves(&self) -> Vec<Curve> {
        let whole = |curve: &Vec<Option<f64>>| {
            let mut mean = curve.clone();
            mean.resize(self.at.len(), None);
            mean
        };
        let curve = |(name, curve): (&String, &Vec<Option<f64>>)| Curve {
            name: beginning(name, 60),
            mean: whole(curve),
            least: Vec::new(),
            most: Vec::new(),
        };
        self.losses.iter().map(curve).collect()
    }
}

fn every_second<T>(list: &mut Vec<T>) {
    let mut at = 0;
    list.retain(|_| {
        at += 1;
        at % 2 == 1
    });
}

fn page(path: &Path, run: RunSoFar, config_text: &str) -> RunPage {
    let config = yaml::parse(config_text).and_then(|config| serde_json::from_value::<Config>(config).ok());
    let mut notes = Vec::new();
    if config.is_none() {
        notes
            .push("config.yaml is not there, or is not that of a run: the intended mix is not known.".into());
    }
    let is_configured = config.is_some();
    let config = config.unwrap_or_default();
    if run.unreadable > 0 {
        notes.push(format!("Lines of {METRICS} that are not records: {}.", count(run.unreadable)));
    }
    let done = run.last.as_ref().map_or(0, |last| last.step + 1);
    let of_last = |last| so_far(last, &mut run.splits.clone());
    let tokens: Vec<u64> = run.last.as_ref().map_or_else(Vec::new, of_last);
    if run.last.is_some() && tokens.is_empty() {
        notes.push(
            "The run was made before tokens were counted by split: what it saw of each is not known.".into(),
        );
    }
    let targets = mix_targets(path, &config, done);
    if !tokens.is_empty() && targets.is_empty() && is_configured {
        notes.push(
            "The training data is not where config.yaml says: the mix is shown without targets.".into(),
        );
    }
    let curves = |indices: &[(usize, &str)]| -> Vec<Curve> {
        indices.iter().filter_map(|&(index, name)| run.steps.curve(index, name)).collect()
    };
    let mut losses = curves(&[(LOSS, "loss")]);
    losses.extend(curves(&[(CROSS_ENTROPY, "cross-entropy"), (DIVERGENCE, "divergence from the teacher")]));
    let seen = run.splits.iter().cloned().zip(tokens.iter().copied());
    RunPage {
        kind: "run",
        title: title(path),
        subtitle: subtitle(&config),
        facts: facts(path, &run, &config, done),
        notes,
        steps: run.steps.at(),
        losses,
        learning_rate: curves(&[(LEARNING_RATE, "learning rate")]),
        gradient_norm: curves(&[(GRADIENT_NORM, "gradient norm")]),
        tokens_per_second: curves(&[(TOKENS_PER_SECOND, "tokens/s")]),
        loader_wait: curves(&[(LOADER_WAIT, "waiting for data, %")]),
        measured_at: run.measured.at.clone(),
        validation: run.measured.curves(),
        seen: amounts(seen, &targets),
        seen_over_time: over_time(&run, &tokens),
        measured: {
            let mut all: Vec<Measured> = run.measured.best.into_values().collect();
            all.truncate(60);
            all
        },
        config: beginning(config_text, CONFIG_BYTES),
    }
}

/// Each split's percent of the tokens of each point; of many splits the ones with most tokens.
fn over_time(run: &RunSoFar, tokens: &[u64]) -> Vec<Curve> {
    let mut largest: Vec<usize> = (0..tokens.len()).collect();
    largest.sort_by_key(|&index| std::cmp::Reverse(tokens[index]));
    let counted: Vec<Vec<Option<u64>>> = (0..tokens.len()).map(|index| run.steps.counted(index)).collect();
    let points = counted.first().map_or(0, Vec::len);
    let all: Vec<u64> =
        (0..points).map(|point| counted.iter().filter_map(|counts| counts[point]).sum()).collect();
    let share = |(&count, &all): (&Option<u64>, &u64)| {
        count.filter(|_| all > 0).map(|count| rounded(100.0 * count as f64 / all as f64))
    };
    let curve = |&index: &usize| Curve {
        name: beginning(&run.splits[index], 60),
        mean: counted[index].iter().zip(&all).map(share).collect(),
        least: Vec::new(),
        most: Vec::new(),
    };
    largest.iter().take(CURVES_MAX).map(curve).collect()
}

fn subtitle(config: &Config) -> String {
    let model = match (&config.model.start_from, &config.model.llama) {
        (Some(name), _) => format!("from {name}"),
        (None, Some(_)) => "a Llama from scratch".to_owned(),
        (None, None) => "a training run".to_owned(),
    };
    match &config.train_data_path {
        Some(data) => format!("{model}, on {}", data.display()),
        None => model,
    }
}

fn facts(path: &Path, run: &RunSoFar, config: &Config, done: u64) -> Vec<(&'static str, serde_json::Value)> {
    let steps = match config.steps {
        Some(all) if all != done => format!("{} of {}", count(done), count(all)),
        _ => count(done),
    };
    let number = |value: Option<f64>, digits: usize| value.map(|value| json!(format!("{value:.digits$}")));
    let last = run.last.as_ref();
    let best = run.measured.best.values().map(|measured| measured.last).collect::<Vec<_>>();
    let mean = (!best.is_empty()).then(|| best.iter().sum::<f64>() / best.len() as f64);
    let mut facts = vec![("Steps", Some(json!(steps)))];
    facts.push(("Tokens seen", last.and_then(|last| last.tokens).map(|tokens| json!(tokens))));
    facts.push(("First loss", number(run.first_loss, 4)));
    facts.push(("Last loss", number(last.and_then(|last| last.loss), 4)));
    facts.push(("Validation loss, mean of splits", number(mean, 4)));
    facts
        .push(("Tokens/s, mean", run.steps.mean(TOKENS_PER_SECOND).map(|speed| json!(speed.round() as u64))));
    let wait = run.steps.mean(LOADER_WAIT);
    facts.push(("Waiting for data", wait.map(|percent| json!(format!("{percent:.2} %")))));
    facts.push(("Steps without a finite loss", (run.lost > 0).then(|| json!(run.lost))));
    facts.push((
        "Last checkpoint",
        last_checkpoint(path).map(|(step, _)| json!(format!("step {}", count(step)))),
    ));
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The percent of the tokens that each split is to have after `done` steps: by the mix, else by its rows; nothing
/// where the data is not at hand.
fn mix_targets(path: &Path, config: &Config, done: u64) -> HashMap<String, f64> {
    let Some(manifest) = data_of(path, config) else { return HashMap::new() };
    let splits: Vec<(&str, Option<&str>, f64)> = manifest
        .splits
        .iter()
        .filter(|(name, _)| config.pretokenized_splits.as_ref().is_none_or(|chosen| chosen.contains(name)))
        .map(|(name, split)| {
            let category = split.source.category();
            (name.as_str(), category, split.sequences as f64)
        })
        .collect();
    let shares = config.mix.as_ref().map_or_else(BTreeMap::new, |stages| shares_of(stages, done));
    let rows: f64 = splits.iter().map(|(_, _, rows)| rows).sum();
    let share = |&(name, category, of_split): &(&str, Option<&str>, f64)| {
        if shares.is_empty() {
            return of_split / rows.max(1.0);
        }
        // A category's rows are those of all its splits.
        let of_category: f64 =
            splits.iter().filter(|(_, other, _)| *other == category).map(|(_, _, rows)| rows).sum();
        let by_category = category.and_then(|category| shares.get(category)).copied().unwrap_or(0.0);
        shares.get(name).copied().unwrap_or(0.0) + by_category * of_split / of_category.max(1.0)
    };
    splits.iter().map(|split| (split.0.to_owned(), (1000.0 * share(split)).round() / 10.0)).collect()
}

/// The manifest of the data that was trained on, where it is at hand.
fn data_of(path: &Path, config: &Config) -> Option<Manifest> {
    let data = config.train_data_path.clone()?;
    let folder = if config.use_pretokenized_data == Some(false) {
        path.join("tokenized").join(data.file_name()?)
    } else {
        data
    };
    Manifest::read(&Output::new(&folder).manifest()).ok().flatten()
}

/// The mean share of each source over the first `done` steps of the stages of a mix.
fn shares_of(stages: &[MixStage], done: u64) -> BTreeMap<String, f64> {
    let weights = |stage: &MixStage| -> BTreeMap<String, f64> {
        let sum: f64 = stage.weights.values().sum();
        stage
            .weights
            .iter()
            .map(|(name, weight)| (name.clone(), weight / sum.max(f64::MIN_POSITIVE)))
            .collect()
    };
    let done = done as f64;
    let mut shares: BTreeMap<String, f64> = BTreeMap::new();
    for (index, stage) in stages.iter().enumerate() {
        let (begin, next) = (stage.from_step as f64, stages.get(index + 1));
        let end = next.map_or(f64::INFINITY, |next| next.from_step as f64);
        let steps = end.min(done) - begin;
        if steps <= 0.0 {
            continue;
        }
        // The mean of what changes linearly is its value in the middle.
        let towards = match next {
            Some(next) if stage.ramp => Some((weights(next), steps / (end - begin) / 2.0)),
            _ => None,
        };
        let turned = towards.as_ref().map_or(0.0, |(_, part)| *part);
        for (name, weight) in weights(stage) {
            *shares.entry(name).or_default() += weight * (1.0 - turned) * steps / done;
        }
        for (name, weight) in towards.into_iter().flat_map(|(weights, _)| weights) {
            *shares.entry(name).or_default() += weight * turned * steps / done;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use mashbill_store::atomic;

    use super::*;

    #[test]
    fn a_mix_is_averaged_over_its_stages() {
        let text = "
- {from_step: 0, weights: {a: 1, b: 3}}
- {from_step: 100, ramp: true, weights: {a: 1}}
- {from_step: 200, weights: {c: 0.5}}
";
        let stages: Vec<MixStage> =
            serde_json::from_value(yaml::parse(text).expect("YAML")).expect("a list of stages");
        let shares = shares_of(&stages, 50);
        assert_eq!((shares["a"], shares["b"]), (0.25, 0.75));
        // A hundred steps of a quarter, a hundred from one to nothing, a hundred without.
        let shares = shares_of(&stages, 300);
        assert!((shares["a"] - (25.0 + 50.0) / 300.0).abs() < 1e-9, "{shares:?}");
        assert!((shares["c"] - 150.0 / 300.0).abs() < 1e-9, "{shares:?}");
        assert!((shares.values().sum::<f64>() - 1.0).abs() < 1e-9);
        // In the middle of a ramp.
        let shares = shares_of(&stages, 150);
        assert!((shares["a"] - (25.0 + 50.0 * 0.75) / 150.0).abs() < 1e-9, "{shares:?}");
    }

    #[test]
    fn a_loss_that_is_no_number_is_a_step_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let lines = "\
{\"step\": 0, \"loss\": 2.0, \"tokens_by_split\": {\"a\": 3, \"b\": 1}}
{\"step\": 1, \"loss\": NaN, \"gradient_norm\": Infinity, \"tokens_by_split\": {\"a\": 6, \"b\": 2}}
{\"step\": 1, \"validation\": {\"a\": 1.5, \"b\": NaN}}
{\"step\": 2, \"lo";
        let (metrics, temporary) = (folder.path().join(METRICS), folder.path().join("temporary"));
        atomic::replace(&metrics, &temporary, lines.as_bytes()).expect("a file");
        let run = read(folder.path()).expect("it is there");
        assert_eq!((run.steps.at(), run.lost, run.unreadable), (vec![0, 1], 1, 1));
        assert_eq!(run.steps.counted(0), vec![Some(3), Some(3)]);
        assert_eq!(run.measured.curves().len(), 1);
    }

    #[test]
    fn of_many_measurements_every_second_one_stays() {
        let mut measured = Measurements::default();
        for step in 0..5000 {
            let late = (step > 3000).then(|| ("late".to_owned(), Some(1.0)));
            let losses = [("a".to_owned(), Some(5000.0 - step as f64))].into_iter().chain(late);
            measured.add(Measurement { step, validation: losses.collect() });
        }
        assert!(measured.at.len() < MEASUREMENTS_MAX && measured.at.len() >= MEASUREMENTS_MAX / 2 - 1);
        let curves = measured.curves();
        assert!(curves.iter().all(|curve| curve.mean.len() == measured.at.len()));
        assert_eq!((measured.best["a"].best_step, measured.best["a"].last), (4999, 1.0));
    }
}
