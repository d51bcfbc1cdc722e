"""Templates mean what they mean to transformers: the rows of the dialect, and templates of random pieces.

Where transformers renders a template, mashbill gives the same text or says that it does not have something
(`Unsupported`); where transformers fails, mashbill fails.
"""

import random
from typing import Any

import pytest
from chats import Answer, Request, answers
from reference_chats import rendered
from templates import VARIABLES, template

# Where other engines differ from Jinja: mostly without a word.
ROWS = {
    "none has no items": "{{ none is iterable }}{% if tools is iterable and tools | length > 0 %}x{% endif %}",
    "a loop over none is an error": "{% for x in none %}x{% endfor %}",
    "a list as a string": "{{ ['a', None, True, 1.0] ~ '' }}{{ [none] | string | upper }}{{ {'a': \"it's\"} | trim }}",
    "printed values": "{{ {'a': 1.0, 'b': [None]} }}{{ 1e-7 }} {{ 1e16 }} {{ 1e15 }} {{ 0.1 + 0.2 }} {{ -0.0 }}",
    "tuples": "{{ (1, 2) }}{{ (1,) }}{{ {'a': 1}.items() | list }}{{ dict(a=1).items() }}",
    "title": "{{ 'doc_id of-a (thing' | title }}{{ 'doc_id of-a'.title() }}",
    "json": "{{ {'a': '<&\\'>', 'b': [1, 2.0, none, true], 'ü': '\\u2028'} | tojson }}{{ [1] | tojson(indent=2) }}",
    "json sorted and spelled": "{{ {'b': 1, 'a': 'é'} | tojson(sort_keys=true, ensure_ascii=true, separators=(',', ':')) }}",
    "what a string and a truth value are": "{{ 'x' is sequence }}{{ true is number }}{{ true is integer }}{{ {} is sequence }}",
    "a method before a key": "{{ {'items': 1}.items is callable }}{{ {'items': 1}['items'] }}{{ {'get': 2}['get'] }}",
    "no order of kinds": "{{ 'a' < 1 }}",
    "white space of Python": "[{{ '\\x1c a \\u2028'.strip() }}]{{ 'a\\u2028b\\x1dc'.splitlines() }}{{ 'a\\x1fb'.split() }}",
    "cuts from the right": "{{ 'a b c'.rsplit(None, 1) }}{{ 'a-b-c'.rpartition('-') }}{{ 'abcabc'.rindex('c') }}",
    "widths": "{{ 'ab'.zfill(5) }}{{ '-7'.zfill(4) }}{{ 'ab'.ljust(4, '.') }}{{ 'ab'.center(5, '*') }}{{ 'Ab'.swapcase() }}",
    "per cent": "{{ '%s is %d%% of %.2f' % ('x', 7, 1.005) }}{{ '%5s|%-5s|%05d' % ('a', 'b', 42) }}{{ '%(a)s' % {'a': 1} }}",
    "format": "{{ '{} {x} {0!r}'.format('a', x=1) }}",
    "format by number": "{{ '{0[a]:>5}|{1:<4}|{1:^5}|{2:.2f}'.format({'a': 'b'}, 12, 3.14159) }}",
    "joiner and cycler": "{% set j = joiner() %}{% set c = cycler('a', 'b') %}{% for x in [1, 2, 3] %}{{ j() }}{{ c.next() }}{% endfor %}",
    "counts": "{{ 'a b, c' | wordcount }}{{ missing | length }}{{ 'x' | int(7) }}{{ '42.9' | int }}{{ ' 12 ' | int }}",
    "powers": "{{ 10 ** -1 }} {{ 2 ** 10 }} {{ 7 // -2 }} {{ -7 % 3 }} {{ 7.5 // 2 }} {{ 1 / 3 }}",
    "slices": "{{ 'héllo'[::-1] }}{{ [1, 2, 3][-2:] }}{{ 'abc'[5:] }}{{ (1, 2, 3)[::2] }}{{ range(5)[1:3] | list }}",
    "a slice of none is an error": "{{ missing_or_none[1:] }}",
    "what is not there": "{{ missing }}{{ {}.x }}{{ 'abc'[7] }}{{ none.x is defined }}{{ [].append is defined }}",
    "deeper than what is not there": "{{ missing.x }}",
    "a namespace keeps": "{% set ns = namespace(n=0) %}{% for x in [1, 2] %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}",
    "a loop forgets": "{% set n = 0 %}{% for x in [1, 2] %}{% set n = n + x %}{{ n }}{% endfor %}{{ n }}",
    "an if does not": "{% if true %}{% set n = 1 %}{% endif %}{{ n }}",
    "a later assignment hides": "{% for x in [1] %}{{ s }}{% endfor %}{% set s = 'later' %}{{ s }}",
    "only one branch assigns": "{% if false %}{% set s = 'x' %}{% endif %}{{ s }}",
    "a macro and its caller": "{% macro m(a, b=a) %}{{ a }}{{ b }}{{ caller() if caller else '-' }}{{ kwargs }}{% endmacro %}"
    "{{ m(1, x=2) }}{% call m('y') %}in{% endcall %}",
    "a loop looks ahead": "{% for x in [1, 1, 2] if x %}{{ loop.index }}/{{ loop.length }}{{ loop.changed(x) }}"
    "{{ loop.previtem }}{{ loop.nextitem }}{{ loop.last }} {% endfor %}",
    "a loop that calls itself": "{% for x in [1, [2, [3]]] recursive %}{{ loop(x) if x is iterable else x }}{{ loop.depth }}{% endfor %}",
    "else of a loop": "{% for x in [1] %}{% continue %}{% else %}e{% endfor %}{% for x in [1] %}{% break %}{% else %}f{% endfor %}",
    "blocks of the assistant": "a{% for x in 'ü1' %}{% generation %}{{ x }}{% generation %}n{% endgeneration %}{% endgeneration %}{% endfor %}",
    "white space of tags": "a  {%- if true +%}  \n b {% endif %}\n  {# c -#}  \n{{- 'x' -}}  \n {% raw -%} {{ y }} {%- endraw %}\n",
    "line breaks": "a\r\nb\rc\n{% set x %}\r\n{% endset %}{{ x }}\n\n",
    "a set block with filters": "{% set x | upper | trim %} a {{ 'b' }} {% endset %}[{{ x }}]{% filter replace('a', 'z') %}aa{% endfilter %}",
    "what is safe": "{{ '<a>' | safe }}{{ {'a': '<'} | tojson | safe }}",
    "the date": "{{ strftime_now('%d %b %Y, %A %-d %j') }}",
    "the template refuses": "{{ raise_exception('no such role') }}",
    "no such filter": "{{ 1 | nothing }}",
    "no such filter where nobody goes": "{% if false %}{{ 1 | nothing }}{% endif %}x",
    "no such test": "{{ 1 is nothing }}",
    "a break outside": "{% break %}",
    "numbers beyond 2^63": "{{ big }}{{ [big] }}{{ big | tojson }}{{ big == big }}{{ big > 1 }}",
    "sorted": "{{ ['b', 'A', 'c'] | sort }}{{ [3, 1] | sort(reverse=true) }}{{ {'b': 1, 'A': 2} | dictsort }}",
    "grouped": "{% for k, v in [{'r': 'u', 'n': 1}, {'r': 'a', 'n': 2}] | groupby('r') %}{{ k }}{{ v }}{% endfor %}",
    "chosen": "{{ [{'r': 'u'}, {'r': 'a'}, {}] | selectattr('r', 'defined') | map(attribute='r') | join('+') }}"
    "{{ [1, 2, 3] | reject('odd') | list }}{{ ['a'] | map('upper') | first }}",
}


