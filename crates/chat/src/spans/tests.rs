//! What is learned of conversations, in the one rule and with each option.

use mashbill_records::conversation::{Conversation, ConversationOptions};
use mashbill_records::json;
use proptest::prelude::*;

use mashbill_format::chat::{LossOn, NoLossOn, SpanRule};

use super::{closing_tag, without};
use crate::template::{ChatError, ChatOptions, ChatScratch, ChatTemplate};

/// ChatML, with thoughts and calls as Qwen has them.
const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content }}{% for c in m.tool_calls %}
<tool_call>
{{ c.function | tojson }}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
<think>
{% endif %}";

fn options(loss_on: LossOn, no_loss_on: NoLossOn) -> ChatOptions {
    let tokens = |tokens: &[&str]| tokens.iter().map(|token| (*token).to_owned()).collect::<Vec<_>>();
    ChatOptions {
        special_tokens: vec![("eos_token".into(), "</s>".into())],
        special: tokens(&["<|im_start|>", "<|im_end|>", "<|user|>", "<|assistant|>", "</s>"]),
        ends: tokens(&["<|im_end|>", "</s>"]),
        template_args: Vec::new(),
        now: None,
        loss_on,
        no_loss_on,
    }
}

fn learned_by(source: &str, record: &str, options: ChatOptions) -> Result<Vec<String>, ChatError> {
    let template = ChatTemplate::new(source, options).expect("a template");
    let record = json::parse(record, &|_| true).expect("JSON");
    let conversation = Conversation::of(&record, ConversationOptions::default());
    let conversation = conversation.expect("it is understood").expect("a conversation");
    let mut scratch = ChatScratch::default();
    let chat = template.render(&conversation, 1 << 26, &mut scratch)?;
    Ok(chat.learned.iter().map(|span| chat.text[span.clone()].to_owned()).collect())
}

fn learned(record: &str) -> Vec<String> {
    let options = options(LossOn::Assistant, NoLossOn::default());
    learned_by(CHATML, record, options).expect("something is learned")
}

fn learned_on(loss_on: LossOn, record: &str) -> Result<Vec<String>, ChatError> {
    learned_by(CHATML, record, options(loss_on, NoLossOn::default()))
}

const TWO: &str = r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"},
    {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]}"#;
const CALL: &str = r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "I look",
    "reasoning_content": "hm", "tool_calls": [{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {}}]},
    {"role": "tool", "content": "t"}, {"role": "assistant", "content": "a"}]}"#;

#[test]
fn turns_are_learned_to_their_end() {
    assert_eq!(learned(TWO), ["a<|im_end|>", "b<|im_end|>"]);
}

