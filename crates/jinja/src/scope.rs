//! Which variable a name means, as Jinja 3.1 decides it.
//!
//! Jinja decides by the text, before it runs: a name that is assigned anywhere in a scope is that scope's from its beginning
//! on, one that is only looked at is that of the next scope out that knows it, or global. `set` in a loop's body ends
//! with the body; `if` is no scope, a name that only one branch assigns begins as what it was. This follows its
//! `idtracking` and `compiler` modules step by step, since templates depend on every corner of it.

mod symbols;

use self::symbols::{Ident, LoadKind, Symbols, Unit};
use crate::error::{Error, Result};
use crate::filters::FILTERS;
use crate::predicates::TESTS;
use crate::syntax::{
    Arguments, Assigned, Call, Expression, Filter, For, Index, Load, Macro, Scope, Slot, Statement,
};

/// Resolves all names of a template.
///
/// # Errors
/// What Jinja refuses before it runs a template: a filter or a test that there is none of, where it is looked at in any
/// case; a `break` outside of a loop.
pub(crate) fn resolve(body: &mut [Statement]) -> Result<(Scope, usize)> {
    if symbols::looks_at_self(body) {
        return Err(Error::unsupported("`self`, which is the template"));
    }
    let mut resolver = Resolver { units: vec![Unit::default()] };
    let mut symbols = Symbols::new(None, 0, 0);
    symbols.body(body, &mut resolver.units);
    resolver.statements(body, &symbols, Place { soft: false, in_loop: false })?;
    let scope = resolver.scope(&symbols);
    Ok((scope, resolver.units.remove(0).len()))
}

/// Where a statement or an expression stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Whether it may never be reached: what there is none of is an error only when it is.
    soft: bool,
    in_loop: bool,
}

impl Place {
    const fn soft(self) -> Self {
        Self { soft: true, ..self }
    }
}

struct Resolver {
    /// The function that is looked at, and those around it.
    units: Vec<Unit>,
}

impl Resolver {
    /// What the variables of a scope are when it is entered.
    fn scope(&self, symbols: &Symbols<'_>) -> Scope {
        let loads = symbols.loads().filter_map(|(name, ident, load)| {
            let load = match load {
                LoadKind::Parameter => return None,
                LoadKind::Resolve => Load::Global(name.into()),
                LoadKind::Alias(ident) => Load::Alias(self.slot(ident)),
                LoadKind::Undefined => Load::Undefined,
            };
            Some((ident.index, load))
        });
        Scope { loads: loads.collect() }
    }

    fn slot(&self, ident: Ident) -> Slot {
        let out = self.units.len() - 1 - ident.unit;
        Slot {
            out: u32::try_from(out).expect("functions are nested less than 2^32 deep"),
            index: ident.index,
        }
    }

    /// The variable of a name that the symbols know.
    fn name(&self, name: &str, symbols: &Symbols<'_>) -> Result<Slot> {
        symbols
            .find(name)
            .map(|ident| self.slot(ident))
            .ok_or_else(|| Error::unsupported(format!("the variable `{name}`, of which no scope knows")))
    }

    fn statements(&mut self, body: &mut [Statement], symbols: &Symbols<'_>, place: Place) -> Result<()> {
        body.iter_mut().try_for_each(|statement| self.statement(statement, symbols, place))
    }

