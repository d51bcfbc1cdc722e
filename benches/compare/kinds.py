"""What kind of text a document is: of one script, or code."""

from __future__ import annotations

import re

KINDS = {
    "Chinese": r"[\u4e00-\u9fff]",
    "Japanese": r"[\u3040-\u30ff]",
    "Cyrillic": r"[\u0400-\u04ff]",
    "Arabic": r"[\u0600-\u06ff]",
    "Thai": r"[\u0e00-\u0e7f]",
    "code": r"[{}();=]",
}
"""What a twentieth (of code) or a fifth of the characters of a document is, for it to be of a kind."""


def kind_of(text: str) -> str:
    """The kind that a document is of."""
    head = text[:2000]
    for kind in ("Japanese", *KINDS):
        least = 20 if kind == "code" else 10 if kind == "Japanese" else 5
        if len(re.findall(KINDS[kind], head)) * least > len(head):
            return kind
    return "other"
