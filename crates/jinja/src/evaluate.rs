//! Expressions to values.

use bumpalo::collections::Vec as ArenaVec;

use crate::arguments::CallArguments;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::machine::Machine;
use crate::syntax::{
    Arguments, Binary, ComparisonOperator, Constant, Expression, Filter, Index, Item, Operator,
};
use crate::text::{MarkedText, TextBuilder};
use crate::value::TemplateValue;

impl<'a> Machine<'a> {
    /// The value of an expression.
    pub(crate) fn evaluate(
        &self,
        expression: &'a Expression,
        frame: &'a Frame<'a>,
    ) -> Result<TemplateValue<'a>> {
        self.spend(1)?;
        match expression {
            Expression::Constant(constant) => Ok(constant.value()),
            Expression::Name { name, slot } => Ok(frame.get(*slot).unwrap_or(TemplateValue::Undefined(name))),
            _ => self.deeper(|| self.compound(expression, frame)),
        }
    }

    fn compound(&self, expression: &'a Expression, frame: &'a Frame<'a>) -> Result<TemplateValue<'a>> {
        match expression {
            Expression::Constant(_) | Expression::Name { .. } => self.evaluate(expression, frame),
            Expression::List(items) => Ok(TemplateValue::List(self.each(items, frame)?)),
            Expression::Tuple(items) => Ok(TemplateValue::Tuple(self.each(items, frame)?)),
            Expression::Dict(entries) => {
                let mut all = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    all.push((self.evaluate(key, frame)?, self.evaluate(value, frame)?));
                }
                self.dict(all)
            }
            Expression::Not(inner) => Ok(TemplateValue::Bool(!self.evaluate(inner, frame)?.is_true())),
            Expression::Negative(inner) => self.negative(self.evaluate(inner, frame)?),
            Expression::Positive(inner) => self.positive(self.evaluate(inner, frame)?),
            Expression::And(both) => {
                let left = self.evaluate(&both.0, frame)?;
                if left.is_true() { self.evaluate(&both.1, frame) } else { Ok(left) }
            }
            Expression::Or(both) => {
                let left = self.evaluate(&both.0, frame)?;
                if left.is_true() { Ok(left) } else { self.evaluate(&both.1, frame) }
            }
            Expression::Binary(binary) if binary.operator == Operator::Add => {
                self.sum(&self.operands(binary, frame)?)
            }
            Expression::Binary(binary) => {
                let left = self.evaluate(&binary.left, frame)?;
                let right = self.evaluate(&binary.right, frame)?;
                self.binary(binary.operator, left, right).map_err(|error| error.at(binary.line))
            }
            Expression::Concat(parts) => self.concat_values(parts, frame),
            Expression::Compare(compare) => self
                .compare_chain(&compare.first, &compare.rest, frame)
                .map_err(|error| error.at(compare.line)),
            Expression::Condition(condition) => {
                if self.evaluate(&condition.test, frame)?.is_true() {
                    return self.evaluate(&condition.yes, frame);
                }
                match &condition.no {
                    Some(no) => self.evaluate(no, frame),
                    None => Ok(TemplateValue::Undefined("an `if` without `else`")),
                }
            }
            Expression::Filter(filtered) => {
                let value = self.evaluate(&filtered.value, frame)?;
                self.filter(value, &filtered.filter, frame)
            }
            Expression::Test(test) => {
                let value = self.evaluate(&test.value, frame)?;
                let arguments = self.arguments(&test.arguments, frame)?;
                let passed = self.test(&test.name, value, &arguments);
                passed.map(TemplateValue::Bool).map_err(|error| error.at(test.line))
            }
            Expression::Call(call) => {
                let function = self.evaluate(&call.function, frame)?;
                let arguments = self.arguments(&call.arguments, frame)?;
                self.call(function, arguments).map_err(|error| error.at(call.line))
            }
            Expression::Attribute(attribute) => {
                let value = self.evaluate(&attribute.value, frame)?;
                if let (TemplateValue::Dict(dict), false) = (value, attribute.is_of_dicts) {
                    return self.key(dict, &attribute.name);
                }
                self.attribute(value, &attribute.name).map_err(|error| error.at(attribute.line))
            }
            Expression::Item(item) => self.item_of(item, frame).map_err(|error| error.at(item.line)),
        }
    }

    /// The operands of a chain of `+`, from the left.
    pub(crate) fn operands(
        &self,
        last: &'a Binary,
        frame: &'a Frame<'a>,
    ) -> Result<ArenaVec<'a, (TemplateValue<'a>, u32)>> {
        let mut chain = ArenaVec::new_in(self.arena);
        let mut binary = last;
        chain.push(binary);
        while let Expression::Binary(left) = &binary.left
            && left.operator == Operator::Add
        {
            binary = left;
            chain.push(binary);
        }
        self.claim(4 * size_of::<TemplateValue<'_>>() * chain.len())?;
        let mut values = ArenaVec::with_capacity_in(chain.len() + 1, self.arena);
        values.push((self.evaluate(&binary.left, frame)?, binary.line));
        for binary in chain.into_iter().rev() {
            values.push((self.evaluate(&binary.right, frame)?, binary.line));
        }
        Ok(values)
    }

    /// A chain of `+`: strings are joined at once.
    pub(crate) fn sum(&self, values: &[(TemplateValue<'a>, u32)]) -> Result<TemplateValue<'a>> {
        let mut texts = ArenaVec::with_capacity_in(values.len(), self.arena);
        texts.extend(
            values.iter().map_while(
                |(value, _)| if let TemplateValue::Text(text) = value { Some(*text) } else { None },
            ),
        );
        if texts.len() == values.len() {
            return self.joined(&texts).map(TemplateValue::Text);
        }
        let mut sum = values[0].0;
        for (value, line) in values.iter().skip(1) {
            sum = self.binary(Operator::Add, sum, *value).map_err(|error| error.at(*line))?;
        }
        Ok(sum)
    }

    fn each(&self, expressions: &'a [Expression], frame: &'a Frame<'a>) -> Result<&'a [TemplateValue<'a>]> {
        self.alloc_all(expressions.iter().map(|expression| self.evaluate(expression, frame)))
    }

    fn concat_values(&self, parts: &'a [Expression], frame: &'a Frame<'a>) -> Result<TemplateValue<'a>> {
        let values = self.each(parts, frame)?;
        let mut out = TextBuilder::default();
        values.iter().try_for_each(|value| self.show(*value, &mut out))?;
        self.finish(&mut out).map(TemplateValue::Text)
    }

    fn compare_chain(
        &self,
        first: &'a Expression,
        rest: &'a [(ComparisonOperator, Expression)],
        frame: &'a Frame<'a>,
    ) -> Result<TemplateValue<'a>> {
        let mut left = self.evaluate(first, frame)?;
        for (comparison, right) in rest {
            let right = self.evaluate(right, frame)?;
            if !self.compare(*comparison, left, right)? {
                return Ok(TemplateValue::Bool(false));
            }
            left = right;
        }
        Ok(TemplateValue::Bool(true))
    }

    /// Applies a filter.
    pub(crate) fn filter(
        &self,
        value: TemplateValue<'a>,
        filter: &'a Filter,
        frame: &'a Frame<'a>,
    ) -> Result<TemplateValue<'a>> {
        let arguments = self.arguments(&filter.arguments, frame)?;
        self.apply(&filter.name, value, &arguments).map_err(|error| error.at(filter.line))
    }

    /// The values of arguments.
    pub(crate) fn arguments(
        &self,
        arguments: &'a Arguments,
        frame: &'a Frame<'a>,
    ) -> Result<CallArguments<'a>> {
        let mut values = CallArguments::default();
        for argument in &arguments.positional {
            values.positional.push(self.evaluate(argument, frame)?);
        }
        for (name, argument) in &arguments.named {
            values.named.push((name, self.evaluate(argument, frame)?));
        }
        if let Some(rest) = &arguments.rest {
            let rest = self.collect(self.evaluate(rest, frame)?)?;
            self.check_values(rest.len())?;
            values.positional.extend_from_slice(rest);
        }
        if let Some(rest) = &arguments.named_rest {
            self.named_rest(self.evaluate(rest, frame)?, &mut values)?;
        }
        Ok(values)
    }

    fn named_rest(&self, rest: TemplateValue<'a>, values: &mut CallArguments<'a>) -> Result<()> {
        let TemplateValue::Dict(dict) = rest else {
            return Err(Error::operation(format!("{} is given as named arguments", rest.type_name())));
        };
        self.spend(dict.len() as u64 * (1 + values.name_bytes() as u64 / 64))?;
        self.check_values(2 * dict.len())?;
        let given = values.named.len();
        for (key, value) in dict.entries() {
            let TemplateValue::Text(name) = key else {
                return Err(Error::operation("the names of arguments have to be strings"));
            };
            if values.named[..given].iter().any(|(other, _)| *other == name.as_str()) {
                return Err(Error::operation(format!("the argument `{}` is given twice", name.as_str())));
            }
            values.named.push((name.as_str(), *value));
        }
        Ok(())
    }

    fn item_of(&self, item: &'a Item, frame: &'a Frame<'a>) -> Result<TemplateValue<'a>> {
        let value = self.evaluate(&item.value, frame)?;
        match &item.index {
            Index::Value(index) => {
                let index = self.evaluate(index, frame)?;
                self.item(value, index)
            }
            Index::Slice(parts) => {
                let mut bounds = [None; 3];
                for (bound, part) in bounds.iter_mut().zip(parts) {
                    if let Some(part) = part {
                        *bound = Some(self.evaluate(part, frame)?);
                    }
                }
                self.slice(value, bounds)
            }
        }
    }
}

impl Constant {
    fn value(&self) -> TemplateValue<'_> {
        match self {
            Self::None => TemplateValue::None,
            Self::Bool(value) => TemplateValue::Bool(*value),
            Self::Int(value) => TemplateValue::Int(*value),
            Self::BigInt(digits) => TemplateValue::BigInt(digits),
            Self::Float(value) => TemplateValue::Float(*value),
            Self::Text(text) => TemplateValue::Text(MarkedText::new(text)),
        }
    }
}
