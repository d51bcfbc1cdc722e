"""Conversations for templates, and the program that renders them with mashbill."""

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cases import REPOSITORY

Message = dict[str, Any]
Request = dict[str, Any]
Answer = dict[str, Any]

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": 'The weather <now> & "then"',
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city"},
                "unit": {"type": ["string", "null"], "enum": ["c", "f"]},
                "days": {"type": "integer", "default": 3},
                "items": {"type": "array", "items": {"type": "number"}},
                "either": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"x": {"type": "boolean"}}}]},
            },
            "required": ["city"],
        },
        "return": {"type": "string", "description": "text"},
    },
}
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search.\nTwo lines",
        "parameters": {
            "type": "object",
            "properties": {
                "q": {"type": "string"},
                "nested": {
                    "type": "object",
                    "properties": {
                        "a": {"type": "number", "description": "d"},
                        "b": {"type": "string", "enum": ["x", "y"]},
                    },
                    "required": ["a"],
                },
            },
        },
    },
}


def user(content: object) -> Message:
    return {"role": "user", "content": content}


def system(content: object) -> Message:
    return {"role": "system", "content": content}


def assistant(content: object = None, **fields: object) -> Message:
    return {"role": "assistant", **({} if content is None else {"content": content}), **fields}


def call(name: str, arguments: object, number: str = "abcdefgh1") -> Message:
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


def answer(content: object, number: str = "abcdefgh1", name: str = "get_weather") -> Message:
    return {"role": "tool", "tool_call_id": number, "name": name, "content": content}