#[test]
fn the_last_turn_alone_is_learned_where_that_is_asked_for() {
    assert_eq!(learned_on(LossOn::LastAssistant, TWO), Ok(vec!["b<|im_end|>".into()]));
    // A user's last words change nothing, and a turn that the record leaves out is not replaced by the one before.
    let record = TWO.replace("]}", r#", {"role": "user", "content": "z"}]}"#);
    assert_eq!(learned_on(LossOn::LastAssistant, &record), Ok(vec!["b<|im_end|>".into()]));
    let record = TWO.replace(r#""content": "b""#, r#""content": "b", "weight": 0"#);
    let weights = ChatError::NothingToLearn("its weights leave out all turns that are learned");
    assert_eq!(learned_on(LossOn::LastAssistant, &record), Err(weights));
    let record = TWO.replace(r#""content": "a""#, r#""content": "a", "weight": 1"#);
    assert_eq!(learned_on(LossOn::LastAssistant, &record), Ok(vec!["b<|im_end|>".into()]));
}

#[test]
fn the_completion_alone_is_learned_where_that_is_asked_for() {
    let record = r#"{"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "no"}, {"role": "user", "content": "r"}],
        "completion": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "b"}]}"#;
    assert_eq!(learned_on(LossOn::Completion, record), Ok(vec!["a<|im_end|>".into(), "b<|im_end|>".into()]));
    assert_eq!(
        learned_on(LossOn::Completion, r#"{"question": "q", "answer": "a"}"#),
        Ok(vec!["a<|im_end|>".into()])
    );
    assert_eq!(learned_on(LossOn::Completion, TWO), Err(ChatError::NothingToLearn("it has no completion")));
}

#[test]
fn everything_is_learned_but_what_the_record_leaves_out() {
    let whole = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n";
    let record = r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}"#;
    assert_eq!(learned_on(LossOn::All, record), Ok(vec![whole.into()]));
    let record = record.replace(r#""content": "a""#, r#""content": "a", "train": false"#);
    let rest = ["<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n", "\n"].map(str::to_owned).to_vec();
    assert_eq!(learned_on(LossOn::All, &record), Ok(rest));
}

#[test]
fn flags_of_the_record_choose_turns() {
    let record = TWO.replace(r#""content": "a""#, r#""content": "a", "weight": 0"#);
    assert_eq!(learned(&record), ["b<|im_end|>"]);
    let record = TWO.replace(r#""content": "r""#, r#""content": "r", "loss_mask": 1"#);
    assert_eq!(learned(&record), ["a<|im_end|>", "r<|im_end|>", "b<|im_end|>"]);
    let record = TWO.replace(r#""role": "assistant", "#, r#""role": "assistant", "train": false, "#);
    let weights = ChatError::NothingToLearn("its weights leave out all turns that are learned");
    assert_eq!(learned_on(LossOn::Assistant, &record), Err(weights));
    let record = r#"{"messages": [{"role": "user", "content": "q"}]}"#;
    let alone = ChatError::NothingToLearn("no message is the assistant's");
    assert_eq!(learned_on(LossOn::Assistant, record), Err(alone));
}

#[test]
fn thoughts_and_calls_are_learned_unless_they_are_taken_out() {
    let calls = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call><tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>";
    let whole = format!("hm\n</think>\n\nI look{calls}<|im_end|>");
    let with = |no_loss_on| {
        learned_by(CHATML, CALL, options(LossOn::Assistant, no_loss_on)).expect("something is learned")
    };
    assert_eq!(with(NoLossOn::default()), [format!("<think>\n{whole}"), "a<|im_end|>".to_owned()]);
    let found = with(NoLossOn { reasoning: true, ..NoLossOn::default() });
    assert_eq!(found, ["<think>\n".to_owned(), whole.replacen("hm", "", 1), "a<|im_end|>".to_owned()]);
    let found = with(NoLossOn { tool_calls: true, ..NoLossOn::default() });
    assert_eq!(found, ["<think>\nhm\n</think>\n\nI look", "<|im_end|>", "a<|im_end|>"]);
    let found = with(NoLossOn { generation_prompt: true, ..NoLossOn::default() });
    assert_eq!(found, [whole, "a<|im_end|>".to_owned()]);
}

#[test]
fn an_empty_thought_is_of_the_header() {
    let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n\
        {% if m.role == 'assistant' %}<think>\n{{ m.reasoning_content or '' }}\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n\
        {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let found = learned_by(source, TWO, options(LossOn::Assistant, NoLossOn::default()));
    assert_eq!(found, Ok(vec!["a<|im_end|>".into(), "b<|im_end|>".into()]));
    let found = learned_by(source, CALL, options(LossOn::Assistant, NoLossOn::default()));
    assert_eq!(found, Ok(vec!["<think>\nhm\n</think>\n\nI look<|im_end|>".into(), "a<|im_end|>".into()]));
}

#[test]
fn blocks_of_the_template_say_it_themselves() {
    let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}\
        {{ m.reasoning_content }}>{{ m.content }}<|im_end|>\n{% endgeneration %}{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}\
        {% generation %}</s>{% endgeneration %}";
    let with = |loss_on, no_loss_on, record: &str| learned_by(source, record, options(loss_on, no_loss_on));
    let template =
        ChatTemplate::new(source, options(LossOn::Assistant, NoLossOn::default())).expect("a template");
    assert_eq!(template.rule(), SpanRule::Blocks);
    let none = NoLossOn::default();
    assert_eq!(
        with(LossOn::Assistant, none, TWO),
        Ok(vec![">a<|im_end|>\n".into(), ">b<|im_end|>\n</s>".into()])
    );
    assert_eq!(with(LossOn::LastAssistant, none, TWO), Ok(vec![">b<|im_end|>\n</s>".into()]));
    let record = TWO.replace(r#""content": "b""#, r#""content": "b", "weight": 0"#);
    assert_eq!(with(LossOn::Assistant, none, &record), Ok(vec![">a<|im_end|>\n".into()]));
    let reasoning = NoLossOn { reasoning: true, ..none };
    assert_eq!(
        with(LossOn::Assistant, reasoning, CALL),
        Ok(vec![">I look<|im_end|>\n".into(), ">a<|im_end|>\n</s>".into()])
    );
    assert_eq!(with(LossOn::Completion, none, TWO), Err(ChatError::NothingToLearn("it has no completion")));
}

#[test]
fn words_of_others_within_a_turn_refuse_the_record() {
    let source = "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{{ messages[0].content }}{{ m.content }}{% endif %}{% endfor %}";
    let found = learned_by(source, TWO, options(LossOn::Assistant, NoLossOn::default()));
    assert_eq!(found, Err(ChatError::NoSpans("the template prints other words within message 3".into())));
    // A turn that is not printed at all is not there to be learned.
    let source = "{% for m in messages if m.role != 'assistant' %}{{ m.content }}{% endfor %}";
    let found = learned_by(source, TWO, options(LossOn::Assistant, NoLossOn::default()));
    let unprinted = ChatError::NothingToLearn("the template prints nothing of what is learned");
    assert_eq!(found, Err(unprinted));
}

#[test]
fn what_opens_a_call_is_learned_where_no_prompt_shows_where_a_turn_begins() {
    let source = "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]{% elif m.tool_calls %}\
        [TOOL_CALLS] [{% for c in m.tool_calls %}{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments|tojson }}, \
        \"id\": \"{{ c.id }}\"}{% endfor %}]</s>{% else %} {{ m.content }}</s>{% endif %}{% endfor %}";
    let record = r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"x": "y"}}}]},
        {"role": "user", "content": "r"}, {"role": "assistant", "content": "a"}]}"#;
    let call = r#"[TOOL_CALLS] [{"name": "f", "arguments": {"x": "y"}, "id": "c1"}]</s>"#;
    assert_eq!(
        learned_by(source, record, options(LossOn::Assistant, NoLossOn::default())),
        Ok(vec![call.into(), "a</s>".into()])
    );
    // A call that is left out is left out with its id.
    let no_calls = NoLossOn { tool_calls: true, ..NoLossOn::default() };
    assert_eq!(
        learned_by(source, record, options(LossOn::Assistant, no_calls)),
        Ok(vec!["</s>".into(), "a</s>".into()])
    );
}

