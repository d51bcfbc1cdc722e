//! Statements, run.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use bumpalo::Bump;

use crate::arguments::CallArguments;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::iterate::{FilteredItems, Iter};
use crate::limits::{DEPTH_MAX, RenderLimits};
use crate::syntax::{
    Assigned, CallBlock, Expression, Filter, FilterBlock, For, If, Load, Macro, Operator, Scope, SetBlock,
    Statement, With,
};
use crate::text::{MarkedText, TextBuilder};
use crate::value::{LoopState, Object, TemplateValue};

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Through,
    Break,
    Continue,
}

/// What is rendered with.
pub(crate) struct Machine<'a> {
    pub(crate) arena: &'a Bump,
    pub(crate) globals: &'a [(&'a str, TemplateValue<'a>)],
    /// The time that `strftime_now` gives, where one is known.
    pub(crate) now: Option<crate::strftime::Now>,
    pub(crate) limits: RenderLimits,
    pub(crate) steps: Cell<u64>,
    pub(crate) depth: Cell<u32>,
    /// Bytes that were made in the arena.
    pub(crate) claimed: Cell<usize>,
    /// Bytes that those bodies have printed that are run, in one another.
    pub(crate) held: Cell<usize>,
    /// Bytes of output so far, outside of macros and blocks that capture theirs.
    pub(crate) printed: Cell<usize>,
    /// Of `generation` blocks what was printed when they began, in bytes, and how many characters they print: as
    /// `transformers` counts them.
    pub(crate) generations: RefCell<Vec<(usize, usize)>>,
    /// Where the tuples are that `groupby` made: these alone have `grouper` and `list`.
    pub(crate) groups: RefCell<HashSet<*const TemplateValue<'a>>>,
}