ODD_ARGUMENTS = {"city": "Zürich", "days": 1, "f": 1.0, "n": None, "l": [1, "a'b"]}
CONVERSATIONS: dict[str, dict[str, Any]] = {
    "one exchange": {"messages": [user("Hello"), assistant("Hi there")]},
    "a question alone": {"messages": [user("Hello")]},
    "system": {"messages": [system("Be brief."), user("Hello"), assistant("Hi")]},
    "many turns": {"messages": [system("S"), user("1"), assistant("2"), user("3"), assistant("4"), user("5")]},
    "developer": {"messages": [{"role": "developer", "content": "D"}, user("q"), assistant("r")]},
    "tools": {"messages": [user("w?"), assistant("r")], "tools": [WEATHER, SEARCH]},
    "a call": {
        "messages": [
            user("w?"),
            assistant("", tool_calls=[call("get_weather", ODD_ARGUMENTS)]),
            answer("sunny"),
            assistant("It is sunny"),
        ],
        "tools": [WEATHER],
    },
    "two calls at once": {
        "messages": [
            system("S"),
            user("w?"),
            assistant(
                "Let me look",
                tool_calls=[
                    call("get_weather", {"city": "A"}),
                    call("search", {"q": "x", "nested": {"a": 1.5, "b": "y"}}, "abcdefgh2"),
                ],
            ),
            answer("r1"),
            answer("r2", "abcdefgh2", "search"),
            assistant("done"),
            user("more"),
            assistant("ok"),
        ],
        "tools": [WEATHER, SEARCH],
    },
    "a call instead of a content": {
        "messages": [
            user("w?"),
            {"role": "assistant", "content": None, "tool_calls": [call("get_weather", {"city": "A"})]},
            answer("r"),
            assistant("ok"),
        ],
        "tools": [WEATHER],
    },
    "no tools in a list": {"messages": [system("S"), user("q"), assistant("r")], "tools": []},
    "reasoning by its short name": {
        "messages": [user("q"), {"role": "assistant", "content": "r", "reasoning": "because"}],
    },
    "arguments in a string": {
        "messages": [
            user("w?"),
            assistant(tool_calls=[call("get_weather", '{"city": "A"}')]),
            answer("r"),
            assistant("ok"),
        ],
        "tools": [WEATHER],
    },
    "an object as answer": {
        "messages": [
            user("w?"),
            assistant("", tool_calls=[call("get_weather", {"city": "A"})]),
            answer({"temp": 21.5, "ok": True, "x": None, "s": "it's"}),
            assistant("ok"),
        ],
        "tools": [WEATHER],
    },
    "a list as answer": {
        "messages": [
            user("w?"),
            assistant("", tool_calls=[call("get_weather", {"city": "A"})]),
            answer([{"type": "text", "text": "r1"}]),
            assistant("ok"),
        ],
        "tools": [WEATHER],
    },
    "a call at the end": {
        "messages": [user("w?"), assistant("text", tool_calls=[call("get_weather", {"city": "A", "items": []})])],
        "tools": [WEATHER],
    },
    "flat calls": {
        "messages": [
            user("w?"),
            assistant("", tool_calls=[{"name": "get_weather", "arguments": {"city": "A"}}]),
            {"role": "tool", "content": "r", "name": "get_weather"},
        ],
        "tools": [{"name": "get_weather", "description": "d", "parameters": {"type": "object", "properties": {}}}],
    },
    "reasoning": {
        "messages": [
            user("q"),
            assistant("answer", reasoning_content="think\nhard"),
            user("q2"),
            assistant("answer 2", reasoning_content="again", thinking="again"),
        ]
    },
    "thoughts in the content": {
        "messages": [
            user("q"),
            assistant("<think>\nhmm\n</think>\n\nanswer"),
            user("q2"),
            assistant("<think>x</think>y"),
        ]
    },
    "reasoning and a call": {
        "messages": [
            user("q"),
            assistant("", reasoning_content="I call", tool_calls=[call("search", {"q": "z"})]),
            answer("r", name="search"),
            assistant("end", reasoning_content="got it"),
        ],
        "tools": [SEARCH],
    },
    "parts": {
        "messages": [
            system([{"type": "text", "text": "Sys"}]),
            user([{"type": "text", "text": "part 1"}, {"type": "text", "text": "part 2"}]),
            assistant([{"type": "text", "text": "answer"}]),
        ]
    },
    "a picture": {"messages": [user([{"type": "image"}, {"type": "text", "text": "what"}]), assistant("cat")]},
    "many scripts": {"messages": [user("Grüße 日本語 😀 ﬁ ß Σς"), assistant("naïve – “quoted” \u202babc\u202c")]},
    "line separators": {"messages": [user("a\u2028b\u2029c\x85d"), assistant("x\u2028y\n")]},
    "odd white space": {"messages": [system("  sys  \n"), user("\n\n hello \t\n"), assistant("  \n answer \x1c\n\n")]},
    "out of order": {"messages": [assistant("first"), user("then"), user("again"), assistant("x"), assistant("y")]},
    "an odd role": {"messages": [user("a"), {"role": "narrator", "content": "n"}, assistant("b")]},
    "empty": {"messages": [user(""), assistant("")]},
    "without content": {"messages": [user("a"), assistant(), user("b")]},
    "control tokens and markup": {
        "messages": [user("<b>&amp;</b> 'x' \"y\" {{ z }} {% if %}"), assistant("</s><|im_end|>\\n\\t")]
    },
    "documents": {
        "messages": [user("q"), assistant("r")],
        "documents": [{"title": "T1", "text": "body 1"}, {"title": "T2", "text": "body 2"}],
    },
    "two system prompts": {"messages": [system("a"), system("b"), user("c"), assistant("d")]},
}


def program() -> Path:
    """The example of `crates/chat` that renders, which is built with the Rust tests."""
    command = Path(os.environ.get("MASHBILL", REPOSITORY / "target" / "debug" / "mashbill"))
    found = command.absolute().parent / "examples" / "render"
    assert found.is_file(), f"{found} is not there: `cargo build --workspace --examples` makes it"
    return found


def answers(requests: Iterable[Request]) -> list[Answer]:
    """What mashbill makes of requests, each in a process that none of them ends."""
    lines = [json.dumps(request, ensure_ascii=False) for request in requests]
    ran = subprocess.run(
        [program()], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True
    )
    # Only `\n` ends a line here: texts have other line breaks in them.
    found = ran.stdout.split("\n")[:-1]
    assert len(found) == len(lines)
    return [json.loads(line) for line in found]