#[test]
fn a_thought_in_the_content_is_left_out_where_thoughts_are() {
    let reasoning = NoLossOn { reasoning: true, ..NoLossOn::default() };
    let record =
        TWO.replace(r#""content": "a""#, r#""content": "<think>\nhm\n</think>\n\na <think>b</think>""#);
    assert_eq!(
        learned_by(CHATML, &record, options(LossOn::Assistant, reasoning)),
        Ok(vec![
            "<think>\n".into(),
            "\n</think>\n\na <think>b</think><|im_end|>".into(),
            "b<|im_end|>".into()
        ])
    );
}

#[test]
fn messages_that_leave_nothing_in_the_text_are_counted() {
    let source = "{% for m in messages if m.role != 'wizard' %}{{ m.content }}<|im_end|>{% endfor %}";
    let template = ChatTemplate::new(source, options(LossOn::Assistant, NoLossOn::default())).expect("one");
    let record = r#"{"messages": [{"role": "wizard", "content": "w"}, {"role": "wizard", "content": " "},
        {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}"#;
    let record = json::parse(record, &|_| true).expect("JSON");
    let conversation = Conversation::of(&record, ConversationOptions::default()).expect("one").expect("one");
    let mut scratch = ChatScratch::default();
    let chat = template.render(&conversation, 1 << 26, &mut scratch).expect("a text");
    assert_eq!((chat.text, chat.unprinted), ("q<|im_end|>a<|im_end|>", 1));
    // What is longer than it may be is told from what a template does wrong.
    let long = template.render(&conversation, 0, &mut scratch).map(|chat| chat.text.len());
    assert_eq!(long, Ok("q<|im_end|>a<|im_end|>".len()));
}

/// Turns without words, and calls with nothing but names, are no reason to walk through the whole text for each.
#[test]
fn very_many_turns_without_words_take_no_longer_a_turn() {
    for message in [
        r#"{"role": "assistant", "content": ""}"#,
        r#"{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}"#,
    ] {
        let messages = vec![message; 80_000].join(",");
        let record = format!(r#"{{"messages": [{{"role": "user", "content": "q"}}, {messages}]}}"#);
        let learned = learned_by(CHATML, &record, options(LossOn::Assistant, NoLossOn::default()));
        assert!(learned.is_ok_and(|spans| !spans.is_empty()));
    }
}

#[test]
fn roles_and_arguments_that_spell_control_tokens_are_words_of_the_record() {
    let source = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ suffix }}<|im_end|>{% endfor %}";
    let words = |record: &str| {
        let template = ChatTemplate::new(source, options(LossOn::All, NoLossOn::default())).expect("one");
        let record = json::parse(record, &|_| true).expect("JSON");
        let conversation =
            Conversation::of(&record, ConversationOptions::default()).expect("one").expect("one");
        let mut scratch = ChatScratch::default();
        let chat = template.render(&conversation, 1 << 26, &mut scratch).expect("a text");
        chat.words.iter().map(|range| chat.text[range.clone()].to_owned()).collect::<Vec<_>>()
    };
    let record = r#"{"messages": [{"role": "user", "content": "q"}, {"role": "a<|im_end|>", "content": "r"}],
        "chat_template_kwargs": {"suffix": "<|user|>"}}"#;
    assert_eq!(words(record), ["q<|user|>", "a<|im_end|>", "r<|user|>"]);
}

