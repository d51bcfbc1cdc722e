//! Tokens to a tree, as Jinja 3.1 reads them, with `break`, `continue` and `generation`.

mod expression;

use crate::error::{Error, Result};
use crate::lexer::{Token, TokenKind};
use crate::syntax::{
    Assigned, Call, CallBlock, Expression, Filter, FilterBlock, For, If, LoopFilter, Macro, MacroStatement,
    Parameter, Scope, SetBlock, Slot, Statement, With,
};

/// How deep statements and expressions may be nested.
const DEPTH_MAX: usize = 200;

/// How many operators, filters, calls and the like a tag may have: each is one level of the tree.
const LINKS_MAX: usize = 2_000;

/// How many arguments a call may have, and a macro parameters.
const ARGUMENTS_MAX: usize = 1_000;

/// The tree of a template.
///
/// # Errors
/// `Syntax`, `Unsupported`, `Limit`.
pub(crate) fn parse(tokens: Vec<Token>) -> Result<Vec<Statement>> {
    let mut parser = Parser { tokens, at: 0, depth: 0, links: 0 };
    let body = parser.statements(&[])?;
    match parser.tokens.get(parser.at) {
        None => Ok(body),
        Some(token) => Err(Error::syntax(token.line, "a tag ends nothing")),
    }
}

pub(crate) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Operators and the like of the tag so far.
    links: usize,
}