    fn statement(&mut self, statement: &mut Statement, symbols: &Symbols<'_>, place: Place) -> Result<()> {
        match statement {
            Statement::Data(_) => Ok(()),
            Statement::Print(expression) => self.expression(expression, symbols, place),
            Statement::If(branching) => {
                for (test, body) in &mut branching.branches {
                    self.expression(test, symbols, place.soft())?;
                    self.statements(body, symbols, place.soft())?;
                }
                self.statements(&mut branching.otherwise, symbols, place.soft())
            }
            Statement::For(looping) => self.for_(looping, symbols, place),
            Statement::Set { target, value, .. } => {
                self.expression(value, symbols, place)?;
                self.target(target, symbols)
            }
            Statement::SetBlock(block) => {
                let mut inner = symbols.inner(self.units.len() - 1);
                inner.body(&block.body, &mut self.units);
                self.filters(&mut block.filters, &inner, Place { soft: false, ..place })?;
                self.statements(&mut block.body, &inner, Place { soft: false, ..place })?;
                block.scope = self.scope(&inner);
                self.target(&mut block.target, symbols)
            }
            Statement::Macro(statement) => {
                self.function(&mut statement.makes, symbols)?;
                statement.slot = self.name(&statement.makes.name, symbols)?;
                Ok(())
            }
            Statement::CallBlock(block) => {
                self.function(&mut block.caller, symbols)?;
                self.call(&mut block.call, symbols, place)
            }
            Statement::FilterBlock(block) => {
                let mut inner = symbols.inner(self.units.len() - 1);
                inner.filter_block(&block.filters, &block.body, &mut self.units);
                self.filters(&mut block.filters, &inner, Place { soft: false, ..place })?;
                self.statements(&mut block.body, &inner, Place { soft: false, ..place })?;
                block.scope = self.scope(&inner);
                Ok(())
            }
            Statement::With(with) => {
                for value in &mut with.values {
                    self.expression(value, symbols, place)?;
                }
                let mut inner = symbols.inner(self.units.len() - 1);
                with.targets.iter().for_each(|target| inner.target(target, true, &mut self.units));
                inner.body(&with.body, &mut self.units);
                with.targets.iter_mut().try_for_each(|target| self.target(target, &inner))?;
                self.statements(&mut with.body, &inner, Place { soft: false, ..place })?;
                with.scope = self.scope(&inner);
                Ok(())
            }
            Statement::Generation(body) => self.function(body, symbols),
            Statement::Break { line } | Statement::Continue { line } => {
                if place.in_loop {
                    return Ok(());
                }
                Err(Error::syntax(*line, "`break` or `continue` stands outside of a loop"))
            }
        }
    }

    fn for_(&mut self, looping: &mut For, symbols: &Symbols<'_>, place: Place) -> Result<()> {
        self.expression(&mut looping.iterated, symbols, place)?;
        if looping.is_recursive {
            self.units.push(Unit::default());
        }
        let unit = self.units.len() - 1;
        if let Some(filter) = &mut looping.filter {
            let mut inner = symbols.inner_of_kind('t', unit);
            inner.target(&filter.target, true, &mut self.units);
            inner.expression(&filter.test, &mut self.units);
            self.target(&mut filter.target, &inner)?;
            self.expression(&mut filter.test, &inner, Place { soft: false, in_loop: false })?;
            filter.scope = self.scope(&inner);
        }
        let mut inner = symbols.inner(unit);
        if looping.is_recursive || symbols::looks_at_loop(looping) {
            let ident = inner.declare("loop", &mut self.units);
            looping.loop_slot = Some(self.slot(ident));
        }
        if symbols::assigns_loop(looping) {
            return Err(Error::syntax(looping.line, "`loop` can't be assigned to in a loop"));
        }
        inner.target(&looping.target, true, &mut self.units);
        inner.body(&looping.body, &mut self.units);
        self.target(&mut looping.target, &inner)?;
        self.statements(&mut looping.body, &inner, Place { soft: false, in_loop: true })?;
        looping.scope = self.scope(&inner);
        let mut otherwise = symbols.inner_of_kind('e', unit);
        otherwise.body(&looping.otherwise, &mut self.units);
        // A recursive loop is a function, so that no loop is around its `else`.
        let in_loop = place.in_loop && !looping.is_recursive;
        self.statements(&mut looping.otherwise, &otherwise, Place { soft: false, in_loop })?;
        looping.otherwise_scope = self.scope(&otherwise);
        if looping.is_recursive {
            looping.slots = self.units.pop().map_or(0, |unit| unit.len());
        }
        Ok(())
    }

    /// Resolves the inside of a macro, or of what is called like one.
    fn function(&mut self, function: &mut Macro, symbols: &Symbols<'_>) -> Result<()> {
        self.units.push(Unit::default());
        let mut inner = symbols.inner(self.units.len() - 1);
        for parameter in &mut function.parameters {
            parameter.slot = inner.declare(&parameter.name, &mut self.units).index;
        }
        inner.defaults(&function.parameters, &mut self.units);
        inner.body(&function.body, &mut self.units);
        let special = symbols::special_names(&function.body);
        for (name, slot) in [
            ("caller", &mut function.caller),
            ("kwargs", &mut function.kwargs),
            ("varargs", &mut function.varargs),
        ] {
            let parameter = function.parameters.iter().find(|parameter| &*parameter.name == name);
            if !special.contains(name) {
                continue;
            }
            if parameter.is_none() {
                *slot = Some(inner.declare(name, &mut self.units).index);
            } else if name == "caller" {
                return Err(Error::unsupported("a macro with a parameter `caller`").at(function.line));
            }
        }
        let place = Place { soft: false, in_loop: false };
        for parameter in &mut function.parameters {
            if let Some(default) = &mut parameter.default {
                self.expression(default, &inner, place)?;
            }
        }
        self.statements(&mut function.body, &inner, place)?;
        function.scope = self.scope(&inner);
        function.slots = self.units.pop().map_or(0, |unit| unit.len());
        Ok(())
    }

