#![no_main]
//! A template and a conversation from the same bytes: no panic, learned spans in order, and twice the same.

use libfuzzer_sys::fuzz_target;
use mashbill_chat::{ChatOptions, ChatScratch, ChatTemplate, LossOn, NoLossOn};
use mashbill_records::conversation::{Conversation, ConversationOptions};
use mashbill_records::json;

fn options(choice: u8) -> ChatOptions {
    let tokens = |tokens: &[&str]| tokens.iter().map(|token| (*token).to_owned()).collect::<Vec<_>>();
    ChatOptions {
        special_tokens: vec![("bos_token".into(), "<s>".into()), ("eos_token".into(), "</s>".into())],
        special: tokens(&["<|im_start|>", "<|im_end|>", "<s>", "</s>"]),
        ends: tokens(&["<|im_end|>", "</s>"]),
        template_args: Vec::new(),
        now: None,
        loss_on: [LossOn::All, LossOn::Assistant, LossOn::LastAssistant, LossOn::Completion]
            [usize::from(choice) % 4],
        no_loss_on: NoLossOn {
            reasoning: choice & 4 > 0,
            tool_calls: choice & 8 > 0,
            generation_prompt: choice & 16 > 0,
        },
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    // The template reaches to the first byte that is 0.
    let Some(end) = rest.iter().position(|byte| *byte == 0) else { return };
    let (Ok(source), Ok(record)) = (std::str::from_utf8(&rest[..end]), std::str::from_utf8(&rest[end + 1..]))
    else {
        return;
    };
    let Ok(template) = ChatTemplate::new(source, options(*choice)) else { return };
    let Ok(record) = json::parse(record, &|_| true) else { return };
    let Ok(Some(conversation)) = Conversation::of(&record, ConversationOptions::default()) else { return };
    let mut scratch = ChatScratch::default();
    let mut render = || {
        let chat = template.render(&conversation, 1 << 26, &mut scratch)?;
        let mut before = 0;
        for span in chat.learned {
            assert!(before <= span.start && chat.text.get(span.clone()).is_some());
            before = span.end;
        }
        Ok::<_, mashbill_chat::ChatError>((chat.text.to_owned(), chat.learned.to_vec()))
    };
    assert_eq!(render(), render());
});