#[test]
fn the_end_of_another_turn_is_not_this_ones() {
    // The assistant's turn has no end, and the next message begins with a token and ends with one.
    let source = "{% for m in messages %}{% if m.role == 'user' %}<|user|>{{ m.content }}<|im_end|>{% else %}<|assistant|>{{ m.content }}{% endif %}{% endfor %}\
        {% if add_generation_prompt %}<|assistant|>{% endif %}";
    let record = r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": ""},
        {"role": "assistant", "content": "b"}, {"role": "user", "content": ""}]}"#;
    assert_eq!(
        learned_by(source, record, options(LossOn::Assistant, NoLossOn::default())),
        Ok(vec!["a".into(), "b".into()])
    );
}

#[test]
fn a_call_without_an_end_is_learned_to_its_closing_tag() {
    let source = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls %}\
        <tool_call>{{ c.function.name }}{% for k, v in c.function.arguments.items() %}<k>{{ k }}</k><v>{{ v }}</v>{% endfor %}</tool_call>\n{% endfor %}{% endfor %}\
        {% if add_generation_prompt %}<|assistant|>{% endif %}";
    let found = learned_by(source, CALL, options(LossOn::Assistant, NoLossOn::default()));
    let call = "I look<tool_call>f<k>x</k><v>1</v></tool_call>\n<tool_call>g</tool_call>";
    assert_eq!(found, Ok(vec![call.into(), "a".into()]));
}

#[test]
fn tags_close_what_they_opened() {
    assert_eq!(
        closing_tag("<think></think>\n<tool_call>\n<f=", "</f>\n</tool_call>\n<x>").as_deref(),
        Some("</tool_call>")
    );
    assert_eq!(
        closing_tag("<|tool_call>call:", "<|\"|>}<tool_call|><|tool_response>").as_deref(),
        Some("<tool_call|>")
    );
    assert_eq!(closing_tag("[TOOL]", "][/TOOL]").as_deref(), Some("[/TOOL]"));
    assert_eq!(closing_tag("{\"name\": ", "}"), None);
    assert_eq!(closing_tag("a < b <c", "> d"), None);
}

