//! The catalogue that is built in, what users add to it, and who of it is taken.
//!
//! The files of `catalog/` are part of the program, so that it needs none beside it. A license
//! that is not open is nobody's default: such a dataset is taken when somebody names it, in a file of their own too, or
//! its license, and is listed as left out otherwise.

use std::path::Path;

use mashbill_format::catalog::{
    CatalogDataset, Category, Curriculum, LicenseKind, closest, parse_curriculum, parse_dataset, parse_own,
};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::glob::matches;

const CURRICULUM: &str = include_str!("../../../catalog/curriculum.toml");

/// The files of `catalog/`, in the order in which datasets are listed.
const DATASETS: [&str; 25] = [
    include_str!("../../../catalog/instruction_chat/openhermes.toml"),
    include_str!("../../../catalog/instruction_chat/ultrachat.toml"),
    include_str!("../../../catalog/instruction_chat/openorca.toml"),
    include_str!("../../../catalog/instruction_chat/sharegpt.toml"),
    include_str!("../../../catalog/instruction_chat/tulu3.toml"),
    include_str!("../../../catalog/instruction_chat/dolci_instruct.toml"),
    include_str!("../../../catalog/instruction_chat/smoltalk.toml"),
    include_str!("../../../catalog/code/starcoder.toml"),
    include_str!("../../../catalog/code/the_stack.toml"),
    include_str!("../../../catalog/code/codealpaca.toml"),
    include_str!("../../../catalog/code/apps.toml"),
    include_str!("../../../catalog/code/opc_sft_stage2.toml"),
    include_str!("../../../catalog/code/the_stack_v2.toml"),
    include_str!("../../../catalog/code/stack_edu.toml"),
    include_str!("../../../catalog/math_reasoning/numina_cot.toml"),
    include_str!("../../../catalog/math_reasoning/gsm8k.toml"),
    include_str!("../../../catalog/math_reasoning/metamath.toml"),
    include_str!("../../../catalog/math_reasoning/mathinstruct.toml"),
    include_str!("../../../catalog/math_reasoning/openmathreasoning.toml"),
    include_str!("../../../catalog/math_reasoning/finemath.toml"),
    include_str!("../../../catalog/math_reasoning/openthoughts3.toml"),
    include_str!("../../../catalog/factual_qa/natural_questions.toml"),
    include_str!("../../../catalog/factual_qa/hotpotqa.toml"),
    include_str!("../../../catalog/factual_qa/squad.toml"),
    include_str!("../../../catalog/factual_qa/triviaqa.toml"),
];

/// Categories and datasets.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The categories, in order.
    pub curriculum: Curriculum,
    /// The datasets, in order.
    pub datasets: Vec<CatalogDataset>,
}

/// What of a catalogue is asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only these categories; all where there are none.
    pub categories: Vec<String>,
    /// Only these datasets, by name or repository; those that are on where there are none.
    pub datasets: Vec<String>,
    /// Only these licenses, by id or kind; open ones and ones with accepted terms where there are none.
    pub licenses: Vec<String>,
}

/// What of a catalogue is taken.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The datasets, in the catalogue's order.
    pub datasets: Vec<CatalogDataset>,
    /// Datasets that are on, but left out for their license.
    pub left_out: Vec<LeftOut>,
    /// Licenses that were asked for and that no dataset has.
    pub unknown_licenses: Vec<String>,
}

/// A dataset that is left out for its license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The dataset.
    pub dataset: String,
    /// Its license's id.
    pub license: String,
    /// Its license's kind.
    pub license_kind: LicenseKind,
}

impl Catalog {
    /// The catalogue that is built in.
    #[must_use]
    pub fn embedded() -> Self {
        let curriculum = parse_curriculum(CURRICULUM).expect("a test parses it");
        let datasets = DATASETS.iter().map(|text| parse_dataset(text).expect("a test parses it"));
        Self { curriculum, datasets: datasets.collect() }
    }

    /// Adds the datasets of a user's file, whose text this is.
    ///
    /// # Errors
    /// [`Error::Catalog`], [`Error::DatasetTwice`], [`Error::UnknownCategory`].
    pub fn add(&mut self, path: &Path, text: &str) -> Result<()> {
        let own = parse_own(text).map_err(|mistake| Error::Catalog { path: path.to_owned(), mistake })?;
        for dataset in own {
            self.category(&dataset.category)?;
            if self.datasets.iter().any(|known| known.name == dataset.name) {
                return Err(Error::DatasetTwice { path: path.to_owned(), name: dataset.name });
            }
            self.datasets.push(dataset);
        }
        Ok(())
    }

    /// A category by its name.
    ///
    /// # Errors
    /// [`Error::UnknownCategory`].
    pub fn category(&self, name: &str) -> Result<&Category> {
        let categories = &self.curriculum.category;
        categories.iter().find(|category| category.name == name).ok_or_else(|| {
            let names = categories.iter().map(|category| category.name.as_str());
            Error::UnknownCategory { name: name.into(), suggestion: closest(name, names).map(str::to_owned) }
        })
    }

