"""Templates of random pieces, for a comparison of what they mean."""

import random

VARIABLES = {
    "s": "Hello wOrld",
    "empty": "",
    "blank": "  a b\tc \n",
    "uni": "Grüße\u2028x\x1c",
    "n": 7,
    "zero": 0,
    "minus": -3,
    "f": 1.5,
    "small": 1e-7,
    "large": 1e16,
    "nothing": None,
    "yes": True,
    "no": False,
    "ints": [3, 1, 2],
    "words": ["b", "a", "C"],
    "mixed": [1, "a", None, 2.5, True],
    "d": {"a": 1, "b": "x", "items": "I", "get": 2},
    "none_of_them": [],
    "bare": {},
    "messages": [
        {"role": "user", "content": "hi", "n": 2},
        {"role": "assistant", "content": " yo ", "n": 1, "tool_calls": [{"name": "f", "arguments": {"x": 1}}]},
    ],
    "nest": {"x": {"y": [{"z": "deep"}]}},
    "big": 12345678901234567890,
    "q": 'it\'s "q"',
}
STRINGS = ["s", "empty", "blank", "uni", "q", "'a'", "'b c'", "messages[0].content", "words[0]"]
NUMBERS = ["n", "zero", "minus", "f", "1", "2.0", "0.5", "10"]
LISTS = ["ints", "words", "mixed", "none_of_them", "[1, 2]", "['x', s]", "range(4)", "(1, 'x')"]
DICTS = ["d", "bare", "nest", "messages[1]", "{'k': n}"]
ANYTHING = [*STRINGS, *NUMBERS, *LISTS, *DICTS, "nothing", "yes", "no", "missing", "big", "messages"]
# What is applied to what, for the most part: a template that fails at its first word shows nothing.
OF_STRINGS = """upper lower trim length capitalize title replace('a','Z') replace('l','',1) indent indent(2,true) truncate(5)
truncate(5,true,'..') center(12) int float list reverse first last string tojson wordcount default('D',true)""".split()
OF_LISTS = """length list first last join join(',') reverse|list map('string')|list map('upper')|join('-') select|list
select('string')|list reject('none')|list batch(2)|list slice(2)|list unique|list tojson tojson(indent=2) sort sum min max
string count""".split()
OF_MESSAGES = """map(attribute='role')|list map(attribute='x',default='?')|list selectattr('role','equalto','user')|list
rejectattr('n','gt',1)|list sort(attribute='n') groupby('role') min(attribute='n') map(attribute='content')|map('trim')|join('|')
selectattr('tool_calls')|list tojson""".split()
OF_DICTS = "length list items|list dictsort tojson string first default('x')".split()
OF_NUMBERS = "abs int float round round(1) string tojson default(1)".split()
TESTS = (
    """defined undefined none string number integer float boolean mapping iterable sequence true false callable
eq(1) equalto('a') in([1,2,'a']) sameas(none) lower upper escaped""".split()
    + ["ne none", "not defined", "not string"]
)
STRING_METHODS = """upper() lower() strip() strip('a') lstrip() rstrip('\\n') split() split(' ') split('l',1) rsplit(None,1)
rsplit('l',1) startswith('H') endswith('d') startswith(('a','H')) replace('l','L') replace('','-') splitlines()
splitlines(true) title() capitalize() swapcase() count('l') find('o') rfind('o') partition(' ') rpartition('l')
join(['a','b']) isdigit() isupper() zfill(5) ljust(14,'.') center(14) removeprefix('He') removesuffix('ld') isspace()
expandtabs(4)""".split()
DICT_METHODS = ["items()", "keys()", "values()", "get('a')", "get('zz')", "get('zz', 5)", "copy()"]
COMPARISONS = ["==", "!=", "in", "not in", "and", "or", "~"]
ARITHMETIC = ["+", "-", "*", "/", "//", "%", "<", "<=", ">", ">=", "=="]
SPACE = ["", "\n", " ", "\n  ", "  \n\n", "x", "\t"]


def expression(r: random.Random, depth: int) -> str:
    """An expression that mostly has a value."""
    if depth == 0 or r.random() < 0.15:
        return r.choice(ANYTHING)
    inner = depth - 1
    kinds = [
        lambda: f"({r.choice(STRINGS)})|{r.choice(OF_STRINGS)}",
        lambda: f"({r.choice(LISTS)})|{r.choice(OF_LISTS)}",
        lambda: f"messages|{r.choice(OF_MESSAGES)}",
        lambda: f"({r.choice(DICTS)})|{r.choice(OF_DICTS)}",
        lambda: f"({r.choice(NUMBERS)})|{r.choice(OF_NUMBERS)}",
        lambda: f"({r.choice(STRINGS)}).{r.choice(STRING_METHODS)}",
        lambda: f"({r.choice(DICTS)}).{r.choice(DICT_METHODS)}",
        lambda: f"({expression(r, inner)}) {r.choice(COMPARISONS)} ({r.choice(LISTS)})",
        lambda: f"{r.choice(NUMBERS)} {r.choice(ARITHMETIC)} {r.choice(NUMBERS)}",
        lambda: f"{r.choice(STRINGS)} + {r.choice(STRINGS)} + ({r.choice(STRINGS)})|upper",
        lambda: f"({expression(r, inner)}) is {r.choice(TESTS)}",
        lambda: (
            f"({r.choice(STRINGS + LISTS)})[{r.choice(['0', '-1', '1:', '::-1', ':2', '1:-1', '::2', 'n', '-9:'])}]"
        ),
        lambda: f"({expression(r, inner)}) if ({expression(r, inner)}) else ({expression(r, inner)})",
        lambda: f"not ({expression(r, inner)})",
        lambda: f"[{expression(r, inner)}, {r.choice(ANYTHING)}]",
        lambda: f"{{'k': {expression(r, inner)}}}",
        # And now and then anything with anything.
        lambda: f"({expression(r, inner)})|{r.choice([*OF_STRINGS, *OF_LISTS, *OF_MESSAGES, 'safe'])}",
        lambda: f"({expression(r, inner)}) {r.choice([*ARITHMETIC, *COMPARISONS])} ({expression(r, inner)})",
        lambda: f"{r.choice(ANYTHING)}.{r.choice(['a', 'items', 'role', 'x', '0', 'keys', 'append(1)', 'nosuch'])}",
    ]
    return r.choice(kinds)()


