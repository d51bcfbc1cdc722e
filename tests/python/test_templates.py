"""Published templates give the text that transformers gives, and the same blocks of the assistant, or both refuse.

Every template renders every conversation with every setting: about nine thousand texts.
"""

from collections import Counter
from typing import Any

import pytest
from chats import CONVERSATIONS, Request, answers
from published import templates
from reference_chats import rendered, variables
from test_dialect import verdict

SETTINGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "with a generation prompt": {"add_generation_prompt": True},
    "without thinking": {"enable_thinking": False},
}


def test_published_templates_give_the_text_that_transformers_gives(capsys: pytest.CaptureFixture[str]) -> None:
    found = templates()
    assert len(found) >= 100
    assert len(CONVERSATIONS) >= 26
    cases = [(name, conversation, setting) for name in found for conversation in CONVERSATIONS for setting in SETTINGS]
    requests: list[Request] = [
        {"template": found[name], "variables": variables(CONVERSATIONS[conversation], **SETTINGS[setting])}
        for name, conversation, setting in cases
    ]
    verdicts = [verdict(rendered(request), answer) for request, answer in zip(requests, answers(requests), strict=True)]
    wrong = [
        (case, outcome)
        for case, outcome in zip(cases, verdicts, strict=True)
        if outcome not in ("equal", "both refuse")
    ]
    assert not wrong, (len(wrong), wrong[:5])
    counts = Counter(verdicts)
    with capsys.disabled():
        shown = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
        print(f"\n{len(found)} templates x {len(CONVERSATIONS)} conversations x {len(SETTINGS)} settings: {shown}")
    assert counts["equal"] >= 7_000
