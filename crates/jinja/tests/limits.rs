//! Templates of others end, whatever they do: in bounded time and memory, with an error that says which limit it was.

#![expect(
    clippy::disallowed_methods,
    reason = "the environment says whether there is time for the long form"
)]

use std::time::Instant;

use bumpalo::Bump;
use mashbill_jinja::{
    Dict, ErrorKind, OriginMark, RenderLimits, Rendering, Result, TEMPLATE_BYTES_MAX, Template, TemplateValue,
};

const SMALL: RenderLimits = RenderLimits { steps: 200_000, memory: 8 << 20, output: 1 << 20 };

/// Renders with `s`, a marked string, and `d`, a dict; gives the text and the bytes that are in the arena afterwards.
fn render_counted(source: &str, limits: RenderLimits) -> (Result<String>, usize) {
    let template = match Template::new(source) {
        Ok(template) => template,
        Err(error) => return (Err(error), 0),
    };
    let (arena, mut rendered) = (Bump::new(), Rendering::default());
    let marked = |text| TemplateValue::Text(mashbill_jinja::MarkedText::marked(text, OriginMark(3)));
    let entries = (0..100).map(|at| (marked(arena.alloc_str(&format!("k{at}"))), TemplateValue::Int(at)));
    let dict = Dict::new(&arena, entries).expect("strings are keys");
    let dict = TemplateValue::Dict(arena.alloc(dict));
    let variables = arena.alloc_slice_copy(&[("s", marked("ab")), ("d", dict)]);
    let result = template.render(&arena, variables, None, limits, &mut rendered);
    (result.map(|()| rendered.text.as_str().to_owned()), arena.allocated_bytes())
}

fn render(source: &str, limits: RenderLimits) -> Result<String> {
    render_counted(source, limits).0
}

/// What the source fails with. It must not have taken more memory than it may, but for what is not full yet.
fn kind(source: &str) -> ErrorKind {
    let (result, bytes) = render_counted(source, SMALL);
    assert!(bytes <= 3 * SMALL.memory, "{bytes} bytes in memory: {source}");
    match result {
        Ok(text) => panic!("{} bytes of {source}", text.len()),
        Err(error) => error.kind,
    }
}

fn assert_limited(sources: &[&str]) {
    for source in sources {
        let kind = kind(source);
        assert!(matches!(kind, ErrorKind::Limit | ErrorKind::TooLong), "{kind:?}: {source}");
    }
}

/// A template that changes a namespace's `x` many times: it begins as `first`.
fn growing(first: &str, next: &str, times: usize, then: &str) -> String {
    format!(
        "{{% set n = namespace(x={first}) %}}{{% for i in range({times}) %}}{{% set n.x = {next} %}}{{% endfor %}}{then}"
    )
}

#[test]
fn loops_and_calls_end() {
    assert_limited(&[
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% macro m() %}{{ caller and 1 }}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% for x in range(100000) %}{{ range(100000) | sum }}{% endfor %}",
        "{% for x in range(100000) if x < 0 %}{% else %}{% for y in range(100000) if y < 0 %}{% endfor %}{% endfor %}",
        "{% for x in range(9999) %}{{ ('a' * 100000).count('a') }}{% endfor %}",
        "{{ range(100001) }}",
        "{{ range(10 ** 9) }}",
        "{{ range(0, 10 ** 18, 3) | list }}",
        "{% for x in range(99999) %}{{ d == d }}{% endfor %}",
        "{% for x in range(99999) %}{{ d | dictsort }}{% endfor %}",
        "{{ range(99999) | map('string') | map('upper') | map('lower') | map('title') | sort | list }}",
        "{{ range(99999) | unique | list }}",
        "{{ (range(99999) | list + range(99999) | list) | groupby('a') }}",
        "{{ range(99999) | sort(attribute='a,b,c,d,e,f,g') }}",
        "{% set l = range(99999) | list %}{% for x in l %}{{ x in l }}{{ l.index(x) }}{{ l.count(x) }}{% endfor %}",
    ]);
}

