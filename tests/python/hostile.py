"""Manifests that nobody's run wrote: each is a good one with one thing changed."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

Manifest = dict[str, Any]

HUGE = [0, 2**31, 2**32, 2**40, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 10**30, -1, 1.5, 1e308, "1", None, [], {}]


def _at(manifest: Manifest, path: str) -> tuple[Any, Any]:
    """The place that a path such as `splits.a.units.0.rows` names: what holds it, and the key in that."""
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = manifest
    for part in above:
        place = place[part]
    return place, last


def changed(good: Manifest, *changes: tuple[str, Any]) -> str:
    manifest = copy.deepcopy(good)
    for path, value in changes:
        place, last = _at(manifest, path)
        place[last] = value
    return json.dumps(manifest)


def _sizes(good: Manifest) -> Iterator[tuple[str, str]]:
    """Numbers of every size and kind in the place of each number that a reader computes with."""
    of_split = "splits.a."
    places = {
        "max_seq_length": ["max_seq_length", "options.max_seq_length"],
        "vocabulary_size": ["tokenizer_identity.vocabulary_size"],
        "pad": ["tokenizer_identity.pad.id"],
        "layout": ["layout.rows_per_group", "layout.rows_per_page"],
        "rows a group": ["layout.rows_per_group"],
        "unit_bytes": ["options.unit_bytes"],
        "max_document_bytes": ["options.max_document_bytes"],
        "shard_size": ["shard_size_gb"],
        "shards": [of_split + "shards"],
        "sequences": [of_split + "sequences"],
        "rows": [of_split + "sequences", of_split + "shard_files.0.rows", of_split + "units.0.rows"],
        "shard's rows": [of_split + "shard_files.0.rows"],
        "shard's bytes": [of_split + "shard_files.0.bytes"],
        "samples": [of_split + "samples", of_split + "documents.rows", of_split + "units.0.documents"],
        "tokens": [of_split + "tokens", of_split + "ledger.text_tokens"],
        "padding": [of_split + "ledger.padding"],
        "unit's first row": [of_split + "units.0.first_row"],
        "unit's first key": [of_split + "units.0.first_key"],
        "unit's rows": [of_split + "units.0.rows"],
        "unit's tail": [of_split + "units.0.tail_tokens"],
        "held-out fraction": ["options.held_out"],
    }
    for index, (name, paths) in enumerate(places.items()):
        # Each place meets some of the values, and each value some of the places.
        for offset in (0, 5, 9):
            value = HUGE[(3 * index + offset) % len(HUGE)]
            if name == "held-out fraction":
                value = {"fraction": value, "part": "train"}
            yield f"{name} is {value!r}", changed(good, *[(path, value) for path in paths])


def _shapes(good: Manifest) -> Iterator[tuple[str, str]]:
    split = good["splits"]["a"]
    text = json.dumps(good)
    yield "no units", changed(good, ("splits.a.units", []))
    yield "no units and no documents", changed(good, ("splits.a.units", []), ("splits.a.samples", 0))
    yield "no shards", changed(good, ("splits.a.shard_files", []))
    yield "no splits", changed(good, ("splits", {}))
    yield "one unit a thousand times", changed(good, ("splits.a.units", split["units"] * 1000))
    yield "one shard a thousand times", changed(good, ("splits.a.shard_files", split["shard_files"] * 1000))
    yield "a split a thousand times", changed(good, ("splits", {f"s{n}": split for n in range(1000)}))
    largest = {"rows": 2**63, "bytes": 2**63}
    yield "sums that wrap", changed(good, ("splits.a.shard_files", [split["shard_files"][0] | largest] * 4))
    yield "splits' sums that wrap", changed(good, ("splits", {f"s{n}": split | {"tokens": 2**63} for n in range(4)}))
    yield "ids around documents", changed(good, ("tokenizer_identity.ids_after", [2**32 - 1] * 1000))
    yield "a name of a megabyte", changed(good, ("splits", {"n" * 2**20: split}))
    yield "a tokenizer of a megabyte", changed(good, ("tokenizer", "n" * 2**20))
    yield "another label convention", changed(good, ("labels.convention", "n" * 2**20))
    yield "another text field", changed(good, ("options.text_field", ""))
    yield "an identity of other digits", changed(good, ("splits.a.identity", "0" * 32))
    yield "an identity of other length", changed(good, ("splits.a.identity", "0" * 2**16))
    yield "a path to a device", changed(good, ("splits.a.path", "/dev/zero"), ("input_path", "/dev/zero"))
    yield "an input elsewhere", changed(good, ("input_path", "/"), ("splits.a.source.file", "etc/passwd"))
    yield "everything vanished", changed(good, ("vanished", good["splits"]), ("splits", {}))
    yield "every split twice", changed(good, ("vanished", good["splits"]))
    yield "an unknown reason", changed(good, ("splits.a.rejected", {"because": 1}))
    yield "refused lines that wrap", changed(good, ("splits.a.rejected", {"no_text": 2**63, "invalid_json": 2**63}))
    yield "a key twice", text.replace('"splits": {', '"splits": {}, "splits": {', 1)
    yield "a split's name twice", text.replace('"splits": {', f'"splits": {{"a": {json.dumps(split)}, ', 1)
    yield "nested ten thousand deep", text[:-1] + ', "more": ' + "[" * 10_000 + "]" * 10_000 + "}"
    yield "nested objects", text[:-1] + ', "more": ' + '{"a":' * 10_000 + "1" + "}" * 10_001
    yield "deep in a split", changed(good, ("splits.a.units", "DEEP")).replace('"DEEP"', "[" * 10_000 + "]" * 10_000)
    yield "NaN", text.replace('"shard_size_gb": ', '"shard_size_gb": NaN, "x": ', 1)
    yield "Infinity", changed(good, ("shard_size_gb", float("inf")))
    yield "a number out of range", text.replace('"shard_size_gb": ', '"shard_size_gb": 1e999, "x": ', 1)
    yield "cut off", text[: len(text) // 2]
    yield "nothing", ""
    yield "null", "null"
    yield "an array", f"[{text}]"
    yield "no JSON", "\x00" * 1000
    yield "a million unknown keys", text[:-1] + "," + ",".join(f'"k{n}":0' for n in range(10**6)) + "}"
    yield "format version 2^32", changed(good, ("format_version", 2**32))


def _names(good: Manifest) -> Iterator[tuple[str, str]]:
    split = good["splits"]["a"]
    for name in ("../x", "/tmp/x", "..", "", ".mashbill", "_validation", "manifest.json", "a/b", "x\x1b[2J\u202e"):
        yield f"a split called {name!r}", changed(good, ("splits", {name: split}), ("vanished", {name: split}))
        yield f"a shard called {name!r}", changed(good, ("splits.a.shard_files.0.name", name))
        yield f"a table called {name!r}", changed(good, ("splits.a.documents.name", name))
        yield f"an input called {name!r}", changed(good, ("splits.a.source.file", name))


def manifests(good: Manifest) -> list[tuple[str, str]]:
    """Hostile manifests with what is hostile about them."""
    made: list[Callable[[Manifest], Iterator[tuple[str, str]]]] = [_shapes, _sizes, _names]
    return [each for make in made for each in make(good)]