impl<'a> Machine<'a> {
    /// Takes steps from those that the rendering has.
    #[inline]
    pub(crate) fn spend(&self, steps: u64) -> Result<()> {
        match self.steps.get().checked_sub(steps) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => {
                Err(Error::new(ErrorKind::Limit, format!("it takes more than {} steps", self.limits.steps)))
            }
        }
    }

    /// Takes the steps that so many bytes are.
    pub(crate) fn spend_bytes(&self, bytes: usize) -> Result<()> {
        self.spend(bytes as u64 / 64)
    }

    /// Takes the steps that arguments are: to search for a text takes many times as long to begin with as to read it.
    pub(crate) fn spend_arguments(&self, arguments: &CallArguments<'a>) -> Result<()> {
        self.spend_bytes(8 * arguments.text_bytes())
    }

    /// Takes the steps that so many bytes are of which each character is looked up in tables.
    pub(crate) fn spend_letters(&self, bytes: usize) -> Result<()> {
        self.spend_bytes(4 * bytes)
    }

    /// Runs `run` one level deeper.
    #[inline]
    pub(crate) fn deeper<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let depth = self.depth.get();
        if depth == DEPTH_MAX {
            return Err(Error::new(ErrorKind::Limit, format!("it runs nested more than {DEPTH_MAX} deep")));
        }
        self.depth.set(depth + 1);
        let result = run();
        self.depth.set(depth);
        result
    }

    /// Makes the variables of a scope what they begin as.
    pub(crate) fn enter(&self, scope: &'a Scope, frame: &'a Frame<'a>) -> Result<()> {
        self.spend(scope.loads.len() as u64 * (1 + self.globals.len() as u64 / 64))?;
        for (index, load) in &scope.loads {
            let value = match load {
                Load::Global(name) => {
                    self.spend_bytes(name.len())?;
                    self.global(name)
                }
                Load::Alias(slot) => frame.get(*slot),
                Load::Undefined => None,
            };
            frame.set_own(*index, value);
        }
        Ok(())
    }

    pub(crate) fn run(
        &self,
        body: &'a [Statement],
        frame: &'a Frame<'a>,
        out: &mut Printed<'_>,
    ) -> Result<Flow> {
        for statement in body {
            if out.is_root {
                self.printed.set(out.text.len());
            }
            self.held.set(out.before + out.text.size());
            let flow = self.statement(statement, frame, out)?;
            self.check_printed(out)?;
            if flow != Flow::Through {
                return Ok(flow);
            }
        }
        Ok(Flow::Through)
    }

    fn statement(
        &self,
        statement: &'a Statement,
        frame: &'a Frame<'a>,
        out: &mut Printed<'_>,
    ) -> Result<Flow> {
        match statement {
            Statement::Data(data) => out.text.push_str(data),
            Statement::Print(expression) => {
                self.print(expression, frame, out.text)?;
            }
            Statement::If(branching) => return self.if_(branching, frame, out),
            Statement::For(looping) => return self.for_(looping, frame, out),
            Statement::Set { target, value, line } => {
                self.check_namespaces(target, frame).map_err(|error| error.at(*line))?;
                let value = self.evaluate(value, frame)?;
                self.assign(target, value, frame).map_err(|error| error.at(*line))?;
            }
            Statement::SetBlock(block) => return self.set_block(block, frame),
            Statement::Macro(statement) => {
                frame
                    .set(statement.slot, Some(TemplateValue::Object(Object::Macro(&statement.makes, frame))));
            }
            Statement::CallBlock(block) => self.call_block(block, frame, out)?,
            Statement::FilterBlock(block) => return self.filter_block(block, frame, out),
            Statement::With(with) => return self.with(with, frame, out),
            Statement::Generation(body) => self.generation(body, frame, out)?,
            Statement::Break { .. } => return Ok(Flow::Break),
            Statement::Continue { .. } => return Ok(Flow::Continue),
        }
        Ok(Flow::Through)
    }

    /// Prints an expression; strings that are added up are printed one after another.
    fn print(&self, expression: &'a Expression, frame: &'a Frame<'a>, out: &mut TextBuilder) -> Result<()> {
        let Expression::Binary(binary) = expression else {
            return self.show(self.evaluate(expression, frame)?, out);
        };
        if binary.operator != Operator::Add {
            return self.show(self.evaluate(expression, frame)?, out);
        }
        let values = self.deeper(|| self.operands(binary, frame))?;
        if values.iter().all(|(value, _)| matches!(value, TemplateValue::Text(_))) {
            return values.iter().try_for_each(|(value, _)| self.show(*value, out));
        }
        self.show(self.sum(&values)?, out)
    }

    fn check_printed(&self, out: &Printed<'_>) -> Result<()> {
        if out.text.len() > self.limits.output {
            let detail = format!("it prints more than {} bytes", self.limits.output);
            return Err(Error::new(ErrorKind::TooLong, detail));
        }
        self.held.set(out.before + out.text.size());
        self.claim(0)
    }

    fn if_(&self, branching: &'a If, frame: &'a Frame<'a>, out: &mut Printed<'_>) -> Result<Flow> {
        self.deeper(|| {
            for (test, body) in &branching.branches {
                if self.evaluate(test, frame)?.is_true() {
                    return self.run(body, frame, out);
                }
            }
            self.run(&branching.otherwise, frame, out)
        })
    }

    fn with(&self, with: &'a With, frame: &'a Frame<'a>, out: &mut Printed<'_>) -> Result<Flow> {
        self.deeper(|| {
            self.enter(&with.scope, frame)?;
            for (target, value) in with.targets.iter().zip(&with.values) {
                let value = self.evaluate(value, frame)?;
                self.assign(target, value, frame).map_err(|error| error.at(with.line))?;
            }
            self.run(&with.body, frame, out)
        })
    }

    /// What a body prints, and how it ended.
    pub(crate) fn capture(
        &self,
        body: &'a [Statement],
        frame: &'a Frame<'a>,
    ) -> Result<(MarkedText<'a>, Flow)> {
        let mut text = TextBuilder::default();
        let before = self.held.get();
        let mut out = Printed { text: &mut text, is_root: false, before };
        let flow = self.deeper(|| self.run(body, frame, &mut out))?;
        self.held.set(before);
        Ok((self.finish(&mut text)?, flow))
    }

    /// As in Jinja, a `break` or `continue` that leaves a block leaves what the block has printed, too.
    fn set_block(&self, block: &'a SetBlock, frame: &'a Frame<'a>) -> Result<Flow> {
        self.enter(&block.scope, frame)?;
        let (text, flow) = self.capture(&block.body, frame)?;
        if flow == Flow::Through {
            let value = self.filtered(TemplateValue::Text(text), &block.filters, frame);
            let assigned = value.and_then(|value| self.assign(&block.target, value, frame));
            assigned.map_err(|error| error.at(block.line))?;
        }
        Ok(flow)
    }

    fn filter_block(
        &self,
        block: &'a FilterBlock,
        frame: &'a Frame<'a>,
        out: &mut Printed<'_>,
    ) -> Result<Flow> {
        self.enter(&block.scope, frame)?;
        let (text, flow) = self.capture(&block.body, frame)?;
        if flow == Flow::Through {
            let value = self.filtered(TemplateValue::Text(text), &block.filters, frame);
            self.show(value.map_err(|error| error.at(block.line))?, out.text)?;
        }
        Ok(flow)
    }

    fn filtered(
        &self,
        mut value: TemplateValue<'a>,
        filters: &'a [Filter],
        frame: &'a Frame<'a>,
    ) -> Result<TemplateValue<'a>> {
        for filter in filters {
            value = self.filter(value, filter, frame)?;
        }
        Ok(value)
    }

    fn call_block(&self, block: &'a CallBlock, frame: &'a Frame<'a>, out: &mut Printed<'_>) -> Result<()> {
        let function = self.evaluate(&block.call.function, frame)?;
        let mut arguments = self.arguments(&block.call.arguments, frame)?;
        arguments.named.push(("caller", TemplateValue::Object(Object::Macro(&block.caller, frame))));
        let value = self.call(function, arguments).map_err(|error| error.at(block.line))?;
        self.show(value, out.text)
    }

    fn generation(&self, body: &'a Macro, frame: &'a Frame<'a>, out: &mut Printed<'_>) -> Result<()> {
        let start = self.printed.get();
        let inner = self.frame(body.slots, Some(frame))?;
        self.enter(&body.scope, inner)?;
        let (text, _) = self.capture(&body.body, inner)?;
        self.generations.borrow_mut().push((start, text.as_str().chars().count()));
        out.text.push(text);
        Ok(())
    }

    fn for_(&self, looping: &'a For, frame: &'a Frame<'a>, out: &mut Printed<'_>) -> Result<Flow> {
        let iterated = self.evaluate(&looping.iterated, frame)?;
        if looping.is_recursive {
            let value = self.recurse(looping, frame, iterated, 0)?;
            out.text.push(value);
            return Ok(Flow::Through);
        }
        self.deeper(|| self.loop_over(looping, (frame, frame), iterated, 0, out))
    }

    /// What a recursive loop prints over `iterated`.
    pub(crate) fn recurse(
        &self,
        looping: &'a For,
        around: &'a Frame<'a>,
        iterated: TemplateValue<'a>,
        depth: i64,
    ) -> Result<MarkedText<'a>> {
        let frame = self.frame(looping.slots, Some(around))?;
        let mut text = TextBuilder::default();
        let before = self.held.get();
        let mut out = Printed { text: &mut text, is_root: false, before };
        self.deeper(|| self.loop_over(looping, (frame, around), iterated, depth, &mut out))?;
        self.held.set(before);
        self.finish(&mut text)
    }

    /// How the `else` of the loop ended: a `break` there is one of the loop around.
    fn loop_over(
        &self,
        looping: &'a For,
        (frame, around): (&'a Frame<'a>, &'a Frame<'a>),
        iterated: TemplateValue<'a>,
        depth: i64,
        out: &mut Printed<'_>,
    ) -> Result<Flow> {
        let at = |error: Error| error.at(looping.line);
        let mut iter = Iter::of(iterated).map_err(at)?;
        if let Some(filter) = &looping.filter {
            let filtered = FilteredItems { iter: Cell::new(Some(iter)), filter, frame };
            iter = Iter::Filtered(self.alloc(filtered)?);
        }
        let state = looping.loop_slot.map(|slot| {
            let iterated = if looping.filter.is_some() { TemplateValue::None } else { iterated };
            let state = self.alloc(LoopState::new(looping, around, iterated, iter, depth))?;
            Ok((slot, state))
        });
        let state = state.transpose()?;
        let mut was_through = false;
        loop {
            self.spend(1)?;
            let next = match state {
                Some((_, state)) => self.advance(state),
                None => self.next(&mut iter),
            };
            let Some(item) = next.map_err(at)? else { break };
            self.assign(&looping.target, item, frame).map_err(at)?;
            if let Some((slot, state)) = state {
                frame.set(slot, Some(TemplateValue::Object(Object::Loop(state))));
            }
            self.enter(&looping.scope, frame)?;
            match self.run(&looping.body, frame, out)? {
                Flow::Through => was_through = true,
                Flow::Continue => {}
                Flow::Break => break,
            }
        }
        // As in Jinja: a loop that was never gone through to its end has run its `else`, whatever ended it.
        if was_through || looping.otherwise.is_empty() {
            return Ok(Flow::Through);
        }
        self.enter(&looping.otherwise_scope, frame)?;
        self.run(&looping.otherwise, frame, out)
    }

    /// Checks that what gets an attribute is a namespace.
    fn check_namespaces(&self, target: &'a Assigned, frame: &'a Frame<'a>) -> Result<()> {
        match target {
            Assigned::Name { .. } => Ok(()),
            Assigned::Attribute { name, slot, .. } => match frame.get(*slot) {
                Some(TemplateValue::Object(Object::Namespace(_))) => Ok(()),
                _ => Err(Error::operation(format!(
                    "`{name}` is no namespace, so it can't be given an attribute"
                ))),
            },
            Assigned::Tuple(targets) => {
                targets.iter().try_for_each(|target| self.check_namespaces(target, frame))
            }
        }
    }

    pub(crate) fn assign(
        &self,
        target: &'a Assigned,
        value: TemplateValue<'a>,
        frame: &'a Frame<'a>,
    ) -> Result<()> {
        match target {
            Assigned::Name { slot, .. } => frame.set(*slot, Some(value)),
            Assigned::Attribute { name, slot, attribute } => {
                let Some(TemplateValue::Object(Object::Namespace(namespace))) = frame.get(*slot) else {
                    return Err(Error::operation(format!("`{name}` is no namespace")));
                };
                check_attribute(attribute)?;
                self.set_attribute(namespace, attribute, value)?;
            }
            Assigned::Tuple(targets) => {
                let items = self.collect(value)?;
                if items.len() != targets.len() {
                    let (items, names) = (items.len(), targets.len());
                    return Err(Error::operation(format!("{items} items are assigned to {names} names")));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, *item, frame)?;
                }
            }
        }
        Ok(())
    }
}

/// Names that begin with `_` are refused in namespaces, as `transformers` does.
pub(crate) fn check_attribute(name: &str) -> Result<()> {
    if name.starts_with('_') {
        return Err(Error::operation(format!("a namespace takes no attribute `{name}`: it begins with `_`")));
    }
    Ok(())
}

/// Where a body prints.
pub(crate) struct Printed<'o> {
    pub(crate) text: &'o mut TextBuilder,
    /// Whether it is the rendering's output itself.
    pub(crate) is_root: bool,
    /// Bytes that the bodies around it had printed when it began.
    pub(crate) before: usize,
}
