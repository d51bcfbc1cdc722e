//! The names that a scope knows.

use std::collections::{HashMap, HashSet};

use crate::syntax::{Arguments, Assigned, Expression, Filter, For, Index, Parameter, Statement};

/// The variables of a function, by what Python would call them: scopes of one depth share them.
#[derive(Debug, Default)]
pub(super) struct Unit {
    slots: HashMap<(char, u32, Box<str>), u32>,
}

impl Unit {
    fn slot(&mut self, kind: char, level: u32, name: &str) -> u32 {
        let next = u32::try_from(self.slots.len()).expect("a template has fewer than 2^32 names");
        *self.slots.entry((kind, level, name.into())).or_insert(next)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

/// A variable: of which function, counted from the outermost, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ident {
    pub(super) unit: usize,
    pub(super) index: u32,
}

/// What a variable is when its scope is entered.
#[derive(Debug, Clone, Copy)]
pub(super) enum LoadKind {
    Parameter,
    Resolve,
    Alias(Ident),
    Undefined,
}

/// The names of a scope, within those of the scopes around it.
#[derive(Debug)]
pub(super) struct Symbols<'p> {
    parent: Option<&'p Self>,
    level: u32,
    unit: usize,
    /// Keeps apart the variables of scopes of one depth that are alive together.
    kind: char,
    /// Each name's variable, and where in `loads` it is.
    refs: HashMap<Box<str>, (Ident, usize)>,
    /// In the order of their first definition.
    loads: Vec<(Ident, LoadKind)>,
    /// Of how many `if`s the branches are that are looked at, in one another.
    branches: usize,
}

impl<'p> Symbols<'p> {
    pub(super) fn new(parent: Option<&'p Self>, level: u32, unit: usize) -> Self {
        Self { parent, level, unit, kind: 'l', refs: HashMap::new(), loads: Vec::new(), branches: 0 }
    }

    /// The names of a scope in this one, in the function `unit`.
    pub(super) fn inner(&'p self, unit: usize) -> Self {
        Self::new(Some(self), self.level + 1, unit)
    }

    pub(super) fn inner_of_kind(&'p self, kind: char, unit: usize) -> Self {
        Self { kind, ..self.inner(unit) }
    }

    /// Its variables by name, with what they are when it is entered.
    pub(super) fn loads(&self) -> impl Iterator<Item = (&str, Ident, LoadKind)> {
        let mut names = vec![""; self.loads.len()];
        self.refs.iter().for_each(|(name, (_, at))| names[*at] = name);
        names.into_iter().zip(&self.loads).map(|(name, (ident, load))| (name, *ident, *load))
    }

    /// The variable that a name means.
    pub(super) fn find(&self, name: &str) -> Option<Ident> {
        let own = self.refs.get(name).map(|(ident, _)| *ident);
        own.or_else(|| self.parent?.find(name))
    }

    fn define(&mut self, name: &str, load: LoadKind, units: &mut [Unit]) -> Ident {
        if let Some((ident, at)) = self.refs.get(name) {
            self.loads[*at].1 = load;
            return *ident;
        }
        let ident = Ident { unit: self.unit, index: units[self.unit].slot(self.kind, self.level, name) };
        self.refs.insert(name.into(), (ident, self.loads.len()));
        self.loads.push((ident, load));
        ident
    }

    fn store(&mut self, name: &str, units: &mut [Unit]) {
        if self.refs.contains_key(name) {
            return;
        }
        let load = match self.parent.and_then(|parent| parent.find(name)) {
            Some(outer) => LoadKind::Alias(outer),
            // What only branches assign begins as what it was before them.
            None if self.branches > 0 => LoadKind::Resolve,
            None => LoadKind::Undefined,
        };
        self.define(name, load, units);
    }

    /// Makes `name` one that has its value when the scope is entered.
    pub(super) fn declare(&mut self, name: &str, units: &mut [Unit]) -> Ident {
        self.define(name, LoadKind::Parameter, units)
    }

    fn load(&mut self, name: &str, units: &mut [Unit]) {
        if self.find(name).is_none() {
            self.define(name, LoadKind::Resolve, units);
        }
    }

    /// Learns the names of a body.
    pub(super) fn body(&mut self, body: &[Statement], units: &mut [Unit]) {
        body.iter().for_each(|statement| self.statement(statement, units));
    }

    pub(super) fn filter_block(&mut self, filters: &[Filter], body: &[Statement], units: &mut [Unit]) {
        self.body(body, units);
        filters.iter().for_each(|filter| self.arguments(&filter.arguments, units));
    }

    pub(super) fn defaults(&mut self, parameters: &[Parameter], units: &mut [Unit]) {
        let defaults = parameters.iter().filter_map(|parameter| parameter.default.as_ref());
        defaults.for_each(|default| self.expression(default, units));
    }