#[test]
fn values_that_contain_themselves_many_times_end() {
    for then in [
        "{{ n.x }}",
        "{{ n.x | tojson }}",
        "{{ n.x | string | length }}",
        "{{ n.x == n.x }}",
        "{{ [n.x] in [[n.x]] }}",
        "{{ [n.x, n.x] | sort }}",
        "{{ [n.x, n.x] | max }}",
        "{{ n.x ~ 'a' }}",
        "{{ '%s' % [n.x] }}",
        "{{ '{}'.format(n.x) }}",
        "{{ [n.x].count(n.x) }}",
    ] {
        for next in ["[n.x, n.x]", "{'a': n.x, 'b': n.x}", "(n.x, n.x)", "[n.x]", "(n.x,)", "{'a': n.x}"] {
            let source = growing("[1]", next, 999, then);
            let found = kind(&source);
            let refused = matches!(found, ErrorKind::Limit | ErrorKind::Operation);
            assert!(refused, "{found:?}: {source}");
        }
    }
    // A tuple within a tuple is no key here, so that no key takes long to compare.
    assert_eq!(kind(&growing("(1,)", "(n.x, n.x)", 99, "{{ {n.x: 1} }}")), ErrorKind::Unsupported);
    assert_eq!(kind(&growing("(1,)", "(n.x, n.x)", 99, "{{ d.get(n.x) }}")), ErrorKind::Unsupported);
    assert_eq!(render(&growing("(1,)", "(n.x, n.x)", 99, "{{ d[n.x] }}"), SMALL), Ok(String::new()));
}

#[test]
fn what_takes_too_much_ends() {
    assert_limited(&[
        "{{ 'a' * 999999999999 }}",
        "{{ s * 9223372036854775807 }}",
        "{{ [1] * 999999999999 }}",
        "{{ 9223372036854775807 * (1, 2) }}",
        "{{ 'a'.ljust(999999999) }}",
        "{{ 'a'.rjust(9223372036854775807, 'ü') }}",
        "{{ '1'.zfill(999999999) }}",
        "{{ '\\t'.expandtabs(9223372036854775807) }}",
        "{{ '%999999999s' % 1 }}",
        "{{ '%-999999999s' % 1 }}",
        "{{ '%01000000000d' % 1 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:>999999999}'.format('a') }}",
        "{{ '{:^9223372036854775807}'.format('a') }}",
        "{{ 'a' | center(999999999) }}",
        "{{ 'a\\nb' | indent(999999999) }}",
        "{{ ('\\n' * 99999) | indent(99999, true, true) }}",
        "{{ ('a' * 99999).replace('', 'b' * 99999) }}",
        "{{ ('a' * 99999) | replace('a', 'b' * 99999) }}",
        "{{ ('a' * 9999) | list | join('b' * 9999) }}",
        "{{ ('b' * 9999).join('a' * 9999) }}",
        "{{ [1] | batch(99999999, 0) | list }}",
        "{{ range(99999) | batch(1, range(99999) | list) | list | string }}",
        "{{ [1] | slice(99999999) | list }}",
        "{{ [1] | slice(9999999999999999) | list }}",
        "{{ [1] | tojson(indent=10 ** 9) }}",
        "{{ range(99999) | list | tojson(indent='x' * 999999) }}",
        "{{ range(99999) | list | tojson(separators=('x' * 999999, ':')) }}",
        "{{ (['\\x00' * 99999] * 9999) | tojson }}",
        "{{ ['\\x00' * 99999] * 9999 }}",
        "{{ ('a ' * 500000).split() | list | length }}",
        "{{ ('\\n' * 1000000).splitlines() | length }}",
        "{{ ('a,' * 500000).split(',') | length }}",
        "{{ ('a' * 1000000) | list | length }}",
        "{{ ('a' * 1000000)[::-1] | length }}",
        "{% for i in range(99999) %}{{ 'a' * 1000 }}{% endfor %}",
        "{% for i in range(99999) %}{% set x %}{{ 'a' * 100000 }}{% endset %}{% endfor %}",
        "{% for i in range(99999) %}{{ s ~ i ~ s ~ i ~ s ~ i ~ s ~ i ~ s ~ i ~ s ~ i ~ s ~ i ~ s ~ i ~ s ~ i }}{% endfor %}",
        "{% macro m() %}{{ 'a' * 500000 }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ 'a' * 500000 ~ m() }}{% endmacro %}{{ m() }}",
    ]);
    let data = "x".repeat(500_000);
    assert_limited(&[
        &format!("{{% for i in range(99999) %}}{data}{{% endfor %}}"),
        &format!("{{% for i in range(99999) %}}{{% generation %}}{data}{{% endgeneration %}}{{% endfor %}}"),
        &format!("{{% macro m() %}}{data}{{{{ m() }}}}{{% endmacro %}}{{{{ m() }}}}"),
        &growing("'ab'", "n.x + n.x", 99, ""),
        &growing("'ab'", "n.x ~ n.x", 99, ""),
        &growing("s", "(n.x ~ '-') * 2", 99, ""),
        &growing("'ab'", "'%s%s' % (n.x, n.x)", 99, ""),
        &growing("'ab'", "'{0}{0}'.format(n.x)", 99, ""),
        &growing("'ab'", "n.x.join([n.x, n.x, n.x])", 99, ""),
        &growing("'ab'", "n.x | tojson | tojson", 99, ""),
        &growing("'a'", "[n.x] | string", 99_999, ""),
        &growing("[1]", "n.x + n.x", 99, ""),
        &growing("[s]", "n.x | join(s) | list", 99, ""),
        &growing("s", "n.x.replace('', n.x)", 99, ""),
    ]);
}

