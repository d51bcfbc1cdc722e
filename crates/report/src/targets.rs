//! The shares that categories and datasets are to have.

use std::collections::HashMap;

use mashbill_format::catalog::Curriculum;
use mashbill_format::manifest::category_of;

/// What shares are wanted of categories, and of the datasets in them.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    /// Percent by category.
    categories: HashMap<String, f64>,
    /// Category by dataset.
    datasets: HashMap<String, String>,
}

impl Targets {
    pub(crate) fn add(&mut self, category: &str, dataset: &str, percent: f64) {
        self.categories.insert(category.to_owned(), percent);
        self.datasets.insert(dataset.to_owned(), category.to_owned());
    }

    pub(crate) const fn categories(&self) -> &HashMap<String, f64> {
        &self.categories
    }

    /// A category's datasets are to have the same share each.
    pub(crate) fn datasets(&self) -> HashMap<String, f64> {
        let of_category =
            |category: &String| self.datasets.values().filter(|other| *other == category).count() as f64;
        let share =
            |category: &String| self.categories.get(category).map_or(0.0, |all| all / of_category(category));
        self.datasets.iter().map(|(name, category)| (name.clone(), share(category))).collect()
    }

    /// The curriculum's shares, where each of `datasets`, names and files, lies in one of its categories; else none.
    pub(crate) fn of_curriculum<'a>(
        curriculum: &Curriculum,
        datasets: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
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

    pub(crate) fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }
}
