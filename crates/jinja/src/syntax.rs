//! A template as a tree.
//!
//! Names are resolved to slots before anything is rendered (`scope`): Jinja decides by the text of a template, not while it
//! runs, which variable a name means.

/// What a body is made of.
#[derive(Debug)]
pub(crate) enum Statement {
    /// Text as it is.
    Data(Box<str>),
    Print(Expression),
    If(Box<If>),
    For(Box<For>),
    Set {
        target: Assigned,
        value: Expression,
        line: u32,
    },
    SetBlock(Box<SetBlock>),
    Macro(Box<MacroStatement>),
    CallBlock(Box<CallBlock>),
    FilterBlock(Box<FilterBlock>),
    With(Box<With>),
    /// What `{% generation %}` encloses: the words of the assistant, in a scope of their own.
    Generation(Box<Macro>),
    Break {
        line: u32,
    },
    Continue {
        line: u32,
    },
}

impl Statement {
    /// Whether there is a `generation` block in it.
    pub(crate) fn has_generation(&self) -> bool {
        let any = |body: &[Self]| body.iter().any(Self::has_generation);
        match self {
            Self::Data(_)
            | Self::Print(_)
            | Self::Set { .. }
            | Self::Break { .. }
            | Self::Continue { .. } => false,
            Self::If(branching) => {
                branching.branches.iter().any(|(_, body)| any(body)) || any(&branching.otherwise)
            }
            Self::For(looping) => any(&looping.body) || any(&looping.otherwise),
            Self::SetBlock(block) => any(&block.body),
            Self::Macro(statement) => any(&statement.makes.body),
            Self::CallBlock(block) => any(&block.caller.body),
            Self::FilterBlock(block) => any(&block.body),
            Self::With(with) => any(&with.body),
            Self::Generation(_) => true,
        }
    }
}

#[derive(Debug)]
pub(crate) struct If {
    /// The first is the `if`, the others are the `elif`s.
    pub(crate) branches: Vec<(Expression, Vec<Statement>)>,
    pub(crate) otherwise: Vec<Statement>,
}

#[derive(Debug)]
pub(crate) struct For {
    pub(crate) target: Assigned,
    pub(crate) iterated: Expression,
    /// What an item has to pass, with the target that it is assigned to for that.
    pub(crate) filter: Option<LoopFilter>,
    pub(crate) body: Vec<Statement>,
    pub(crate) otherwise: Vec<Statement>,
    pub(crate) is_recursive: bool,
    /// The slot of `loop`, where the body looks at it.
    pub(crate) loop_slot: Option<Slot>,
    pub(crate) scope: Scope,
    pub(crate) otherwise_scope: Scope,
    /// How many slots a call of the loop has, where it is recursive.
    pub(crate) slots: usize,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct LoopFilter {
    pub(crate) test: Expression,
    pub(crate) target: Assigned,
    pub(crate) scope: Scope,
}

#[derive(Debug)]
pub(crate) struct SetBlock {
    pub(crate) target: Assigned,
    pub(crate) filters: Vec<Filter>,
    pub(crate) body: Vec<Statement>,
    pub(crate) scope: Scope,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct MacroStatement {
    pub(crate) slot: Slot,
    pub(crate) makes: Macro,
}

/// A function of a template: a macro, or the body of a `call` block.
#[derive(Debug)]
pub struct Macro {
    pub(crate) name: Box<str>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Vec<Statement>,
    pub(crate) scope: Scope,
    /// How many slots a call has.
    pub(crate) slots: usize,
    /// The slots of `caller`, `kwargs` and `varargs`, where the body looks at them.
    pub(crate) caller: Option<u32>,
    pub(crate) kwargs: Option<u32>,
    pub(crate) varargs: Option<u32>,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: Box<str>,
    pub(crate) slot: u32,
    pub(crate) default: Option<Expression>,
}

#[derive(Debug)]
pub(crate) struct CallBlock {
    pub(crate) call: Call,
    pub(crate) caller: Macro,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct FilterBlock {
    pub(crate) filters: Vec<Filter>,
    pub(crate) body: Vec<Statement>,
    pub(crate) scope: Scope,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct With {
    pub(crate) targets: Vec<Assigned>,
    pub(crate) values: Vec<Expression>,
    pub(crate) body: Vec<Statement>,
    pub(crate) scope: Scope,
    pub(crate) line: u32,
}

/// What is assigned to.
#[derive(Debug)]
pub(crate) enum Assigned {
    Name {
        name: Box<str>,
        slot: Slot,
    },
    /// An attribute of a namespace.
    Attribute {
        name: Box<str>,
        slot: Slot,
        attribute: Box<str>,
    },
    Tuple(Vec<Self>),
}

/// A variable: in the slots of how many functions further out, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Slot {
    pub(crate) out: u32,
    pub(crate) index: u32,
}

/// What the variables of a scope are when it is entered.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) loads: Vec<(u32, Load)>,
}

/// What a variable is before anything is assigned to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Load {
    /// What the caller of the template gave by this name, or a function that every template has.
    Global(Box<str>),
    /// Another variable.
    Alias(Slot),
    Undefined,
}

#[derive(Debug)]
pub(crate) enum Expression {
    Constant(Constant),
    Name {
        name: Box<str>,
        slot: Slot,
    },
    List(Vec<Self>),
    Tuple(Vec<Self>),
    Dict(Vec<(Self, Self)>),
    Not(Box<Self>),
    Negative(Box<Self>),
    Positive(Box<Self>),
    And(Box<(Self, Self)>),
    Or(Box<(Self, Self)>),
    Binary(Box<Binary>),
    /// `a ~ b`.
    Concat(Vec<Self>),
    Compare(Box<Compare>),
    /// `yes if test else no`.
    Condition(Box<Condition>),
    Filter(Box<FilteredExpression>),
    Test(Box<Test>),
    Call(Box<Call>),
    Attribute(Box<Attribute>),
    Item(Box<Item>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    None,
    Bool(bool),
    Int(i64),
    BigInt(Box<str>),
    Float(f64),
    Text(Box<str>),
}

#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) operator: Operator,
    pub(crate) left: Expression,
    pub(crate) right: Expression,
    pub(crate) line: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

#[derive(Debug)]
pub(crate) struct Compare {
    pub(crate) first: Expression,
    pub(crate) rest: Vec<(ComparisonOperator, Expression)>,
    pub(crate) line: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ComparisonOperator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
}

#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) test: Expression,
    pub(crate) yes: Expression,
    pub(crate) no: Option<Expression>,
}

/// A filter without what it is applied to.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) name: Box<str>,
    pub(crate) arguments: Arguments,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct FilteredExpression {
    pub(crate) value: Expression,
    pub(crate) filter: Filter,
}

#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) value: Expression,
    pub(crate) name: Box<str>,
    pub(crate) arguments: Arguments,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: Expression,
    pub(crate) arguments: Arguments,
    pub(crate) line: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) positional: Vec<Expression>,
    pub(crate) named: Vec<(Box<str>, Expression)>,
    /// `*rest`.
    pub(crate) rest: Option<Expression>,
    /// `**named_rest`.
    pub(crate) named_rest: Option<Expression>,
}

#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) value: Expression,
    pub(crate) name: Box<str>,
    /// Whether some dict has something of Python's by this name, which comes before its keys.
    pub(crate) is_of_dicts: bool,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) value: Expression,
    pub(crate) index: Index,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) enum Index {
    Value(Expression),
    /// `start:stop:step`.
    Slice([Option<Expression>; 3]),
}