    fn statement(&mut self, statement: &Statement, units: &mut [Unit]) {
        match statement {
            Statement::Data(_)
            | Statement::Generation(_)
            | Statement::Break { .. }
            | Statement::Continue { .. } => {}
            Statement::Print(expression) => self.expression(expression, units),
            Statement::If(branching) => {
                let mut branches = branching.branches.iter();
                let Some((test, body)) = branches.next() else { return };
                self.expression(test, units);
                self.branches += 1;
                self.body(body, units);
                for (test, body) in branches {
                    self.expression(test, units);
                    self.body(body, units);
                }
                self.body(&branching.otherwise, units);
                self.branches -= 1;
            }
            // What is in a loop, a block or a macro is its own.
            Statement::For(looping) => self.expression(&looping.iterated, units),
            Statement::Set { target, value, .. } => {
                self.expression(value, units);
                self.target(target, false, units);
            }
            // Jinja forgets the names that its filters look at.
            Statement::SetBlock(block) => self.target(&block.target, false, units),
            Statement::Macro(statement) => self.store(&statement.makes.name, units),
            Statement::CallBlock(block) => {
                self.expression(&block.call.function, units);
                self.arguments(&block.call.arguments, units);
            }
            Statement::FilterBlock(block) => {
                block.filters.iter().for_each(|filter| self.arguments(&filter.arguments, units));
            }
            Statement::With(with) => with.values.iter().for_each(|value| self.expression(value, units)),
        }
    }

    pub(super) fn target(&mut self, target: &Assigned, is_parameter: bool, units: &mut [Unit]) {
        match target {
            Assigned::Name { name, .. } if is_parameter => drop(self.declare(name, units)),
            Assigned::Name { name, .. } => self.store(name, units),
            Assigned::Attribute { name, .. } => self.load(name, units),
            Assigned::Tuple(targets) => {
                targets.iter().for_each(|target| self.target(target, is_parameter, units));
            }
        }
    }

    pub(super) fn expression(&mut self, expression: &Expression, units: &mut [Unit]) {
        each_name(expression, &mut |name| self.load(name, units));
    }

    fn arguments(&mut self, arguments: &Arguments, units: &mut [Unit]) {
        each_name_of_arguments(arguments, &mut |name| self.load(name, units));
    }
}

/// Calls `each` with each name that an expression looks at.
fn each_name(expression: &Expression, each: &mut dyn FnMut(&str)) {
    match expression {
        Expression::Constant(_) => {}
        Expression::Name { name, .. } => each(name),
        Expression::List(values) | Expression::Tuple(values) | Expression::Concat(values) => {
            values.iter().for_each(|value| each_name(value, each));
        }
        Expression::Dict(entries) => entries.iter().for_each(|(key, value)| {
            each_name(key, each);
            each_name(value, each);
        }),
        Expression::Not(inner) | Expression::Negative(inner) | Expression::Positive(inner) => {
            each_name(inner, each);
        }
        Expression::And(both) | Expression::Or(both) => {
            each_name(&both.0, each);
            each_name(&both.1, each);
        }
        Expression::Binary(binary) => {
            each_name(&binary.left, each);
            each_name(&binary.right, each);
        }
        Expression::Compare(compare) => {
            each_name(&compare.first, each);
            compare.rest.iter().for_each(|(_, value)| each_name(value, each));
        }
        Expression::Condition(condition) => {
            each_name(&condition.test, each);
            each_name(&condition.yes, each);
            condition.no.iter().for_each(|no| each_name(no, each));
        }
        Expression::Filter(filtered) => {
            each_name(&filtered.value, each);
            each_name_of_arguments(&filtered.filter.arguments, each);
        }
        Expression::Test(test) => {
            each_name(&test.value, each);
            each_name_of_arguments(&test.arguments, each);
        }
        Expression::Call(call) => {
            each_name(&call.function, each);
            each_name_of_arguments(&call.arguments, each);
        }
        Expression::Attribute(attribute) => each_name(&attribute.value, each),
        Expression::Item(item) => {
            each_name(&item.value, each);
            match &item.index {
                Index::Value(value) => each_name(value, each),
                Index::Slice(parts) => parts.iter().flatten().for_each(|part| each_name(part, each)),
            }
        }
    }
}

fn each_name_of_arguments(arguments: &Arguments, each: &mut dyn FnMut(&str)) {
    let named = arguments.named.iter().map(|(_, value)| value);
    let rest = arguments.rest.iter().chain(&arguments.named_rest);
    arguments.positional.iter().chain(named).chain(rest).for_each(|value| each_name(value, each));
}

/// Whether anything in a loop assigns to `loop`.
pub(super) fn assigns_loop(looping: &For) -> bool {
    let bodies = [&looping.body, &looping.otherwise];
    target_is_loop(&looping.target) || bodies.into_iter().flatten().any(statement_assigns_loop)
}