    /// What is taken where this is asked for. A repository that is not in the catalogue is added to it.
    ///
    /// # Errors
    /// [`Error::UnknownDataset`], [`Error::UnknownCategory`], [`Error::Refused`].
    pub fn select(&mut self, selection: &Selection) -> Result<Selected> {
        for category in &selection.categories {
            self.category(category)?;
        }
        let mut named = Vec::new();
        for name in &selection.datasets {
            named.push(self.find(name)?);
        }
        // Who asks for a dataset by name wants to be told of it, too.
        self.datasets.iter_mut().for_each(|dataset| dataset.on |= named.contains(&dataset.name));
        let mut left_out = Vec::new();
        let mut datasets = Vec::new();
        for (index, dataset) in self.datasets.iter().enumerate() {
            // Behind those that are built in stand a user's own, who has chosen them.
            let is_own = index >= DATASETS.len() && selection.licenses.is_empty();
            let is_named = named.contains(&dataset.name);
            let in_category =
                selection.categories.is_empty() || selection.categories.contains(&dataset.category);
            let asked_for =
                if named.is_empty() { dataset.on && in_category } else { is_named && in_category };
            if !asked_for || (dataset.refused.is_some() && !is_named) {
                continue;
            }
            if let Some(why) = &dataset.refused {
                return Err(Error::Refused { name: dataset.name.clone(), why: why.clone() });
            }
            if is_named || is_own || is_allowed(dataset, &selection.licenses) {
                datasets.push(dataset.clone());
            } else {
                left_out.push(LeftOut {
                    dataset: dataset.name.clone(),
                    license: dataset.license.label().to_owned(),
                    license_kind: dataset.license.kind,
                });
            }
        }
        let is_known = |license: &&String| {
            LicenseKind::ALL.iter().any(|kind| kind.name() == license.as_str())
                || self.datasets.iter().any(|dataset| has_license(dataset, license))
        };
        let unknown = selection.licenses.iter().filter(|license| !is_known(license));
        Ok(Selected { datasets, left_out, unknown_licenses: unknown.cloned().collect() })
    }

    /// The name of the dataset that is called `name`, or whose repository that is.
    fn find(&mut self, name: &str) -> Result<String> {
        if self.datasets.iter().any(|dataset| dataset.name == name) {
            return Ok(name.to_owned());
        }
        if let Some(known) = self.datasets.iter().find(|dataset| dataset.repo.eq_ignore_ascii_case(name)) {
            return Ok(known.name.clone());
        }
        let unknown = || {
            let names = self.datasets.iter().map(|dataset| dataset.name.as_str());
            let suggestion = closest(name, names).map(str::to_owned);
            Error::UnknownDataset { name: name.to_owned(), suggestion }
        };
        if name.split('/').filter(|part| !part.is_empty()).count() != 2 || name.contains(['"', '\\', '\n']) {
            return Err(unknown());
        }
        let line = format!("[[dataset]]\nrepo = \"{name}\"\n");
        let [dataset] = parse_own(&line).map_err(|_| unknown())?.try_into().expect("one is spelled above");
        let name = dataset.name.clone();
        self.datasets.push(dataset);
        Ok(name)
    }
}

/// Whether a file with this path in its repository is one of those that the dataset names.
#[must_use]
pub fn takes(dataset: &CatalogDataset, path: &str) -> bool {
    dataset.files.iter().any(|glob| matches(glob, path))
}

fn is_allowed(dataset: &CatalogDataset, licenses: &[String]) -> bool {
    let license = &dataset.license;
    if licenses.is_empty() {
        return matches!(license.kind, LicenseKind::Open | LicenseKind::Terms);
    }
    licenses.iter().any(|allowed| allowed == license.kind.name() || has_license(dataset, allowed))
}

