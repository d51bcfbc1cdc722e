//! Expressions, by falling precedence of what joins them.

use super::Parser;
use crate::error::{Error, Result};
use crate::lexer::TokenKind;
use crate::methods;
use crate::syntax::{
    Arguments, Attribute, Binary, Call, Compare, ComparisonOperator, Condition, Constant, Expression, Filter,
    FilteredExpression, Index, Item, Operator, Slot, Test,
};

impl Parser {
    /// An expression, or several with commas between them: a tuple.
    pub(super) fn tuple(&mut self) -> Result<Expression> {
        self.tuple_of(false, |parser| parser.expression())
    }

    /// The same, without conditions.
    pub(super) fn tuple_without_condition(&mut self) -> Result<Expression> {
        self.tuple_of(false, |parser| parser.deeper(Self::or))
    }

    fn tuple_of(
        &mut self,
        in_parentheses: bool,
        item: impl Fn(&mut Self) -> Result<Expression>,
    ) -> Result<Expression> {
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            if !items.is_empty() {
                self.expect_operator(",")?;
            }
            let ends = matches!(self.peek(), Some(TokenKind::PrintEnd | TokenKind::BlockEnd) | None);
            if ends || self.is_operator(")") {
                break;
            }
            items.push(item(self)?);
            if !self.is_operator(",") {
                break;
            }
            is_tuple = true;
        }
        if is_tuple || (items.is_empty() && in_parentheses) {
            return Ok(Expression::Tuple(items));
        }
        items.pop().ok_or_else(|| self.expected("an expression"))
    }

    pub(super) fn expression(&mut self) -> Result<Expression> {
        self.deeper(Self::condition)
    }

    fn condition(&mut self) -> Result<Expression> {
        let mut expression = self.or()?;
        while self.skip_name("if") {
            self.link()?;
            let test = self.or()?;
            let no = if self.skip_name("else") { Some(self.expression()?) } else { None };
            expression = Expression::Condition(Box::new(Condition { test, yes: expression, no }));
        }
        Ok(expression)
    }

    fn or(&mut self) -> Result<Expression> {
        let mut left = self.and()?;
        while self.skip_name("or") {
            self.link()?;
            left = Expression::Or(Box::new((left, self.and()?)));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression> {
        let mut left = self.not()?;
        while self.skip_name("and") {
            self.link()?;
            left = Expression::And(Box::new((left, self.not()?)));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression> {
        if self.skip_name("not") {
            let inner = self.deeper(Self::not)?;
            return Ok(Expression::Not(Box::new(inner)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Expression> {
        let line = self.line();
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison() {
            rest.push((comparison, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expression::Compare(Box::new(Compare { first, rest, line })))
    }

    fn comparison(&mut self) -> Option<ComparisonOperator> {
        let comparison = match self.peek()? {
            TokenKind::Operator("==") => ComparisonOperator::Equal,
            TokenKind::Operator("!=") => ComparisonOperator::NotEqual,
            TokenKind::Operator("<") => ComparisonOperator::Less,
            TokenKind::Operator("<=") => ComparisonOperator::LessEqual,
            TokenKind::Operator(">") => ComparisonOperator::Greater,
            TokenKind::Operator(">=") => ComparisonOperator::GreaterEqual,
            TokenKind::Name(name) if name == "in" => ComparisonOperator::In,
            TokenKind::Name(name) if name == "not" => {
                if !matches!(self.peek_second(), Some(TokenKind::Name(second)) if second == "in") {
                    return None;
                }
                self.at += 1;
                ComparisonOperator::NotIn
            }
            _ => return None,
        };
        self.at += 1;
        Some(comparison)
    }

    fn sum(&mut self) -> Result<Expression> {
        self.binary(Self::concat, &[("+", Operator::Add), ("-", Operator::Subtract)])
    }

    fn concat(&mut self) -> Result<Expression> {
        let first = self.product()?;
        if !self.is_operator("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_operator("~") {
            parts.push(self.product()?);
        }
        Ok(Expression::Concat(parts))
    }

    fn product(&mut self) -> Result<Expression> {
        const OPERATORS: &[(&str, Operator)] = &[
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("//", Operator::FloorDivide),
            ("%", Operator::Modulo),
        ];
        self.binary(Self::power, OPERATORS)
    }

    fn power(&mut self) -> Result<Expression> {
        self.binary(|parser| parser.unary(true), &[("**", Operator::Power)])
    }

    fn binary(
        &mut self,
        operand: impl Fn(&mut Self) -> Result<Expression>,
        operators: &[(&str, Operator)],
    ) -> Result<Expression> {
        let mut left = operand(self)?;
        loop {
            let line = self.line();
            let found = operators.iter().find(|(spelled, _)| self.is_operator(spelled));
            let Some(&(_, operator)) = found else { return Ok(left) };
            self.at += 1;
            self.link()?;
            let right = operand(self)?;
            left = Expression::Binary(Box::new(Binary { operator, left, right, line }));
        }
    }

    fn unary(&mut self, with_filters: bool) -> Result<Expression> {
        let mut expression = if self.skip_operator("-") {
            let inner = self.deeper(|parser| parser.unary(false))?;
            Expression::Negative(Box::new(inner))
        } else if self.skip_operator("+") {
            let inner = self.deeper(|parser| parser.unary(false))?;
            Expression::Positive(Box::new(inner))
        } else {
            self.primary()?
        };
        expression = self.postfix(expression)?;
        if with_filters { self.filtered(expression) } else { Ok(expression) }
    }

    fn primary(&mut self) -> Result<Expression> {
        let Some(kind) = self.peek().cloned() else { return Err(self.expected("an expression")) };
        let constant = match kind {
            TokenKind::Name(name) => {
                self.at += 1;
                match name.as_str() {
                    "true" | "True" => Constant::Bool(true),
                    "false" | "False" => Constant::Bool(false),
                    "none" | "None" => Constant::None,
                    _ => {
                        return Ok(Expression::Name { name: name.into(), slot: Slot::default() });
                    }
                }
            }
            TokenKind::Text(mut text) => {
                self.at += 1;
                while let Some(TokenKind::Text(more)) = self.peek() {
                    text.push_str(more);
                    self.at += 1;
                }
                return Ok(Expression::Constant(Constant::Text(text.into())));
            }
            TokenKind::Int(value) => self.take(Constant::Int(value)),
            TokenKind::BigInt(digits) => self.take(Constant::BigInt(digits.into())),
            TokenKind::Float(value) => self.take(Constant::Float(value)),
            TokenKind::Operator("(") => {
                self.at += 1;
                let inner = self.tuple_of(true, |parser| parser.expression())?;
                self.expect_operator(")")?;
                return Ok(inner);
            }
            TokenKind::Operator("[") => return self.list(),
            TokenKind::Operator("{") => return self.dict(),
            _ => return Err(self.expected("an expression")),
        };
        Ok(Expression::Constant(constant))
    }

    fn take(&mut self, constant: Constant) -> Constant {
        self.at += 1;
        constant
    }

    fn list(&mut self) -> Result<Expression> {
        self.expect_operator("[")?;
        let mut items = Vec::new();
        while !self.is_operator("]") {
            if !items.is_empty() {
                self.expect_operator(",")?;
            }
            if self.is_operator("]") {
                break;
            }
            items.push(self.expression()?);
        }
        self.expect_operator("]")?;
        Ok(Expression::List(items))
    }

    fn dict(&mut self) -> Result<Expression> {
        self.expect_operator("{")?;
        let mut entries = Vec::new();
        while !self.is_operator("}") {
            if !entries.is_empty() {
                self.expect_operator(",")?;
            }
            if self.is_operator("}") {
                break;
            }
            let key = self.expression()?;
            self.expect_operator(":")?;
            entries.push((key, self.expression()?));
        }
        self.expect_operator("}")?;
        Ok(Expression::Dict(entries))
    }

    fn postfix(&mut self, mut expression: Expression) -> Result<Expression> {
        loop {
            self.link()?;
            let line = self.line();
            expression = if self.skip_operator(".") {
                self.dotted(expression, line)?
            } else if self.skip_operator("[") {
                self.subscript(expression, line)?
            } else if self.is_operator("(") {
                self.call(expression)?
            } else {
                return Ok(expression);
            };
        }
    }

    fn dotted(&mut self, value: Expression, line: u32) -> Result<Expression> {
        if let Some(&TokenKind::Int(number)) = self.peek() {
            self.at += 1;
            let index = Index::Value(Expression::Constant(Constant::Int(number)));
            return Ok(Expression::Item(Box::new(Item { value, index, line })));
        }
        let name = self.expect_name()?;
        let is_of_dicts = methods::is_of_dicts(&name);
        Ok(Expression::Attribute(Box::new(Attribute { value, name, is_of_dicts, line })))
    }

    fn subscript(&mut self, value: Expression, line: u32) -> Result<Expression> {
        let mut indices = Vec::new();
        while !self.is_operator("]") {
            if !indices.is_empty() {
                self.expect_operator(",")?;
            }
            indices.push(self.index()?);
        }
        self.expect_operator("]")?;
        let index = match indices.pop() {
            Some(one) if indices.is_empty() => one,
            Some(last) => {
                indices.push(last);
                let items = indices.into_iter().map(|index| match index {
                    Index::Value(value) => Ok(value),
                    Index::Slice(_) => Err(Error::unsupported("several slices of one value").at(line)),
                });
                Index::Value(Expression::Tuple(items.collect::<Result<_>>()?))
            }
            None => Index::Value(Expression::Tuple(Vec::new())),
        };
        Ok(Expression::Item(Box::new(Item { value, index, line })))
    }

    fn index(&mut self) -> Result<Index> {
        let mut parts = [const { None }; 3];
        if !self.is_operator(":") {
            let value = self.expression()?;
            if !self.is_operator(":") {
                return Ok(Index::Value(value));
            }
            parts[0] = Some(value);
        }
        for part in &mut parts[1..] {
            if !self.skip_operator(":") {
                break;
            }
            if !(self.is_operator(":") || self.is_operator("]") || self.is_operator(",")) {
                *part = Some(self.expression()?);
            }
        }
        Ok(Index::Slice(parts))
    }

    fn call(&mut self, function: Expression) -> Result<Expression> {
        let line = self.line();
        let arguments = self.arguments()?;
        Ok(Expression::Call(Box::new(Call { function, arguments, line })))
    }

    fn arguments(&mut self) -> Result<Arguments> {
        self.expect_operator("(")?;
        let mut arguments = Arguments::default();
        let mut is_first = true;
        while !self.is_operator(")") {
            if !std::mem::take(&mut is_first) {
                self.expect_operator(",")?;
                if self.is_operator(")") {
                    break;
                }
            }
            self.argument(&mut arguments)?;
        }
        self.expect_operator(")")?;
        Ok(arguments)
    }

    fn argument(&mut self, arguments: &mut Arguments) -> Result<()> {
        let line = self.line();
        self.check_arguments(arguments.positional.len() + arguments.named.len())?;
        let misplaced = || Err(Error::syntax(line, "the arguments of a call are in the wrong order"));
        let (has_rest, has_named_rest) = (arguments.rest.is_some(), arguments.named_rest.is_some());
        if self.skip_operator("*") {
            if has_rest || has_named_rest {
                return misplaced();
            }
            arguments.rest = Some(self.expression()?);
            return Ok(());
        }
        if self.skip_operator("**") {
            if has_named_rest {
                return misplaced();
            }
            arguments.named_rest = Some(self.expression()?);
            return Ok(());
        }
        let is_named = matches!(self.peek(), Some(TokenKind::Name(_)))
            && matches!(self.peek_second(), Some(TokenKind::Operator("=")));
        if is_named {
            if has_named_rest {
                return misplaced();
            }
            let name = self.expect_name()?;
            self.expect_operator("=")?;
            if arguments.named.iter().any(|(other, _)| *other == name) {
                return Err(Error::syntax(line, format!("the argument `{name}` is given twice")));
            }
            arguments.named.push((name, self.expression()?));
            return Ok(());
        }
        if has_rest || has_named_rest || !arguments.named.is_empty() {
            return misplaced();
        }
        arguments.positional.push(self.expression()?);
        Ok(())
    }

    /// Filters, tests and calls behind an expression.
    fn filtered(&mut self, mut expression: Expression) -> Result<Expression> {
        loop {
            self.link()?;
            expression = if self.skip_operator("|") {
                let filter = self.filter()?;
                Expression::Filter(Box::new(FilteredExpression { value: expression, filter }))
            } else if self.skip_name("is") {
                self.test(expression)?
            } else if self.is_operator("(") {
                self.call(expression)?
            } else {
                return Ok(expression);
            };
        }
    }

    /// A filter from its name on.
    pub(super) fn filter(&mut self) -> Result<Filter> {
        let line = self.line();
        let name = self.dotted_name()?;
        let arguments = if self.is_operator("(") { self.arguments()? } else { Arguments::default() };
        Ok(Filter { name, arguments, line })
    }

    fn dotted_name(&mut self) -> Result<Box<str>> {
        let mut name = self.expect_name()?.into_string();
        while self.skip_operator(".") {
            name.push('.');
            name.push_str(&self.expect_name()?);
        }
        Ok(name.into())
    }

    fn test(&mut self, value: Expression) -> Result<Expression> {
        let line = self.line();
        let is_negated = self.skip_name("not");
        let name = self.dotted_name()?;
        let arguments = if self.is_operator("(") {
            self.arguments()?
        } else if self.begins_argument_of_test() {
            if self.is_name("is") {
                return Err(Error::syntax(line, "tests can't be chained with `is`"));
            }
            let argument = self.primary()?;
            Arguments { positional: vec![self.postfix(argument)?], ..Arguments::default() }
        } else {
            Arguments::default()
        };
        let test = Expression::Test(Box::new(Test { value, name, arguments, line }));
        Ok(if is_negated { Expression::Not(Box::new(test)) } else { test })
    }

    fn begins_argument_of_test(&self) -> bool {
        match self.peek() {
            Some(TokenKind::Name(name)) => !matches!(name.as_str(), "else" | "or" | "and"),
            Some(TokenKind::Text(_) | TokenKind::Int(_) | TokenKind::BigInt(_) | TokenKind::Float(_)) => true,
            Some(TokenKind::Operator(operator)) => matches!(*operator, "[" | "{"),
            _ => false,
        }
    }
}