#[test]
fn what_is_only_looked_at_is_counted() {
    for looks in [
        "'x'.find(n)",
        "'x'.split(n)",
        "'x'.replace(n, '')",
        "'x'.count(n)",
        "'x'.rpartition(n)",
        "'x'.strip(n)",
        "'x' | trim(n)",
        "n in 'x'",
        "n is lower",
        "n.isupper()",
        "n | int",
        "n | float",
        "'a' | truncate(999999, true, n)",
        "n.endswith((1, 2)[:0] + (n ~ 'b',) * 20)",
        "d[n]",
        "namespace({n: 1})[n]",
        "d.@",
        "m(@=1)",
        "dict(@=1)",
    ] {
        let looks = looks.replace('@', &"a".repeat(TEMPLATE_BYTES_MAX / 2));
        let source = format!(
            "{{% set n = 'ab' * 200000 %}}{{% macro m() %}}{{{{ kwargs and '' }}}}{{% endmacro %}}{{% for i in range(9999) %}}{{% if {looks} %}}{{% endif %}}{{% endfor %}}"
        );
        assert_eq!(kind(&source), ErrorKind::Limit, "{}", &source[..200]);
    }
    let names = "{% set ns = namespace(dict(range(4000) | map('string') | batch(2))) %}";
    let source = format!("{names}{{% for i in range(20000) %}}{{% if ns.x %}}{{% endif %}}{{% endfor %}}");
    assert_eq!(kind(&source), ErrorKind::Limit);
}

#[test]
fn lists_in_the_making_are_counted_as_memory() {
    assert_limited(&[
        "{{ (['a'] * 60000) | sort | length }}",
        "{{ (['a'] * 100000) | join | length }}",
        "{{ ','.join(['a'] * 100000) | length }}",
        "{{ ('a ' * 60000) | title | length }}",
    ]);
    // Each part has as many marks as the whole.
    let source =
        "{% set t = (s[0] ~ '-') * 9999 %}{% for i in range(999) %}{% if t[1:] %}{% endif %}{% endfor %}";
    assert_eq!(kind(source), ErrorKind::Limit);
}

#[test]
fn marks_are_counted_as_memory() {
    // Each second byte has another origin, so that marks take more than the text.
    assert_limited(&[
        "{{ (s[0] ~ '-') * 400000 }}",
        "{{ ([s] * 200000) | join('-') }}",
        "{{ s.join('-' * 400000) }}",
    ]);
    let source = "{% set t = (s[0] ~ '-') * 20000 %}{% for c in t %}{{ c }}{% endfor %}";
    assert_eq!(render(source, SMALL), Ok("a-".repeat(20_000)));
}

