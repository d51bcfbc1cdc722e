//! Templates that come with mashbill, for tokenizers that have none.

/// `ChatML`, as it was published: a header with the role, what is said, and an end.
/// It has no form for tools and their calls, so it refuses them.
const CHATML: &str = "\
{%- if tools %}{{ raise_exception('chatml has no form for tools') }}{% endif -%}
{%- for message in messages %}
    {%- if message.tool_calls %}{{ raise_exception('chatml has no form for calls of tools') }}{% endif -%}
    {{ '<|im_start|>' + message.role + '\\n' }}
    {%- if message.reasoning_content %}{{ '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}{% endif %}
    {{- (message.content or '') + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// The template that comes with mashbill under this name; none where there is no such one.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static str> {
    (name == "chatml").then_some(CHATML)
}
