//! How much of each dataset to take, so that the categories have their shares.
//!
//! The total is as large as the budget and the scarcest category allow: shares that are met with
//! less are worth more than a budget that is used up, and who wants more is told which category
//! binds. Within a category every dataset gives the same amount as far as it has it, so that a
//! terabyte of one source does not drown the others. What is there already stays and counts.
//! Amounts are tokens; the arithmetic is in whole numbers but for the shares, and depends on
//! nothing but its input.

/// A category with its sources.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetCategory {
    /// The category's name.
    pub name: String,
    /// Its share before those of empty categories are dealt out again, 0 or more.
    pub target: f64,
    /// Tokens of files that are there and nobody takes more of: a user's own.
    pub own: u64,
    /// What can be taken.
    pub sources: Vec<BudgetDataset>,
}

/// A dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetDataset {
    /// Tokens that are there.
    pub have: u64,
    /// Tokens that can be had in all.
    pub available: u64,
}

/// How much of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// Tokens of each source of each group, what is there included.
    pub takes: Vec<Vec<u64>>,
    /// The group that keeps the total below the budget.
    pub binding: Option<usize>,
    /// Groups with a target but without data, whose shares the others have.
    pub empty: Vec<usize>,
}

impl BudgetCategory {
    fn have(&self) -> u64 {
        self.sources.iter().map(|source| source.have).fold(0, u64::saturating_add)
    }

    fn ceiling(&self) -> u64 {
        self.sources.iter().map(|source| source.available.max(source.have)).fold(0, u64::saturating_add)
    }
}

/// Solves for `budget` tokens.
#[must_use]
pub fn solve(groups: &[BudgetCategory], budget: u64) -> Solution {
    let indices = || 0..groups.len();
    let empty = indices().filter(|&g| groups[g].target > 0.0 && groups[g].ceiling() + groups[g].own == 0);
    let shared: Vec<usize> =
        indices().filter(|&g| groups[g].target > 0.0 && groups[g].ceiling() > 0).collect();
    // A user's own files are what they are, and so is what has no target: they count, and the others share
    // what they leave.
    let unshared = indices().filter(|g| !shared.contains(g)).map(|g| groups[g].have());
    let own = groups.iter().map(|group| group.own).sum::<u64>() + unshared.sum::<u64>();
    let all: f64 = shared.iter().map(|&g| groups[g].target).sum();
    let share = |g: usize| groups[g].target / all;
    let amount =
        |g: usize, total: f64| (((share(g) * total) as u64).max(groups[g].have())).min(groups[g].ceiling());
    let limit = |g: usize| groups[g].ceiling() as f64 / share(g);
    let scarcest = shared.iter().copied().min_by(|&a, &b| limit(a).total_cmp(&limit(b)));
    let room = budget.saturating_sub(own);
    let (mut low, mut high) = (0.0, scarcest.map_or(0.0, limit));
    let sum = |total: f64| shared.iter().map(|&g| u128::from(amount(g, total))).sum::<u128>();
    let binds = sum(high) < u128::from(room);
    if sum(high) > u128::from(room) {
        // Sixty-four halvings of a number below 2^64 leave less than a token.
        for _ in 0..64 {
            let middle = low + (high - low) / 2.0;
            if sum(middle) <= u128::from(room) { low = middle } else { high = middle }
        }
        high = low;
    }
    let takes = indices().map(|g| {
        let wanted = if shared.contains(&g) { amount(g, high) } else { groups[g].have() };
        level(&groups[g].sources, wanted)
    });
    Solution { takes: takes.collect(), binding: scarcest.filter(|_| binds), empty: empty.collect() }
}