#[test]
fn numbers_end() {
    for source in [
        "{{ 10 ** 10 ** 9 }}",
        "{{ 2 ** 9223372036854775807 }}",
        "{{ 9223372036854775807 * 9223372036854775807 }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ (-9223372036854775807 - 1) // -1 }}",
        "{{ -(-9223372036854775807 - 1) }}",
        "{{ (-9223372036854775807 - 1) | abs }}",
        "{{ '%.999999999f' % 1.5 }}",
        "{{ '{:.999999999f}'.format(1.5) }}",
        "{{ 1.5 | round(999999999) }}",
    ] {
        assert_eq!(kind(source), ErrorKind::Unsupported, "{source}");
    }
    assert_eq!(kind(&format!("{{{{ {} }}}}", "9".repeat(5_000))), ErrorKind::Syntax);
    assert_eq!(kind("{{ 'abcdefghij' | truncate(-9223372036854775807 - 1) }}"), ErrorKind::Operation);
    // The ends of ranges are beyond what counts, and nothing overflows.
    let range = "{{ range(9223372036854775800, 9223372036854775807, 5)[1:] | list }}{{ 'abc'[-9223372036854775807:] }}";
    assert_eq!(render(range, SMALL), Ok("[9223372036854775805]abc".into()));
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let deep = |open: &str, inside: &str, close: &str| {
        format!("{{{{ {}{inside}{} }}}}", open.repeat(100_000), close.repeat(100_000))
    };
    let sources = [
        deep("(", "1", ")"),
        deep("[", "1", "]"),
        deep("not ", "1", ""),
        deep("-", "1", ""),
        deep("{1:", "1", "}"),
        deep("1+", "1", ""),
        deep("s.", "a", ""),
        deep("", "s", "|upper"),
        deep("", "s", ".upper()"),
        deep("", "s", "[0]"),
        deep("1 if 1 else ", "1", ""),
        deep("1 or ", "1", ""),
        deep("1 ** ", "1", ""),
        deep("1 == ", "1", ""),
        deep("s(", "1", ")"),
        deep("s[", "1", "]"),
        deep("", "1", " is defined"),
        deep("", "1", " if 1"),
    ];
    for source in &sources {
        let kind = kind(source);
        assert!(
            matches!(kind, ErrorKind::Limit | ErrorKind::Syntax | ErrorKind::Undefined),
            "{kind:?}: {}",
            &source[..40]
        );
    }
    for tag in [
        "{% if 1 %}",
        "{% for x in s %}",
        "{% macro m() %}",
        "{% set x %}",
        "{% filter upper %}",
        "{% with %}",
        "{% call m() %}",
        "{% generation %}",
        "{% if 0 %}{% elif 1 %}",
    ] {
        assert_eq!(kind(&tag.repeat(TEMPLATE_BYTES_MAX / tag.len())), ErrorKind::Limit, "{tag}");
    }
}

#[test]
fn a_template_has_a_size() {
    assert!(Template::new(&"a".repeat(TEMPLATE_BYTES_MAX)).is_ok());
    let error = Template::new(&"a".repeat(TEMPLATE_BYTES_MAX + 1)).expect_err("it is too long");
    assert_eq!(
        (error.kind, &*error.to_string()),
        (ErrorKind::Limit, "a template of more than 1048576 bytes")
    );
}

/// A quarter of the longest template, or all of it where there is time.
fn long() -> usize {
    if std::env::var_os("MASHBILL_LONG").is_some() { TEMPLATE_BYTES_MAX } else { TEMPLATE_BYTES_MAX / 4 }
}

/// As many of `part` as fit, with their number in the place of `@`.
fn filled(begin: &str, part: &str, end: &str) -> String {
    let mut source = begin.to_owned();
    for number in 0.. {
        let next = part.replace('@', &number.to_string());
        if source.len() + next.len() + end.len() > long() {
            break;
        }
        source.push_str(&next);
    }
    source + end
}