fn has_license(dataset: &CatalogDataset, id: &str) -> bool {
    dataset.license.id.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mashbill_format::catalog::Render;

    use super::*;

    #[test]
    fn every_file_of_the_catalog_is_built_in_and_in_its_place() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog");
        let catalog = Catalog::embedded();
        let mut files = 0;
        for category in &catalog.curriculum.category {
            for entry in fs::read_dir(folder.join(&category.name)).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
                let found = catalog.datasets.iter().find(|dataset| dataset.name == name);
                assert_eq!(
                    found.map(|dataset| &dataset.category),
                    Some(&category.name),
                    "{}",
                    path.display()
                );
                files += 1;
            }
        }
        assert_eq!(files, catalog.datasets.len());
        let total: f64 = catalog.curriculum.category.iter().map(|category| category.target_percent).sum();
        assert!((total - 100.0).abs() < 1e-9);
    }

    #[test]
    fn the_guides_datasets_are_on_and_others_are_off() {
        let on: Vec<String> =
            Catalog::embedded().datasets.into_iter().filter(|dataset| dataset.on).map(|d| d.name).collect();
        let guide = "openhermes ultrachat openorca sharegpt starcoder the_stack codealpaca apps numina_cot gsm8k \
                     metamath mathinstruct natural_questions hotpotqa squad triviaqa";
        assert_eq!(on, guide.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn every_dataset_says_how_it_is_rendered_and_which_files_it_is() {
        for dataset in Catalog::embedded().datasets {
            if dataset.refused.is_none() {
                assert!(dataset.render != Render::Auto && !dataset.files.is_empty(), "{}", dataset.name);
                let tests =
                    dataset.files.iter().filter(|glob| glob.contains("test") || glob.contains("valid"));
                assert_eq!(tests.count(), 0, "{} takes what models are measured by", dataset.name);
            }
        }
    }

    fn names(selection: &Selection) -> Result<(Vec<String>, Vec<String>)> {
        let selected = Catalog::embedded().select(selection)?;
        let taken = selected.datasets.into_iter().map(|dataset| dataset.name).collect();
        Ok((taken, selected.left_out.into_iter().map(|left| left.dataset).collect()))
    }

    fn strings(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn licenses_that_are_not_open_have_to_be_asked_for() {
        let check = |categories: &str, datasets: &str, licenses: &str, taken: &str, left_out: &str| {
            let [categories, datasets, licenses] = [categories, datasets, licenses].map(strings);
            let selection = Selection { categories, datasets, licenses };
            assert_eq!(names(&selection).expect("known names"), (strings(taken), strings(left_out)));
        };
        check("code", "", "", "starcoder the_stack apps", "codealpaca");
        check("code", "codealpaca", "", "codealpaca", "");
        check("", "triviaqa squad", "", "squad triviaqa", "");
        check("factual_qa", "", "unknown", "triviaqa", "natural_questions hotpotqa squad");
        check("factual_qa", "", "CC-BY-SA-4.0", "hotpotqa squad", "natural_questions triviaqa");
        check("custom", "", "", "", "");
    }

    #[test]
    fn a_typo_says_what_was_meant_and_a_set_without_contents_why_not() {
        let fails = |categories: &str, datasets: &str| {
            let selection = Selection {
                categories: strings(categories),
                datasets: strings(datasets),
                ..Selection::default()
            };
            names(&selection).expect_err("refused").to_string()
        };
        assert_eq!(fails("", "openhermess"), "there is no dataset `openhermess`; did you mean `openhermes`?");
        assert_eq!(
            fails("maths_reasoning", ""),
            "there is no category `maths_reasoning`; did you mean `math_reasoning`?"
        );
        assert_eq!(fails("", "zzz"), "there is no dataset `zzz`");
        assert!(
            fails("", "bigcode/the-stack-v2")
                .starts_with("`the_stack_v2` cannot be taken: it has no contents")
        );
        assert!(fails("", "stack_edu").contains("no contents"));
    }

    #[test]
    fn any_repository_can_be_named() {
        let selection = Selection { datasets: strings("org/new OpenAI/gsm8k"), ..Selection::default() };
        assert_eq!(names(&selection).expect("known").0, ["gsm8k", "org__new"]);
    }

    #[test]
    fn a_users_own_datasets_are_taken_whatever_their_license() {
        let mut catalog = Catalog::embedded();
        catalog.add(Path::new("own.toml"), "[[dataset]]\nrepo = \"a/b\"\n").expect("new");
        let taken = |licenses: &str| {
            let selection = Selection {
                categories: strings("custom"),
                licenses: strings(licenses),
                ..Selection::default()
            };
            catalog.clone().select(&selection).expect("known").datasets.len()
        };
        assert_eq!((taken(""), taken("open"), taken("unknown")), (1, 0, 1));
    }

    #[test]
    fn own_datasets_stand_beside_the_catalogs() {
        let mut catalog = Catalog::embedded();
        let path = Path::new("own.toml");
        catalog
            .add(path, "[[dataset]]\nname = \"mine\"\nrepo = \"a/b\"\ncategory = \"code\"\n")
            .expect("new");
        assert!(matches!(
            catalog.add(path, "[[dataset]]\nname = \"gsm8k\"\nrepo = \"a/b\"\n"),
            Err(Error::DatasetTwice { .. })
        ));
        assert!(matches!(
            catalog.add(path, "[[dataset]]\nrepo = \"a/b\"\ncategory = \"cod\"\n"),
            Err(Error::UnknownCategory { suggestion: Some(_), .. })
        ));
        assert!(matches!(catalog.add(path, "[[datasets]]\n"), Err(Error::Catalog { .. })));
    }
}