/// Takes `wanted` from the sources, the same from each as far as it has it, and at least what is there.
fn level(sources: &[BudgetDataset], wanted: u64) -> Vec<u64> {
    let ceiling = |source: &BudgetDataset| source.available.max(source.have);
    let at = |level: u64| sources.iter().map(move |source| level.clamp(source.have, ceiling(source)));
    let (mut low, mut high) = (0, wanted);
    while low < high {
        let middle = high - (high - low) / 2;
        if at(middle).map(u128::from).sum::<u128>() <= u128::from(wanted) {
            low = middle
        } else {
            high = middle - 1
        }
    }
    let mut takes: Vec<u64> = at(low).collect();
    let mut left = wanted.saturating_sub(takes.iter().sum());
    for (take, source) in takes.iter_mut().zip(sources) {
        // What a whole level more would overshoot goes one by one to the first that stand at the level.
        let more = u64::from(left > 0 && *take == low && *take < ceiling(source));
        *take += more;
        left -= more;
    }
    takes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(target: f64, sources: &[(u64, u64)]) -> BudgetCategory {
        let sources = sources.iter().map(|&(have, available)| BudgetDataset { have, available }).collect();
        BudgetCategory { name: String::new(), target, own: 0, sources }
    }

    #[test]
    fn shares_are_met_and_small_sources_are_taken_whole() {
        let groups = [group(60.0, &[(0, 10), (0, 1_000_000)]), group(40.0, &[(0, 1_000_000)])];
        let solution = solve(&groups, 1000);
        assert_eq!(solution.takes, [vec![10, 590], vec![400]]);
        assert_eq!((solution.binding, solution.empty), (None, vec![]));
    }

    #[test]
    fn the_scarcest_category_binds() {
        let groups = [group(90.0, &[(0, 1_000_000)]), group(10.0, &[(0, 50)])];
        let solution = solve(&groups, 100_000);
        assert_eq!((solution.takes, solution.binding), (vec![vec![450], vec![50]], Some(1)));
    }

    #[test]
    fn the_share_of_an_empty_category_goes_to_the_others() {
        let groups = [group(35.0, &[(0, 9999)]), group(35.0, &[(0, 9999)]), group(30.0, &[])];
        let solution = solve(&groups, 1000);
        assert_eq!((solution.takes, solution.empty), (vec![vec![500], vec![500], vec![]], vec![2]));
    }

    #[test]
    fn what_is_there_stays_and_counts() {
        let groups = [group(50.0, &[(800, 1000)]), group(50.0, &[(0, 1000)])];
        assert_eq!(solve(&groups, 1000).takes, [vec![800], vec![200]]);
        assert_eq!(solve(&groups, 100).takes, [vec![800], vec![0]]);
        let mut own = groups.to_vec();
        own.push(BudgetCategory { own: 100, ..group(10.0, &[]) });
        assert_eq!(solve(&own, 1000).takes, [vec![800], vec![100], vec![]]);
    }

    #[test]
    fn what_is_left_over_goes_to_those_that_give_least() {
        let groups = [group(100.0, &[(7, 50), (0, 50), (0, 50)])];
        assert_eq!(solve(&groups, 10).takes, [vec![7, 2, 1]]);
    }

    fn any_groups() -> impl Strategy<Value = Vec<BudgetCategory>> {
        let source = (0..3_u64, 0..1000_u64, 0..5_000_000_u64).prop_map(|(some, have, available)| {
            BudgetDataset { have: if some == 0 { have } else { 0 }, available }
        });
        let group = (0..50_u32, prop::collection::vec(source, 0..5)).prop_map(|(target, sources)| {
            BudgetCategory { name: String::new(), target: target.into(), own: 0, sources }
        });
        prop::collection::vec(group, 1..6)
    }

    fn total(solution: &Solution) -> u64 {
        solution.takes.iter().flatten().sum()
    }

    proptest! {
        #[test]
        fn nothing_is_lost_invented_or_over_budget(groups in any_groups(), budget in 0..10_000_000_u64) {
            let solution = solve(&groups, budget);
            let have: u64 = groups.iter().map(BudgetCategory::have).sum();
            prop_assert!(total(&solution) <= budget.max(have));
            for (group, takes) in groups.iter().zip(&solution.takes) {
                for (source, &take) in group.sources.iter().zip(takes) {
                    prop_assert!(take >= source.have && take <= source.available.max(source.have));
                }
            }
            prop_assert_eq!(solve(&groups, budget), solution);
        }

        #[test]
        fn shares_are_met_to_a_token_where_nothing_is_there(groups in any_groups(), budget in 0..10_000_000_u64) {
            let mut groups = groups;
            groups.iter_mut().flat_map(|group| &mut group.sources).for_each(|source| source.have = 0);
            let solution = solve(&groups, budget);
            let shared = |group: &BudgetCategory| group.target > 0.0 && group.ceiling() > 0;
            let all: f64 = groups.iter().filter(|group| shared(group)).map(|group| group.target).sum();
            let total = total(&solution) as f64;
            for (group, takes) in groups.iter().zip(&solution.takes) {
                let wanted = if shared(group) { total * group.target / all } else { 0.0 };
                let taken: u64 = takes.iter().sum();
                // Each group is rounded down by less than a token, and so is the total by their number.
                prop_assert!((taken as f64 - wanted).abs() < 7.0, "{taken} {wanted}");
            }
        }

        #[test]
        fn more_budget_takes_no_less_of_anything(groups in any_groups(), budget in 0..5_000_000_u64, more in 0..5_000_000_u64) {
            let (small, large) = (solve(&groups, budget), solve(&groups, budget + more));
            for (small, large) in small.takes.iter().flatten().zip(large.takes.iter().flatten()) {
                // A token goes to the first with room, which may be another one.
                prop_assert!(*large + 1 >= *small);
            }
        }

        #[test]
        fn more_of_what_binds_makes_more_of_all(groups in any_groups()) {
            let budget = 1_000_000_000;
            let solution = solve(&groups, budget);
            if let Some(binding) = solution.binding {
                let others = groups.iter().enumerate().filter(|(g, group)| *g != binding && group.target > 0.0 && group.ceiling() > 0);
                let scarce = groups[binding].ceiling() as f64 / groups[binding].target;
                // Where another is as scarce, both bind.
                if others.clone().all(|(_, group)| group.ceiling() as f64 / group.target > scarce * 1.01) {
                    let mut groups = groups.clone();
                    groups[binding].sources.push(BudgetDataset { have: 0, available: 1_000_000 });
                    prop_assert!(total(&solve(&groups, budget)) > total(&solution));
                }
            }
        }

        #[test]
        fn a_source_with_room_gives_no_less_than_others(groups in any_groups(), budget in 0..10_000_000_u64) {
            let solution = solve(&groups, budget);
            for (group, takes) in groups.iter().zip(&solution.takes) {
                for (a, &take_a) in group.sources.iter().zip(takes) {
                    for (b, &take_b) in group.sources.iter().zip(takes) {
                        let a_has_room = take_a < a.available.max(a.have);
                        if a_has_room && take_b > b.have {
                            prop_assert!(take_a + 1 >= take_b);
                        }
                    }
                }
            }
        }
    }
}