#[test]
fn spans_can_be_taken_out_of_spans() {
    let span = |start: usize, end: usize| start..end;
    assert_eq!(without(&[span(0, 9)], &[span(2, 3), span(5, 9)]), [span(0, 2), span(3, 5)]);
    assert_eq!(without(&[span(0, 2), span(4, 6)], &[span(1, 5)]), [span(0, 1), span(5, 6)]);
    assert_eq!(without(&[span(0, 2)], &[]), [span(0, 2)]);
    assert_eq!(without(&[span(3, 5)], &[span(0, 9)]), []);
}

#[test]
fn the_records_arguments_come_before_the_runs() {
    let source = "{{ a }}{{ b }}{{ eos_token }}{% for m in messages %}{{ m.content }}{% endfor %}";
    let record = r#"{"messages": [{"role": "assistant", "content": "x"}], "chat_template_kwargs": {"a": 1}}"#;
    let mut given = options(LossOn::All, NoLossOn::default());
    given.template_args = vec![("a".into(), "2".into()), ("b".into(), "[true]".into())];
    assert_eq!(learned_by(source, record, given), Ok(vec!["1[True]</s>x".into()]));
}

#[test]
fn a_long_conversation_takes_no_longer_a_turn_than_a_short_one() {
    let turn = r#"{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": 1}"#;
    let record = format!(r#"{{"messages": [{}]}}"#, vec![turn; 20_000].join(", "));
    let begun = std::time::Instant::now();
    for loss_on in [LossOn::Assistant, LossOn::All] {
        let no_loss_on = NoLossOn { reasoning: true, ..NoLossOn::default() };
        let found = learned_by(CHATML, &record, options(loss_on, no_loss_on)).expect("something is learned");
        assert_eq!(found.len(), if loss_on == LossOn::All { 1 } else { 20_000 });
    }
    // It takes less than a second; with every turn looking at all others it would be minutes.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

fn said() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c \n]{0,4}",
        // Characters of private use, control tokens, and what is spelled like a header change nothing.
        Just("\u{e000}\u{f8ff}\u{10fffd}".to_owned()),
        Just("<|im_end|>\n<|im_start|>assistant\n".to_owned()),
        Just("<think>\n\n</think>".to_owned()),
        any::<String>(),
    ]
}

proptest! {
    /// Of ChatML it is known what is learned: each turn of the assistant with its end, whatever is said in it.
    #[test]
    fn what_is_learned_does_not_depend_on_what_is_said(turns in prop::collection::vec((any::<bool>(), said()), 1..6)) {
        let messages: Vec<_> = turns
            .iter()
            .map(|(answers, said)| serde_json::json!({"role": if *answers { "assistant" } else { "user" }, "content": said}))
            .collect();
        let record = serde_json::json!({"messages": messages}).to_string();
        let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
            {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
        let mut text = String::new();
        let mut expected = Vec::new();
        for (answers, said) in &turns {
            text.push_str(if *answers { "<|im_start|>assistant\n" } else { "<|im_start|>user\n" });
            let start = text.len();
            text.push_str(said);
            text.push_str("<|im_end|>");
            // An empty think block that the model would not write is not learned.
            if *answers {
                expected.push(start..text.len());
            }
            text.push('\n');
        }
        let template = ChatTemplate::new(source, options(LossOn::Assistant, NoLossOn::default())).expect("a template");
        let value = json::parse(&record, &|_| true).expect("JSON");
        let conversation = Conversation::of(&value, ConversationOptions::default()).expect("understood").expect("one");
        let mut scratch = ChatScratch::default();
        match template.render(&conversation, 1 << 26, &mut scratch) {
            Ok(chat) => {
                prop_assert_eq!(chat.text, text);
                prop_assert_eq!(chat.learned, expected);
            }
            Err(error) => {
                prop_assert!(matches!(error, ChatError::NothingToLearn(_)));
                prop_assert!(expected.is_empty());
            }
        }
    }
}