fn statement_assigns_loop(statement: &Statement) -> bool {
    let any = |body: &[Statement]| body.iter().any(statement_assigns_loop);
    match statement {
        Statement::Data(_) | Statement::Print(_) | Statement::Break { .. } | Statement::Continue { .. } => {
            false
        }
        Statement::If(branching) => {
            branching.branches.iter().any(|(_, body)| any(body)) || any(&branching.otherwise)
        }
        Statement::For(looping) => assigns_loop(looping),
        Statement::Set { target, .. } => target_is_loop(target),
        Statement::SetBlock(block) => target_is_loop(&block.target) || any(&block.body),
        Statement::Macro(statement) => any(&statement.makes.body),
        Statement::CallBlock(block) => any(&block.caller.body),
        Statement::FilterBlock(block) => any(&block.body),
        Statement::With(with) => any(&with.body),
        Statement::Generation(function) => any(&function.body),
    }
}

fn target_is_loop(target: &Assigned) -> bool {
    match target {
        Assigned::Name { name, .. } => &**name == "loop",
        Assigned::Attribute { .. } => false,
        Assigned::Tuple(targets) => targets.iter().any(target_is_loop),
    }
}

/// Whether the body of a loop looks at `loop`.
pub(super) fn looks_at_loop(looping: &For) -> bool {
    undeclared(&looping.body, &["loop"]).contains("loop")
}

/// Whether a template looks at `self`, which is the template itself unless that assigns to it.
pub(super) fn looks_at_self(body: &[Statement]) -> bool {
    undeclared(body, &["self"]).contains("self")
}

/// Which of the names that a macro need not declare its body looks at.
pub(super) fn special_names(body: &[Statement]) -> HashSet<&'static str> {
    undeclared(body, &["caller", "kwargs", "varargs"])
}

/// Which of `names` a body looks at before it assigns to them, whatever scopes there are in it.
fn undeclared(body: &[Statement], names: &[&'static str]) -> HashSet<&'static str> {
    let mut search = Undeclared { open: names.to_vec(), found: HashSet::new() };
    search.body(body);
    search.found
}

struct Undeclared {
    open: Vec<&'static str>,
    found: HashSet<&'static str>,
}

impl Undeclared {
    fn body(&mut self, body: &[Statement]) {
        body.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Data(_) | Statement::Break { .. } | Statement::Continue { .. } => {}
            Statement::Print(expression) => self.expression(expression),
            Statement::If(branching) => {
                for (test, body) in &branching.branches {
                    self.expression(test);
                    self.body(body);
                }
                self.body(&branching.otherwise);
            }
            Statement::For(looping) => {
                self.target(&looping.target);
                self.expression(&looping.iterated);
                self.body(&looping.body);
                self.body(&looping.otherwise);
                looping.filter.iter().for_each(|filter| self.expression(&filter.test));
            }
            Statement::Set { target, value, .. } => {
                self.target(target);
                self.expression(value);
            }
            Statement::SetBlock(block) => {
                self.target(&block.target);
                block.filters.iter().for_each(|filter| self.arguments(&filter.arguments));
                self.body(&block.body);
            }
            Statement::Macro(statement) => self.function(&statement.makes.parameters, &statement.makes.body),
            Statement::CallBlock(block) => {
                self.expression(&block.call.function);
                self.arguments(&block.call.arguments);
                self.function(&block.caller.parameters, &block.caller.body);
            }
            Statement::FilterBlock(block) => {
                self.body(&block.body);
                block.filters.iter().for_each(|filter| self.arguments(&filter.arguments));
            }
            Statement::With(with) => {
                with.targets.iter().for_each(|target| self.target(target));
                with.values.iter().for_each(|value| self.expression(value));
                self.body(&with.body);
            }
            Statement::Generation(function) => self.body(&function.body),
        }
    }

    fn function(&mut self, parameters: &[Parameter], body: &[Statement]) {
        parameters.iter().for_each(|parameter| self.assigned(&parameter.name));
        parameters.iter().filter_map(|p| p.default.as_ref()).for_each(|default| self.expression(default));
        self.body(body);
    }

    fn assigned(&mut self, name: &str) {
        self.open.retain(|open| *open != name);
    }

    fn target(&mut self, target: &Assigned) {
        match target {
            Assigned::Name { name, .. } => self.assigned(name),
            Assigned::Attribute { .. } => {}
            Assigned::Tuple(targets) => targets.iter().for_each(|target| self.target(target)),
        }
    }

    fn expression(&mut self, expression: &Expression) {
        let Self { open, found } = self;
        each_name(expression, &mut |name| found.extend(open.iter().filter(|open| **open == name)));
    }

    fn arguments(&mut self, arguments: &Arguments) {
        let Self { open, found } = self;
        each_name_of_arguments(arguments, &mut |name| {
            found.extend(open.iter().filter(|open| **open == name))
        });
    }
}