def tag(r: random.Random, inside: str) -> str:
    return "{%" + r.choice(["", "", "", "-", "+"]) + f" {inside} " + r.choice(["", "", "-", "+"]) + "%}"


def printed(r: random.Random) -> str:
    return "{{" + r.choice(["", "", "-"]) + f" {expression(r, 2)} " + r.choice(["", "", "-"]) + "}}"


def body(r: random.Random, depth: int, in_loop: bool = False) -> str:
    parts = []
    for _ in range(r.randint(1, 3)):
        parts.append(r.choice(SPACE))
        parts.append(printed(r) if depth == 0 or r.random() < 0.35 else statement(r, depth - 1, in_loop))
    parts.append(r.choice(SPACE))
    return "".join(parts)


def statement(r: random.Random, depth: int, in_loop: bool) -> str:
    kinds = ["if", "if", "for", "for", "set", "set", "block", "macro", "generation", "with", "filter", "comment", "raw"]
    kind = r.choice([*kinds, "break"] if in_loop else kinds)
    if kind == "if":
        middle = tag(r, f"elif {expression(r, 1)}") + body(r, depth, in_loop) if r.random() < 0.3 else ""
        last = tag(r, "else") + body(r, depth, in_loop) if r.random() < 0.5 else ""
        return tag(r, f"if {expression(r, 1)}") + body(r, depth, in_loop) + middle + last + tag(r, "endif")
    if kind == "for":
        return loop(r, depth, in_loop)
    if kind == "set":
        return tag(r, f"set {r.choice(['x', 's', 'y', 'ns.v'])} = {expression(r, 2)}")
    if kind == "block":
        return tag(r, "set y") + body(r, depth) + tag(r, "endset") + "{{ y }}"
    if kind == "macro":
        given = r.choice(["1", "1, 3", "b=4", "", "s, b=n", "1,2,3", "c=3"])
        inside = "{{ a }}{{ b }}" + r.choice(["", "{{ varargs }}", "{{ kwargs }}"])
        return tag(r, "macro f(a, b=2)") + body(r, depth) + inside + tag(r, "endmacro") + f"{{{{ f({given}) }}}}"
    if kind == "generation":
        return tag(r, "generation") + body(r, depth) + tag(r, "endgeneration")
    if kind == "with":
        return tag(r, f"with x = {expression(r, 1)}") + body(r, depth, in_loop) + "{{ x }}" + tag(r, "endwith")
    if kind == "filter":
        return tag(r, "filter upper") + body(r, depth) + tag(r, "endfilter")
    if kind == "comment":
        return "{#" + r.choice(["", "-", "+"]) + " c " + r.choice(["", "-", "+"]) + "#}"
    if kind == "raw":
        return tag(r, "raw").replace("+%}", "%}") + "{{ x }}" + tag(r, "endraw")
    return tag(r, f"if {expression(r, 1)}") + tag(r, r.choice(["break", "continue"])) + tag(r, "endif")


def loop(r: random.Random, depth: int, in_loop: bool) -> str:
    target, items = r.choice(
        [("x", r.choice(LISTS)), ("x", "messages"), ("k, v", "d.items()"), ("k, v", "bare.items()"), ("s", "words")]
    )
    test = f" if {expression(r, 1)}" if r.random() < 0.2 else ""
    shown = [
        "{{ loop.index }}{{ loop.last }}",
        "{{ x }}",
        "{{ loop.nextitem }}",
        "{{ loop.length }}{{ loop.revindex }}",
        "{{ loop.previtem }}{{ loop.cycle('o', 'e') }}",
        "{{ loop.changed(x) }}",
        "",
    ]
    last = tag(r, "else") + body(r, depth, in_loop) if r.random() < 0.2 else ""
    inside = body(r, depth, True) + r.choice(shown)
    return tag(r, f"for {target} in {items}{test}") + inside + last + tag(r, "endfor")


def template(r: random.Random) -> str:
    source = body(r, 2)
    return "{% set ns = namespace(v=0) %}" + source + "{{ ns.v }}" if r.random() < 0.6 else source
