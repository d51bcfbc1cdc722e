//! Templates mean what they mean to `transformers`: these texts are what it renders.

use bumpalo::Bump;
use mashbill_jinja::{Dict, RenderLimits, Rendering, Result, Template, TemplateValue};

/// Renders with `messages`: one of the user, one of the assistant.
fn render(source: &str) -> Result<String> {
    let template = Template::new(source)?;
    let (arena, mut rendered) = (Bump::new(), Rendering::default());
    let message = |role: &'static str, content: &'static str| {
        let entries = [("role", role), ("content", content)];
        let entries = entries.map(|(key, value)| (TemplateValue::text(key), TemplateValue::text(value)));
        TemplateValue::Dict(arena.alloc(Dict::new(&arena, entries).expect("strings are keys")))
    };
    let messages = arena.alloc_slice_copy(&[message("user", "hi"), message("assistant", "yo")]);
    let variables = arena.alloc_slice_copy(&[("messages", TemplateValue::List(messages))]);
    template.render(&arena, variables, None, RenderLimits::default(), &mut rendered)?;
    Ok(rendered.text.as_str().to_owned())
}

fn assert_rendered(rows: &[(&str, &str)]) {
    for (source, text) in rows {
        assert_eq!(render(source).as_deref(), Ok(*text), "{source}");
    }
}

/// What `transformers` refuses, too, or what is refused since its text would be another one.
fn assert_refused(sources: &[&str]) {
    for source in sources {
        assert!(render(source).is_err(), "{:?}: {source}", render(source));
    }
}

#[test]
fn what_leaves_a_loop_leaves_all_that_is_in_it() {
    assert_rendered(&[
        ("{% for x in 'ab' %}{% for y in [] %}{% else %}{% break %}{% endfor %}{{ x }}{% endfor %}", ""),
        (
            "{% for x in 'ab' %}{{ x }}{% for y in [] %}{% else %}{% continue %}{% endfor %}-{% endfor %}",
            "ab",
        ),
        (
            "{% for x in 'ab' recursive %}{{ x }}{% for y in [] %}{% else %}{% break %}{% endfor %}-{% endfor %}",
            "a",
        ),
        ("{% for a in [1, 2, 3] %}{{ a }}{% set y %}q{% break %}{% endset %}-{{ a }}{% endfor %}", "1"),
        (
            "{% for a in [1, 2, 3] %}{{ a }}{% filter upper %}q{% continue %}{% endfilter %}-{{ a }}{% endfor %}",
            "123",
        ),
        (
            "{% for x in 'ab' %}{% set y = 1 %}{% set y %}{{ x }}{% if x == 'a' %}{% continue %}{% endif %}{% endset %}{{ y }}{% endfor %}",
            "b",
        ),
    ]);
    assert_refused(&[
        "{% for x in 'ab' %}{% for y in [] recursive %}{% else %}{% break %}{% endfor %}{% endfor %}",
        "{% for x in [] %}{% else %}{% continue %}{% endfor %}",
    ]);
}

#[test]
fn a_filter_that_there_is_none_of_is_found_where_jinja_finds_it() {
    assert_refused(&[
        "{{ 1 is nothing }}",
        "{% for x in [] %}{{ x is nothing }}{% endfor %}",
        "{% if false %}{% set x | nothing %}{% endset %}{% endif %}",
    ]);
    assert_rendered(&[("{% if false %}{{ 1 | nothing }}{% set x = 1 is nothing %}{% endif %}x", "x")]);
}

#[test]
fn filters_take_items_when_they_are_asked_for_them() {
    assert_rendered(&[
        (
            "{% set r = messages | map(attribute='role') %}{% set u = r | select('eq', 'user') %}{{ u | first }}|{{ r | list }}",
            "user|['assistant']",
        ),
        (
            "{% set r = [1, 2, 3] | map('string') %}{% for x in r %}{{ x }}{% break %}{% endfor %}{{ r | join }}{{ r | list }}",
            "123[]",
        ),
        (
            "{% set ns = namespace(a=1) %}{% set r = [ns] | map(attribute='a') %}{% set ns.a = 2 %}{{ r | list }}",
            "[2]",
        ),
        ("{% set r = [1, 2, 3] | select('odd') | map('string') %}{{ r | first }}{{ r | list }}", "1['3']"),
        (
            "{{ messages | map(attribute='role') | unique | list }}{{ 5 is callable }}",
            "['user', 'assistant']False",
        ),
        (
            "{{ [3, 1, 2] | map('string') | batch(2) | list }}{{ 'abc' | map('upper') | slice(2, 'x') | list }}",
            "[['3', '1'], ['2']][['A', 'B'], ['C', 'x']]",
        ),
        ("{{ ['a', 'b'] | map('nothing') is defined }}", "True"),
    ]);
    // Jinja would give what is left of the one behind the other.
    assert_refused(&[
        "{% set r = [1, 2] | map('string') %}{% set u = r | unique %}{{ r | list }}",
        "{% set r = [1, 2] | map('string') %}{% set u = r | batch(1) %}{{ r | first }}",
        "{% set ns = namespace() %}{% set ns.it = [ns] | map(attribute='it') | map('list') %}{{ ns.it | list }}",
    ]);
}