def verdict(expected: Answer, found: Answer) -> str:
    """What a pair of answers is: `equal`, `both refuse`, `unsupported`, or what must not be."""
    if "text" in found:
        if "text" not in expected:
            return f"rendered, where transformers has {expected['error']}: {expected['detail']}"
        same = found["text"] == expected["text"] and sorted(found["generations"]) == sorted(expected["generations"])
        return "equal" if same else "another text"
    if "text" not in expected:
        return "both refuse"
    return "unsupported" if found["error"] in ("Unsupported", "Limit") else f"refused: {found['detail']}"


def compare(requests: list[Request]) -> list[str]:
    return [verdict(rendered(request), found) for request, found in zip(requests, answers(requests), strict=True)]


def request(source: str) -> Request:
    values: dict[str, Any] = {**VARIABLES, "tools": None}
    return {"template": source, "variables": values}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_dialect(name: str) -> None:
    asked = request(ROWS[name])
    (found,) = answers([asked])
    expected = rendered(asked)
    assert verdict(expected, found) in ("equal", "both refuse"), (expected, found)


@pytest.mark.parametrize("seed", range(4))
def test_templates_of_random_pieces(seed: int) -> None:
    source = random.Random(seed)
    requests = [request(template(source)) for _ in range(1_500)]
    verdicts = compare(requests)
    wrong = [
        (asked["template"], found)
        for asked, found in zip(requests, verdicts, strict=True)
        if found not in ("equal", "both refuse", "unsupported")
    ]
    assert not wrong, wrong[:3]
    assert verdicts.count("equal") > 500, "too few templates are good ones"
    assert verdicts.count("unsupported") < 30
