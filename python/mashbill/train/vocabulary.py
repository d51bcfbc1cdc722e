"""Which token each id of a tokenizer.json stands for: whether the ids of two models mean the same."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE_BYTES_MAX = 256 << 20
"""Of a tokenizer.json; the largest known has 34 MB."""

_OF_A_CALL = ("truncation", "padding", "version")
"""What a tokenizer.json keeps of how it was called last."""


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer.json: its tokens by id, those that were added to it, and all the rest."""

    tokens: dict[int, str]
    added: dict[int, str]
    definition: dict[str, Any]

    def difference(self, other: "Vocabulary", added: bool) -> str | None:
        """What another tokenizer has else; none where ids mean the same and, with `added`, all is the same."""
        ours, theirs = self.tokens, other.tokens
        if added:
            ours, theirs = ours | self.added, theirs | other.added
        else:
            # Another vocabulary may count an added token among its own.
            apart = {**self.added, **other.added}
            ours, theirs = ({id: each for id, each in one.items() if id not in apart} for one in (ours, theirs))
        others = sum(theirs.get(id) != token for id, token in ours.items())
        if others or len(ours) != len(theirs):
            return f"{others:,} of the data's {len(ours):,} ids are other tokens there, which has {len(theirs):,}"
        if not added:
            return None
        parts = [key for key in {**self.definition, **other.definition} if self._part(key) != other._part(key)]
        return f"the ids are the same, `{'`, `'.join(parts)}` not" if parts else None

    def _part(self, key: str) -> Any:
        return self.definition.get(key)


def read_file(path: str | Path) -> Vocabulary:
    """Reads a tokenizer.json; a `ValueError` where it is none."""
    with Path(path).open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"it is larger than {FILE_BYTES_MAX >> 20} MiB")
    return read(data)


def read(data: bytes) -> Vocabulary:
    """Reads the bytes of a tokenizer.json; a `ValueError` where they are none."""
    try:
        definition = json.loads(data)
        model = definition["model"]
        listed = model["vocab"]
        if isinstance(listed, dict):
            tokens = {int(id): str(token) for token, id in listed.items()}
        else:
            # A Unigram model lists its tokens with their scores.
            tokens = {id: str(each[0]) for id, each in enumerate(listed)}
        added = {int(each["id"]): str(each["content"]) for each in definition.get("added_tokens") or []}
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError("it is not a tokenizer.json") from error
    kept = {key: value for key, value in definition.items() if key not in _OF_A_CALL}
    model_kept = {f"model.{key}": value for key, value in kept.pop("model").items()}
    return Vocabulary(tokens, added, kept | model_kept)