#[test]
fn groups_have_names() {
    assert_rendered(&[
        (
            "{% for g in messages | groupby('role') %}{{ g.grouper }}:{{ g.list | length }}{{ g['grouper'] }};{% endfor %}",
            "assistant:1assistant;user:1user;",
        ),
        ("{{ messages | groupby('role') | map(attribute='grouper') | list }}", "['assistant', 'user']"),
        ("{% for k, v in ['b', 'A', 'a'] | groupby('0') %}{{ k }}{{ v }}{% endfor %}", "A['A', 'a']b['b']"),
        (
            "{% for g in messages | groupby('role') %}{{ g[:].grouper is defined }}{{ g | tojson }}{% break %}{% endfor %}",
            "False[\"assistant\", [{\"role\": \"assistant\", \"content\": \"yo\"}]]",
        ),
        ("{{ ('a', [1]).grouper is defined }}{{ ({'a': [1]} | dictsort)[0].list is defined }}", "FalseFalse"),
    ]);
}

#[test]
fn a_caller_that_is_none_is_no_caller() {
    assert_rendered(&[
        ("{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m(caller=none) }}", "False"),
        ("{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m(caller=1) }}{{ m() }}", "TrueFalse"),
    ]);
}

#[test]
fn commas_and_names_are_where_jinja_has_them() {
    assert_refused(&[
        "{% for a, in [[1], [2]] %}{% endfor %}",
        "{% for a, b, in [[1, 2]] %}{% endfor %}",
        "{% set a, = [1] %}",
        "{{ ² }}",
        "{{ x² }}",
        "{% set ﬁ = 1 %}{{ fi }}",
        "{{ self }}",
        "{{ self.x is defined }}",
        "{% macro m() %}{{ self }}{% endmacro %}",
    ]);
    assert_rendered(&[
        ("{% for (a,) in [[1], [2]] %}{{ a }}{% endfor %}{% set (b,) = [3] %}{{ b }}", "123"),
        ("{% for x in 1, recursive %}{{ x }}{% endfor %}", "1"),
        ("{% set größe = 1 %}{% set 长度 = 2 %}{{ größe }}{{ 长度 }}{{ ёж is defined }}", "12False"),
        ("{% set self = 1 %}{{ self }}{{ messages.self is defined }}", "1False"),
    ]);
}

#[test]
fn numbers_are_those_of_python() {
    assert_rendered(&[
        (
            "{{ -0.5 | round(0, 'ceil') }} {{ -0.0 | round(0, 'floor') }} {{ 2.51 | round(1, 'ceil') }}",
            "0.0 0.0 2.6",
        ),
        (
            "{{ 9007199254740993 | round(2, 'ceil') }} {{ true | round(1, 'floor') }}",
            "9007199254740992.0 1.0",
        ),
        ("{{ 100000000000000000000 == 1e20 }}{{ 100000000000000000001 == 1e20 }}", "TrueFalse"),
        (
            "{{ 100000000000000000001 > 1e20 }}{{ 100000000000000000000 >= 1e20 }}{{ {1e20: 'x'}[100000000000000000000] }}",
            "TrueTruex",
        ),
        ("{{ 100000000000000000000 > 5.5 }}{{ 100000000000000000000 == 5.5 }}", "TrueFalse"),
        ("{{ 'x' | float }}{{ 'x' | int }}{{ '%%' % () }}", "0.00%"),
    ]);
    let digits = "9".repeat(400);
    assert_refused(&[
        "{% set x = 1e400 %}{{ x }}",
        "{% set x = '1e400' | float %}{{ x }}",
        &format!("{{{{ {digits} | float }}}}"),
        &format!("{{{{ '{digits}' | int }}}}"),
        "{{ '%5%' % () }}",
        "{{ '%-%' % 1 }}",
        "{{ '{.role}'.format(messages[0]) }}",
        "{{ '{[role]}'.format(messages[0]) }}",
        "{{ 'aaa'.replace('a', 'b', count=1) }}",
        "{{ 1.5 | round(30, 'ceil') }}",
    ]);
}

#[test]
fn views_of_dicts_are_sets() {
    assert_rendered(&[
        ("{{ {'a': 1}.keys() == {'a': 2}.keys() }}{{ {'a': 1}.keys() == {'b': 1}.keys() }}", "TrueFalse"),
        (
            "{{ {'a': 1, 'b': 2}.items() == {'b': 2, 'a': 1.0}.items() }}{{ {'a': 1}.items() != {'a': 2}.items() }}",
            "TrueTrue",
        ),
        ("{{ {'a': 1}.keys() == ['a'] }}{{ range(2) == range(0, 2, 1) }}", "FalseTrue"),
    ]);
    assert_refused(&[
        "{{ {'a': 1}.values() == {'a': 1}.values() }}",
        "{{ {'a': 1}.keys() == {'a': 1}.items() }}",
        "{{ {'a': 1}.keys() < {'a': 1, 'b': 2}.keys() }}",
        "{{ 'a'.upper == 'a'.upper }}",
    ]);
}

#[test]
fn letters_have_the_case_of_python() {
    assert_rendered(&[
        ("{{ 'ΑΣ'.swapcase() }} {{ 'aΣ Σb'.swapcase() }} {{ 'ßİ'.swapcase() }}", "ας Aς σB SSi̇"),
        ("{{ 'ǅ'.swapcase() }}{{ 'ᾈ'.swapcase() }}{{ 'ǄǆAb'.swapcase() }}", "ǅᾈǆǄaB"),
        (
            "{{ 'aǅ'.islower() }}{{ 'Aǅ'.isupper() }}{{ 'aǅ' is lower }}{{ 'Aǅ' is upper }}",
            "FalseFalseFalseFalse",
        ),
        ("{{ 'ǅ'.istitle() }}{{ 'Aǅ'.istitle() }}{{ 'ǅa ᾈ'.istitle() }}", "TrueFalseTrue"),
    ]);
}