/// Reading takes time in proportion to the length. All of these take a few seconds together in a build without
/// optimization; what grew with the square would take hours.
#[test]
fn a_long_template_is_read_soon() {
    let sources = [
        filled("", "{", ""),
        filled("", "{{", ""),
        filled("", "{%", ""),
        filled("", "{#", ""),
        filled("", "{# #}", ""),
        filled("", "{% raw %}", ""),
        filled("{% raw %}", "{% ", ""),
        filled("{% raw %}", "{% endraw ", ""),
        filled("", "  {%- raw -%} {%- endraw -%}  ", ""),
        filled("", "{{ a@ }}", ""),
        filled("", " {% if a@ %} {% endif %}\n", ""),
        filled("", "\n", "{%- if 1 %}{% endif %}"),
        filled("", " ", "{% if 1 %}{% endif %}"),
        filled("{{ '", "\\\\", "' }}"),
        filled("{{ ", "'a' ", " }}"),
        filled("{{ ", "1 ", " }}"),
        filled("{{ ", "(", " }}"),
        filled("{{ ", "-", "1 }}"),
        filled("{{ [", "a@,", "] }}"),
        filled("{{ {", "a@:1,", "} }}"),
        filled("{{ 1", " < a@", " }}"),
        filled("{{ 1", " ~ a@", " }}"),
        filled("{{ 1", " * 9223372036854775807", " }}"),
        filled("{{ f(", "a@=1,", ") }}"),
        filled("{{ f(", "a@,", ") }}"),
        filled("{% macro m(", "a@=1,", ") %}{% endmacro %}"),
        filled("{% set ", "a@,", " = 1 %}"),
        filled("{% for ", "a@,", " in s %}{% endfor %}"),
        filled("{% for ", "a,", " in s %}{% endfor %}"),
        filled("{% with ", "a@=a@,", " b=1 %}{% endwith %}"),
        filled("", "{% set a@ = b@ %}", ""),
        filled("", "{% macro m@(a) %}{{ b@ }}{% endmacro %}", ""),
        filled("", "{% for x in a@ %}{{ b@ }}{% set c@ = loop %}{% endfor %}", ""),
        filled("{% if a %}", "{% elif b@ %}{% set c@ = d@ %}", "{% endif %}"),
        filled("{% if a %}", "{% elif b@ %}{{ c@ }}", "{% endif %}"),
        filled("", "{% if a@ %}{% set b@ = c@ %}{% else %}{{ d@ }}{% endif %}", ""),
        filled(&"{% if a %}".repeat(150), "{% set a@ = b@ %}", &"{% endif %}".repeat(150)),
        filled(
            &"{% if a %}".repeat(150),
            "{% if a@ %}{% set b@ = 1 %}{% endif %}",
            &"{% endif %}".repeat(150),
        ),
        filled(&"{% for x in y %}".repeat(150), "{{ a@ }}", &"{% endfor %}".repeat(150)),
        filled(&"{% macro m(a) %}".repeat(150), "{% set a@ = b@ %}", &"{% endmacro %}".repeat(150)),
        filled("", &("{% for x in y %}".repeat(90) + "{{ a@ }}" + &"{% endfor %}".repeat(90)), ""),
    ];
    for source in &sources {
        let begun = Instant::now();
        let _ = Template::new(source);
        let took = begun.elapsed();
        assert!(took.as_secs() < 20, "{took:?}: {}", &source[..60]);
    }
}

#[test]
fn what_a_scope_begins_with_is_counted() {
    // Nothing of it is looked at, but each turn of the loop begins with as many variables.
    let names = (0..2_000).map(|number| format!("{{{{ a{number} }}}}")).collect::<String>();
    let source = format!("{{% for x in range(99999) %}}{{% if false %}}{names}{{% endif %}}{{% endfor %}}");
    assert_eq!(kind(&source), ErrorKind::Limit);
}

#[test]
fn what_an_error_says_is_short() {
    let error = render("{{ raise_exception('ü' * 400000) }}", SMALL).expect_err("it is raised");
    assert_eq!(
        (error.kind, error.to_string()),
        (ErrorKind::Raised, "ü".repeat(250) + " (line 1 of the template)")
    );
}

#[test]
fn limits_do_not_depend_on_what_was_rendered_before() {
    let template = Template::new("{{ 'a' * n }}").expect("it is one");
    let (mut arena, mut rendered) = (Bump::new(), Rendering::default());
    let mut last = |n: i64| {
        arena.reset();
        let variables = arena.alloc_slice_copy(&[("n", TemplateValue::Int(n))]);
        let n = template.render(&arena, variables, None, SMALL, &mut rendered);
        n.map(|()| rendered.text.as_str().to_owned()).map_err(|error| error.kind)
    };
    let sizes = [1 << 19, 1, 1 << 20, (1 << 20) + 1, 1 << 20];
    let first: Vec<_> = sizes.into_iter().map(&mut last).collect();
    let again: Vec<_> = sizes.into_iter().map(&mut last).collect();
    assert_eq!(first, again);
    assert_eq!(first.iter().filter(|result| result.is_err()).count(), 1);
}

#[test]
fn what_is_nested_less_is_rendered() {
    let branches = format!("{{% if 0 %}}{}x{{% endif %}}", "{% elif 1 %}".repeat(10_000));
    assert_eq!(render(&branches, RenderLimits::default()), Ok(String::new()));
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(60), ")".repeat(60));
    assert_eq!(render(&nested, RenderLimits::default()), Ok("1".into()));
    let sum = format!("{{{{ {}1 }}}}", "1+".repeat(150));
    assert_eq!(render(&sum, RenderLimits::default()), Ok("151".into()));
    let ifs = format!("{}x{}", "{% if 1 %}".repeat(60), "{% endif %}".repeat(60));
    assert_eq!(render(&ifs, RenderLimits::default()), Ok("x".into()));
    let macros = "{% macro m(n) %}{{ m(n - 1) if n else 'x' }}{% endmacro %}{{ m(40) }}";
    assert_eq!(render(macros, RenderLimits::default()), Ok("x".into()));
}
