//! Which files of a crate need one another.
//!
//! A file needs those whose items its paths name: `crate::`, `super::`, `self::`, and a module's paths into those below it.
//! What a module merely hands on (`pub use`, and no word of it else) it does not need itself; who takes it from there needs
//! the file that has it.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{Source, item_end, words};

/// What a file is called in paths: `tokenizer::start` is `["tokenizer", "start"]`, a crate's root is empty.
type Module = Vec<String>;

/// The files of a crate.
struct Crate {
    paths: BTreeMap<Module, String>,
    /// What each names.
    named: BTreeMap<Module, Vec<Named>>,
}

/// A path in a file.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    segments: Vec<String>,
    /// What it is called in the file afterwards, where `use` says so.
    name: Option<String>,
    handed_on: bool,
}

/// A file and another one that it needs.
pub(super) type Need = (String, String);

/// Which files of a crate need which. `sources` are the crate's.
pub(super) fn needs(sources: &[&Source]) -> BTreeSet<Need> {
    let mut all = Crate { paths: BTreeMap::new(), named: BTreeMap::new() };
    for source in sources.iter().filter(|source| !source.is_test()) {
        let Some(module) = module_of(&source.path) else { continue };
        all.named.insert(module.clone(), named(&source.without_tests()));
        all.paths.insert(module, source.path.clone());
    }
    let modules = all.paths.iter();
    let each = modules.flat_map(|(module, path)| {
        let needed = all.needs(module).into_iter();
        needed.map(|other| (path.clone(), all.paths[&other].clone())).collect::<Vec<_>>()
    });
    each.collect()
}

/// Those needs that are part of a circle: the file that is needed needs, by whatever way, the one that needs it.
pub(super) fn in_circles(needs: &BTreeSet<Need>) -> Vec<&Need> {
    needs.iter().filter(|(from, to)| reached(to, needs).contains(from.as_str())).collect()
}

fn reached<'a>(from: &'a str, needs: &'a BTreeSet<Need>) -> BTreeSet<&'a str> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        if found.insert(file) {
            open.extend(
                needs.iter().filter(|(needing, _)| needing == file).map(|(_, needed)| needed.as_str()),
            );
        }
    }
    found
}

fn module_of(path: &str) -> Option<Module> {
    let (_, inside) = path.rsplit_once("src/")?;
    let inside = inside.strip_suffix(".rs")?;
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    // A program beside its library is a crate of its own.
    match inside {
        "lib" => Some(Vec::new()),
        "main" => None,
        _ => Some(inside.split('/').map(str::to_owned).collect()),
    }
}

impl Crate {
    fn needs(&self, module: &Module) -> BTreeSet<Module> {
        let paths = self.named[module].iter().filter(|path| !path.handed_on);
        let needed = paths.filter_map(|path| self.home(module, &path.segments, 0));
        needed.filter(|home| home != module).collect()
    }

    /// The file that has what `segments` name in `module`; none where that is another crate's or the file's own.
    fn home(&self, module: &Module, segments: &[String], steps: usize) -> Option<Module> {
        // A name may be handed on a few times, and `use` may name a name of its own in a crate of another's.
        if steps > 8 {
            return None;
        }
        let mut rest = segments;
        let mut at = match rest.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => module.clone(),
            first => {
                let mut below = module.clone();
                below.push(first.to_owned());
                if !self.paths.contains_key(&below) {
                    return None;
                }
                rest = &rest[1..];
                below
            }
        };
        while let Some(first) =
            rest.first().filter(|first| ["crate", "self", "super"].contains(&first.as_str()))
        {
            if first == "super" {
                at.pop();
            }
            rest = &rest[1..];
        }
        while let Some(next) = rest.first() {
            let mut below = at.clone();
            below.push(next.clone());
            if self.paths.contains_key(&below) {
                (at, rest) = (below, &rest[1..]);
                continue;
            }
            let handed_on = self.named[&at].iter().find(|path| path.name.as_ref() == Some(next));
            let further = handed_on.map(|path| [&path.segments, &rest[1..]].concat());
            return Some(further.and_then(|path| self.home(&at, &path, steps + 1)).unwrap_or(at));
        }
        Some(at)
    }
}

/// The paths that a file's code names.
fn named(code: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut behind = 0;
    let inline = inline_modules(code);
    for (at, word) in words(code) {
        if at < behind {
            continue;
        }
        let first = found.len();
        if word == "use" {
            behind = at + code[at..].find(';').unwrap_or(0);
            let before = code[..at].trim_end();
            let handed_on = before.ends_with("pub") || before.ends_with(')');
            tree(&code[at + word.len()..behind], &[], handed_on, &mut found);
            for path in &mut found[first..] {
                let is_it = |(at, word): (usize, &str)| at >= behind && path.name.as_deref() == Some(word);
                path.handed_on &= !words(code).any(is_it);
            }
        } else {
            let rest = &code[at..];
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
            let path = rest[..end].trim_end_matches(':');
            behind = at + end;
            if path.contains("::") {
                let segments = path.split("::").map(str::to_owned).collect();
                found.push(Named { segments, name: None, handed_on: false });
            }
        }
        // In a module within the file `super` is the file.
        if inline.iter().any(|inside| inside.contains(&at)) {
            for path in found[first..].iter_mut().filter(|path| path.segments[0] == "super") {
                path.segments[0] = "self".to_owned();
            }
        }
    }
    found
}

fn inline_modules(code: &str) -> Vec<std::ops::Range<usize>> {
    let modules = words(code).filter(|(_, word)| *word == "mod");
    let modules = modules.map(|(at, _)| at..item_end(code, at));
    modules.filter(|inside| code[inside.clone()].ends_with('}')).collect()
}

/// The paths of a `use`: `a::{b, c::d as e}` are `a::b` and `a::c::d`.
fn tree(text: &str, before: &[String], handed_on: bool, found: &mut Vec<Named>) {
    let text = text.trim();
    if let Some((prefix, inside)) = text.split_once('{') {
        let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
        let prefix = prefix.split("::").map(|segment| segment.trim().to_owned()).filter(|s| !s.is_empty());
        let before: Vec<_> = before.iter().cloned().chain(prefix).collect();
        let (mut depth, mut start) = (0_usize, 0);
        for (at, c) in inside.char_indices().chain([(inside.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    tree(&inside[start..at], &before, handed_on, found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let (path, name) = text.split_once(" as ").map_or((text, None), |(path, name)| (path, Some(name)));
    let own = path.split("::").map(|segment| segment.trim().to_owned()).filter(|s| !s.is_empty());
    let mut segments: Vec<_> = before.iter().cloned().chain(own).collect();
    // `a::{self}` is `a`, and `a::*` names no item.
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self" || last == "*") {
        segments.pop();
    }
    let name = name.map(|name| name.trim().to_owned()).or_else(|| segments.last().cloned());
    if !segments.is_empty() {
        found.push(Named { segments, name, handed_on });
    }
}
