"""Templates rendered by transformers, which defines what they mean."""

import copy
import datetime
import json
from typing import Any

from chats import Answer, Request
from transformers.utils import chat_template_utils

TODAY = datetime.datetime(2024, 7, 26)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}


class _Stopped(datetime.datetime):
    """A clock that stands still, as `strftime_now` does in mashbill."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return TODAY


chat_template_utils.datetime = _Stopped


def variables(conversation: dict[str, Any], **more: object) -> dict[str, Any]:
    """The variables that `apply_chat_template` renders a conversation with."""
    # `apply_chat_template` drops the keys of messages whose value is None.
    messages = [
        {name: value for name, value in message.items() if value is not None} for message in conversation["messages"]
    ]
    messages = chat_template_utils._alias_reasoning_fields(json.loads(json.dumps(messages)))
    return {
        "messages": messages,
        "tools": conversation.get("tools"),
        "documents": conversation.get("documents"),
        "add_generation_prompt": False,
        **TOKENS,
        **more,
    }


def rendered(request: Request) -> Answer:
    """What transformers makes of a request: the text with its blocks in bytes, or the error."""
    # Templates can change lists that they are given.
    given = copy.deepcopy(request["variables"])
    positional = [given.pop(name, None) for name in ("messages", "tools", "documents", "add_generation_prompt")]
    try:
        template = chat_template_utils._compile_jinja_template(request["template"])
        text, blocks = chat_template_utils._render_with_assistant_indices(template, *positional, **given)
    except Exception as error:
        return {"error": type(error).__name__, "detail": str(error)}
    in_bytes = [[len(text[:start].encode()), len(text[:end].encode())] for start, end in blocks]
    return {"text": text, "generations": in_bytes}