impl Parser {
    fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.line)
    }

    fn peek(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn peek_second(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at + 1).map(|token| &token.kind)
    }

    fn is_operator(&self, spelled: &str) -> bool {
        matches!(self.peek(), Some(TokenKind::Operator(operator)) if *operator == spelled)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(TokenKind::Name(found)) if found == name)
    }

    fn is_any_name(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.is_name(name))
    }

    fn skip_operator(&mut self, spelled: &str) -> bool {
        let found = self.is_operator(spelled);
        self.at += usize::from(found);
        found
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    fn expect_operator(&mut self, spelled: &str) -> Result<()> {
        if self.skip_operator(spelled) { Ok(()) } else { Err(self.expected(&format!("`{spelled}`"))) }
    }

    fn expect_name(&mut self) -> Result<Box<str>> {
        let Some(TokenKind::Name(name)) = self.peek() else { return Err(self.expected("a name")) };
        let name = name.as_str().into();
        self.at += 1;
        Ok(name)
    }

    fn expect(&mut self, kind: &TokenKind, name: &str) -> Result<()> {
        if self.peek() != Some(kind) {
            return Err(self.expected(name));
        }
        self.at += 1;
        Ok(())
    }

    fn expected(&self, what: &str) -> Error {
        let found = match self.peek() {
            None => "the template ends".to_owned(),
            Some(TokenKind::Name(name)) => format!("there is `{name}`"),
            Some(TokenKind::Operator(operator)) => format!("there is `{operator}`"),
            Some(TokenKind::BlockEnd | TokenKind::PrintEnd) => "the tag ends".to_owned(),
            Some(_) => "there is something else".to_owned(),
        };
        Error::syntax(self.line(), format!("{what} is expected, and {found}"))
    }

    /// Runs `read` one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEPTH_MAX {
            let error =
                Error::new(crate::ErrorKind::Limit, format!("it is nested more than {DEPTH_MAX} deep"));
            return Err(error.at(self.line()));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Checks that there may be one more than `count` arguments or parameters.
    fn check_arguments(&self, count: usize) -> Result<()> {
        if count < ARGUMENTS_MAX {
            return Ok(());
        }
        let detail = format!("a call or a macro has more than {ARGUMENTS_MAX} arguments");
        Err(Error::new(crate::ErrorKind::Limit, detail).at(self.line()))
    }

    /// Counts an operator, or what else puts an expression into another one.
    fn link(&mut self) -> Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            let detail = format!("a tag has more than {LINKS_MAX} operators, filters and calls");
            return Err(Error::new(crate::ErrorKind::Limit, detail).at(self.line()));
        }
        Ok(())
    }

    /// Statements up to a tag that begins with one of `ends`, of which the name is not taken.
    fn statements(&mut self, ends: &[&str]) -> Result<Vec<Statement>> {
        self.deeper(|parser| parser.statements_here(ends))
    }

    fn statements_here(&mut self, ends: &[&str]) -> Result<Vec<Statement>> {
        let mut body = Vec::new();
        while let Some(kind) = self.tokens.get(self.at).map(|token| &token.kind) {
            self.links = 0;
            match kind {
                TokenKind::Data(data) => {
                    body.push(Statement::Data(data.as_str().into()));
                    self.at += 1;
                }
                TokenKind::PrintBegin => {
                    self.at += 1;
                    body.push(Statement::Print(self.tuple()?));
                    self.expect(&TokenKind::PrintEnd, "`}}`")?;
                }
                TokenKind::BlockBegin => {
                    self.at += 1;
                    if self.is_any_name(ends) {
                        return Ok(body);
                    }
                    let statement = self.statement()?;
                    body.push(statement);
                    self.expect(&TokenKind::BlockEnd, "`%}`")?;
                }
                _ => return Err(self.expected("a tag")),
            }
        }
        if ends.is_empty() { Ok(body) } else { Err(self.expected(&format!("`{}`", ends.join("` or `")))) }
    }

    /// A body: from behind the tag that begins it to its end, whose name is taken.
    fn body(&mut self, ends: &[&str]) -> Result<Vec<Statement>> {
        self.skip_operator(":");
        self.expect(&TokenKind::BlockEnd, "`%}`")?;
        self.statements(ends)
    }

    fn body_to(&mut self, end: &str) -> Result<Vec<Statement>> {
        let body = self.body(&[end])?;
        self.at += 1;
        Ok(body)
    }

    fn statement(&mut self) -> Result<Statement> {
        let line = self.line();
        let name = self.expect_name()?;
        match &*name {
            "if" => self.if_(),
            "for" => self.for_(line),
            "set" => self.set(line),
            "macro" => self.macro_(line),
            "call" => self.call_block(line),
            "filter" => self.filter_block(line),
            "with" => self.with(line),
            "generation" => {
                let body = self.body_to("endgeneration")?;
                Ok(Statement::Generation(Box::new(function("generation".into(), Vec::new(), body, line))))
            }
            "print" => {
                let mut parts = Vec::new();
                while self.peek() != Some(&TokenKind::BlockEnd) {
                    if !parts.is_empty() {
                        self.expect_operator(",")?;
                    }
                    parts.push(self.expression()?);
                }
                Ok(Statement::Print(Expression::Concat(parts)))
            }
            "break" => Ok(Statement::Break { line }),
            "continue" => Ok(Statement::Continue { line }),
            "block" | "extends" | "include" | "import" | "from" | "autoescape" => {
                Err(Error::unsupported(format!("the tag `{name}`")).at(line))
            }
            "else" | "elif" => {
                Err(Error::syntax(line, format!("`{name}` stands outside of an `if` or `for`")))
            }
            _ if name.starts_with("end") => Err(Error::syntax(line, format!("`{name}` closes nothing"))),
            _ => Err(Error::syntax(line, format!("there is no tag `{name}`"))),
        }
    }

    fn if_(&mut self) -> Result<Statement> {
        let mut branches = Vec::new();
        loop {
            let test = self.tuple_without_condition()?;
            branches.push((test, self.body(&["elif", "else", "endif"])?));
            let name = self.expect_name()?;
            match &*name {
                "elif" => {}
                "else" => {
                    let otherwise = self.body_to("endif")?;
                    return Ok(Statement::If(Box::new(If { branches, otherwise })));
                }
                _ => return Ok(Statement::If(Box::new(If { branches, otherwise: Vec::new() }))),
            }
        }
    }

    fn for_(&mut self, line: u32) -> Result<Statement> {
        let start = self.at;
        let target = self.target(false)?;
        if !self.skip_name("in") {
            return Err(self.expected("`in`"));
        }
        let iterated = self.tuple_without_condition()?;
        let test = if self.skip_name("if") { Some(self.expression()?) } else { None };
        // The item is assigned once more for the test, to variables of its own.
        let filter = match test {
            Some(test) => {
                let end = std::mem::replace(&mut self.at, start);
                let target = self.target(false)?;
                self.at = end;
                Some(LoopFilter { test, target, scope: Scope::default() })
            }
            None => None,
        };
        let is_recursive = self.skip_name("recursive");
        let body = self.body(&["endfor", "else"])?;
        let otherwise = if &*self.expect_name()? == "else" { self.body_to("endfor")? } else { Vec::new() };
        Ok(Statement::For(Box::new(For {
            target,
            iterated,
            filter,
            body,
            otherwise,
            is_recursive,
            loop_slot: None,
            scope: Scope::default(),
            otherwise_scope: Scope::default(),
            slots: 0,
            line,
        })))
    }

    fn set(&mut self, line: u32) -> Result<Statement> {
        let target = self.target(true)?;
        if self.skip_operator("=") {
            return Ok(Statement::Set { target, value: self.tuple()?, line });
        }
        let filters = self.filters()?;
        let body = self.body_to("endset")?;
        Ok(Statement::SetBlock(Box::new(SetBlock { target, filters, body, scope: Scope::default(), line })))
    }

    fn macro_(&mut self, line: u32) -> Result<Statement> {
        let name = self.expect_name()?;
        let parameters = self.signature()?;
        let body = self.body_to("endmacro")?;
        let makes = function(name, parameters, body, line);
        Ok(Statement::Macro(Box::new(MacroStatement { slot: Slot::default(), makes })))
    }

    fn signature(&mut self) -> Result<Vec<Parameter>> {
        self.expect_operator("(")?;
        let mut parameters: Vec<Parameter> = Vec::new();
        while !self.is_operator(")") {
            if !parameters.is_empty() {
                self.expect_operator(",")?;
            }
            let line = self.line();
            self.check_arguments(parameters.len())?;
            let name = self.assigned_name()?;
            let default = if self.skip_operator("=") { Some(self.expression()?) } else { None };
            if default.is_none() && parameters.last().is_some_and(|last| last.default.is_some()) {
                return Err(Error::syntax(line, "a parameter without a default follows one with a default"));
            }
            if parameters.iter().any(|parameter| parameter.name == name) {
                return Err(Error::syntax(line, format!("two parameters are called `{name}`")));
            }
            parameters.push(Parameter { name, slot: 0, default });
        }
        self.expect_operator(")")?;
        Ok(parameters)
    }

    fn call_block(&mut self, line: u32) -> Result<Statement> {
        let parameters = if self.is_operator("(") { self.signature()? } else { Vec::new() };
        let Expression::Call(call) = self.expression()? else {
            return Err(Error::syntax(line, "a `call` block calls nothing"));
        };
        let Call { function: called, arguments, line: call_line } = *call;
        let body = self.body_to("endcall")?;
        let call = Call { function: called, arguments, line: call_line };
        let caller = function("caller".into(), parameters, body, line);
        Ok(Statement::CallBlock(Box::new(CallBlock { call, caller, line })))
    }

    fn filter_block(&mut self, line: u32) -> Result<Statement> {
        let mut filters = vec![self.filter()?];
        filters.extend(self.filters()?);
        let body = self.body_to("endfilter")?;
        Ok(Statement::FilterBlock(Box::new(FilterBlock { filters, body, scope: Scope::default(), line })))
    }

    fn with(&mut self, line: u32) -> Result<Statement> {
        let (mut targets, mut values) = (Vec::new(), Vec::new());
        while self.peek() != Some(&TokenKind::BlockEnd) {
            if !targets.is_empty() {
                self.expect_operator(",")?;
            }
            targets.push(self.target(false)?);
            self.expect_operator("=")?;
            values.push(self.expression()?);
        }
        let body = self.body_to("endwith")?;
        Ok(Statement::With(Box::new(With { targets, values, body, scope: Scope::default(), line })))
    }

    /// A name that is assigned to.
    fn assigned_name(&mut self) -> Result<Box<str>> {
        let line = self.line();
        let name = self.expect_name()?;
        if matches!(&*name, "true" | "false" | "True" | "False" | "none" | "None") {
            return Err(Error::syntax(line, format!("nothing can be assigned to `{name}`")));
        }
        Ok(name)
    }

    /// What is assigned to: a name, an attribute of a namespace if `with_namespace`, or several. As in Jinja, only a bracket or
    /// the end of the tag may follow a last comma.
    fn target(&mut self, with_namespace: bool) -> Result<Assigned> {
        let mut targets = Vec::new();
        let mut is_tuple = false;
        loop {
            if !targets.is_empty() && !self.skip_operator(",") {
                break;
            }
            is_tuple |= !targets.is_empty();
            if self.is_operator(")") || matches!(self.peek(), Some(TokenKind::BlockEnd) | None) {
                break;
            }
            targets.push(self.one_target(with_namespace)?);
        }
        match targets.pop() {
            Some(one) if !is_tuple => Ok(one),
            Some(last) => {
                targets.push(last);
                Ok(Assigned::Tuple(targets))
            }
            None => Err(self.expected("a name")),
        }
    }

    fn one_target(&mut self, with_namespace: bool) -> Result<Assigned> {
        if self.skip_operator("(") {
            let inner = self.deeper(|parser| parser.target(false))?;
            self.expect_operator(")")?;
            return Ok(inner);
        }
        let name = self.assigned_name()?;
        if with_namespace && self.skip_operator(".") {
            let attribute = self.expect_name()?;
            return Ok(Assigned::Attribute { name, slot: Slot::default(), attribute });
        }
        Ok(Assigned::Name { name, slot: Slot::default() })
    }

    /// `| filter | filter`, any number of them.
    fn filters(&mut self) -> Result<Vec<Filter>> {
        let mut filters = Vec::new();
        while self.skip_operator("|") {
            filters.push(self.filter()?);
        }
        Ok(filters)
    }
}

fn function(name: Box<str>, parameters: Vec<Parameter>, body: Vec<Statement>, line: u32) -> Macro {
    Macro {
        name,
        parameters,
        body,
        scope: Scope::default(),
        slots: 0,
        caller: None,
        kwargs: None,
        varargs: None,
        line,
    }
}
