"""Conversations to tokens: the ids and the assistant's mask that `apply_chat_template` gives, for any tokenizer."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sources
from cases import REPOSITORY, Workshop
from chats import CONVERSATIONS, assistant, user
from layout import Output
from reference_chats import TODAY
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

TEMPLATES = REPOSITORY / ".venv" / "templates" / "trl" / "chat_templates"
"""Published templates with `generation` blocks; `test.sh` installs them."""

FAMILIES = [
    "cohere2",
    "deepseekv3",
    "gemma3",
    "glm4moe",
    "gptoss",
    "lfm2",
    "llama3",
    "nemotron_3_nano",
    "phi3",
    "qwen2_5",
    "qwen3",
    "qwen3_6",
]

KINDS = ["template", "nfc", "unigram"]
"""Byte-level, byte-level with a normalizer, and one that is made as SentencePiece's are."""

NORMAL = {
    name: conversation
    for name, conversation in CONVERSATIONS.items()
    if name
    not in (
        "arguments in a string",
        "flat calls",
        "parts",
        "a list as answer",
        "an object as answer",
        "a picture",
        "without content",
    )
}
"""Conversations that are in the normal form already, so that both sides get the same; a message that says nothing has
none.
"""

WITHIN_TOKENS = {
    "a word that goes on": {"messages": [user("q"), assistant("ssistant"), user("assis"), assistant("tant")]},
    "white space around": {"messages": [user(" q "), assistant(" a "), user("\n"), assistant("\n\na\n")]},
    "marks that combine": {"messages": [user("e\u0301"), assistant("\u0301e"), user("a"), assistant("\u0327\u0301")]},
    "ligatures": {"messages": [user("ﬁ"), assistant("ﬁn ½ ㎞"), user("x"), assistant("Å ½")]},
    "emoji": {"messages": [user("👩‍👩‍👧"), assistant("‍👧 🏳️‍🌈"), user("x"), assistant("🏳️")]},
}
"""Spans that begin and end within what a tokenizer makes one token of, or changes."""


@cache
def control_tokens(template: str) -> list[str]:
    """What the template spells in angle brackets, as far as it looks like control tokens."""
    found = re.findall(r"<\|[^|<>\n ]+\|>|<\|?[a-zA-Z_]+\|?>|<｜[^<>\n]+｜>|</s>|\[/?INST\]", template)
    return sorted({token for token in found if not re.fullmatch(r"</?(?:s|tool|think|b|p|function|parameter)>", token)})