    fn target(&self, target: &mut Assigned, symbols: &Symbols<'_>) -> Result<()> {
        match target {
            Assigned::Name { name, slot } | Assigned::Attribute { name, slot, .. } => {
                *slot = self.name(name, symbols)?;
                Ok(())
            }
            Assigned::Tuple(targets) => {
                targets.iter_mut().try_for_each(|target| self.target(target, symbols))
            }
        }
    }

    fn filters(&self, filters: &mut [Filter], symbols: &Symbols<'_>, place: Place) -> Result<()> {
        filters.iter_mut().try_for_each(|filter| self.filter(filter, symbols, place))
    }

    fn filter(&self, filter: &mut Filter, symbols: &Symbols<'_>, place: Place) -> Result<()> {
        if !place.soft && !FILTERS.contains(&&*filter.name) {
            return Err(Error::syntax(filter.line, format!("there is no filter `{}`", filter.name)));
        }
        self.arguments(&mut filter.arguments, symbols, place)
    }

    fn call(&self, call: &mut Call, symbols: &Symbols<'_>, place: Place) -> Result<()> {
        self.expression(&mut call.function, symbols, place)?;
        self.arguments(&mut call.arguments, symbols, place)
    }

    fn arguments(&self, arguments: &mut Arguments, symbols: &Symbols<'_>, place: Place) -> Result<()> {
        let named = arguments.named.iter_mut().map(|(_, value)| value);
        let rest = arguments.rest.iter_mut().chain(&mut arguments.named_rest);
        let mut all = arguments.positional.iter_mut().chain(named).chain(rest);
        all.try_for_each(|value| self.expression(value, symbols, place))
    }

    fn expression(&self, expression: &mut Expression, symbols: &Symbols<'_>, place: Place) -> Result<()> {
        let each = |values: &mut [Expression]| {
            values.iter_mut().try_for_each(|value| self.expression(value, symbols, place))
        };
        match expression {
            Expression::Constant(_) => Ok(()),
            Expression::Name { name, slot } => {
                *slot = self.name(name, symbols)?;
                Ok(())
            }
            Expression::List(values) | Expression::Tuple(values) | Expression::Concat(values) => each(values),
            Expression::Dict(entries) => entries.iter_mut().try_for_each(|(key, value)| {
                self.expression(key, symbols, place)?;
                self.expression(value, symbols, place)
            }),
            Expression::Not(inner) | Expression::Negative(inner) | Expression::Positive(inner) => {
                self.expression(inner, symbols, place)
            }
            Expression::And(both) | Expression::Or(both) => {
                self.expression(&mut both.0, symbols, place)?;
                self.expression(&mut both.1, symbols, place)
            }
            Expression::Binary(binary) => {
                self.expression(&mut binary.left, symbols, place)?;
                self.expression(&mut binary.right, symbols, place)
            }
            Expression::Compare(compare) => {
                self.expression(&mut compare.first, symbols, place)?;
                compare.rest.iter_mut().try_for_each(|(_, value)| self.expression(value, symbols, place))
            }
            Expression::Condition(condition) => {
                let place = place.soft();
                self.expression(&mut condition.test, symbols, place)?;
                self.expression(&mut condition.yes, symbols, place)?;
                condition.no.iter_mut().try_for_each(|no| self.expression(no, symbols, place))
            }
            Expression::Filter(filtered) => {
                self.expression(&mut filtered.value, symbols, place)?;
                self.filter(&mut filtered.filter, symbols, place)
            }
            Expression::Test(test) => {
                if !place.soft && !TESTS.contains(&&*test.name) {
                    return Err(Error::syntax(test.line, format!("there is no test `{}`", test.name)));
                }
                self.expression(&mut test.value, symbols, place)?;
                self.arguments(&mut test.arguments, symbols, place)
            }
            Expression::Call(call) => self.call(call, symbols, place),
            Expression::Attribute(attribute) => self.expression(&mut attribute.value, symbols, place),
            Expression::Item(item) => {
                self.expression(&mut item.value, symbols, place)?;
                match &mut item.index {
                    Index::Value(value) => self.expression(value, symbols, place),
                    Index::Slice(parts) => {
                        parts.iter_mut().flatten().try_for_each(|part| self.expression(part, symbols, place))
                    }
                }
            }
        }
    }
}
