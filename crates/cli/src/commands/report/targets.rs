//! The shares that categories and datasets are to have.

use std::collections::HashMap;

use mashbill_download::Catalog;
use mashbill_format::manifest::category_of;

/// What shares are wanted of categories, and of the datasets in them.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Percent by category.
    categories: HashMap<String, f64>,
    /// Category by dataset.
    datasets: HashMap<String, String>,
}

impl Targets {
    pub(super) fn add(&mut self, category: &str, dataset: &str, percent: f64) {
        self.categories.insert(category.to_owned(), percent);
        self.datasets.insert(dataset.to_owned(), category.to_owned());
    }

    pub(super) const fn categories(&self) -> &HashMap<String, f64> {
        &self.categories
    }

    /// A category's datasets are to have the same share each.
    pub(super) fn datasets(&self) -> HashMap<String, f64> {
        let of_category =
            |category: &String| self.datasets.values().filter(|other| *other == category).count() as f64;
        let share =
            |category: &String| self.categories.get(category).map_or(0.0, |all| all / of_category(category));
        self.datasets.iter().map(|(name, category)| (name.clone(), share(category))).collect()
    }

    /// The curriculum's shares, where each of `datasets`, names and files, lies in one of its categories; else none.
    pub(super) fn of_curriculum<'a>(datasets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let curriculum = Catalog::embedded().curriculum;
        let mut targets = Self::default();
        for (name, file) in datasets {
            let folder = category_of(file);
            match curriculum.category.iter().find(|category| Some(category.name.as_str()) == folder) {
                Some(category) => targets.add(&category.name, name, category.target_percent),
                None => return Self::default(),
            }
        }
        targets
    }

    pub(super) fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }
}