def tokenizer_with(workshop: Workshop, kind: str, template: str) -> tuple[Path, PreTrainedTokenizerFast]:
    folder = workshop.fresh("tokenizer")
    folder.mkdir()
    sources.train_tokenizer(kind, folder / "tokenizer.json")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    tokenizer.add_tokens(
        [AddedToken(token, special=True, normalized=False) for token in control_tokens(template)], True
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(str(folder))
    return folder, PreTrainedTokenizerFast.from_pretrained(str(folder))


def expected(tokenizer: PreTrainedTokenizerFast, conversation: dict[str, Any]) -> tuple[list[int], list[int]] | None:
    """Ids and mask; none where the template refuses the conversation."""
    try:
        made = tokenizer.apply_chat_template(
            conversation["messages"],
            tools=conversation.get("tools"),
            documents=conversation.get("documents"),
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
    except Exception:
        return None
    return made["input_ids"], made["assistant_masks"]


def all_of(output: Output, split: str) -> dict[str, tuple[list[int], list[int]]]:
    """Ids and spans of each document, by its id."""
    documents: dict[str, tuple[list[int], list[int]]] = {}
    for shard, table in output.tables(split):
        assert shard.file is not None
        rows = pq.read_table(output.folder / split / shard.file.name)["input_ids"].to_pylist()
        ids = [token for row in rows for token in row]
        for document in table.to_pylist():
            start = document["row"] * len(rows[0]) + document["position"]
            tokens = ids[start : start + document["tokens"]]
            documents[document["id"]] = (tokens, document.get("loss_spans", []))
    return documents


def found(output: Output, split: str) -> dict[str, tuple[list[int], list[int]]]:
    """Ids and mask of each document, by its id."""
    mask = lambda spans: [at % 2 for at, run in enumerate(spans) for _ in range(run)]  # noqa: E731
    return {name: (ids, mask(spans)) for name, (ids, spans) in all_of(output, split).items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_ids_and_masks_are_those_of_transformers(workshop: Workshop, family: str, kind: str) -> None:
    template = (TEMPLATES / f"{family}_training.jinja").read_text(encoding="utf-8")
    folder, tokenizer = tokenizer_with(workshop, kind, template)
    conversations = {**NORMAL, **WITHIN_TOKENS}
    lines = [json.dumps({"id": name, **each}, ensure_ascii=False) for name, each in conversations.items()]
    source = workshop.file("chats.jsonl", "\n".join(lines).encode())
    flags = ["--chat-template", "auto", "--date", TODAY.strftime("%Y-%m-%d")]
    output = workshop.tokenize(source, str(folder), 256, *flags)
    documents = found(output, "chats")
    compared = 0
    for name, conversation in conversations.items():
        made = expected(tokenizer, conversation)
        if made is None or not any(made[1]):
            assert name not in documents, name
            continue
        assert name in documents, (name, output.rejects("chats"))
        assert documents[name] == made, name
        compared += 1
    assert compared >= 10


SPELLED = {
    "the end of a turn": {"messages": [user("a {end} b"), assistant("c{end}"), user("{end}"), assistant("d")]},
    "several in a row": {"messages": [user("{end}{end}</s> <s>"), assistant("x{end}\n{end} y")]},
    "at the borders": {"messages": [user("{end}a"), assistant("b{end}"), user(" {end} "), assistant("c")]},
    "none": {"messages": [user("a"), assistant("b")]},
}
"""Words that spell control tokens: `{end}` stands for the template's own."""

ENDS = {"gemma3": "<end_of_turn>", "llama3": "<|eot_id|>", "phi3": "<|end|>", "qwen2_5": "<|im_end|>"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", sorted(ENDS))
def test_words_that_spell_control_tokens_are_text(workshop: Workshop, family: str, kind: str) -> None:
    """`--special-tokens-in-text split` is what transformers calls `sanitize_control_tokens`."""
    template = (TEMPLATES / f"{family}_training.jinja").read_text(encoding="utf-8")
    folder, tokenizer = tokenizer_with(workshop, kind, template)
    conversations: dict[str, Any] = json.loads(json.dumps(SPELLED).replace("{end}", ENDS[family]))
    lines = [json.dumps({"id": name, **each}) for name, each in conversations.items()]
    source = workshop.file("chats.jsonl", "\n".join(lines).encode())
    documents = {
        how: found(
            workshop.tokenize(source, str(folder), 256, "--chat-template", "auto", "--special-tokens-in-text", how),
            "chats",
        )
        for how in ("encode", "split", "reject")
    }
    assert list(documents["reject"]) == ["none"]
    for name, conversation in conversations.items():
        messages = conversation["messages"]
        assert documents["encode"][name] == expected(tokenizer, conversation), name
        try:
            made = tokenizer.apply_chat_template(messages, return_dict=True, sanitize_control_tokens=True)
        except ValueError:
            # The tokenizer makes the token of plain text, too.
            assert kind == "unigram" and name not in documents["split"]
            continue
        assert documents["split"][name][0] == made["input_ids"], name
        # The mask says of the same text what it says where the tokens are encoded.
        words = [
            "".join(
                tokenizer.convert_ids_to_tokens(token).removeprefix("▁")
                for token, is_learned in zip(*documents[how][name], strict=True)
                if is_learned
            )
            for how in ("encode", "split")
        ]
        assert words[0] == words[1], name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_ids_of_published_templates_are_those_of_transformers(workshop: Workshop, family: str, kind: str) -> None:
    """The templates as they are published, without `generation` blocks, and with a loss on everything."""
    template = (TEMPLATES / f"{family}.jinja").read_text(encoding="utf-8")
    folder, tokenizer = tokenizer_with(workshop, kind, template)
    lines = [json.dumps({"id": name, **each}, ensure_ascii=False) for name, each in NORMAL.items()]
    source = workshop.file("chats.jsonl", "\n".join(lines).encode())
    flags = ["--chat-template", "auto", "--date", TODAY.strftime("%Y-%m-%d"), "--loss-on", "all"]
    output = workshop.tokenize(source, str(folder), 256, *flags)
    documents = all_of(output, "chats")
    for name, conversation in NORMAL.items():
        made = expected(tokenizer, conversation)
        assert documents.get(name) == (made and (made[0], [0, len(made[0])])), name
