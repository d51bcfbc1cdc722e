"""Manifests that nobody's run wrote: each is a good one with one thing changed."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

Manifest = dict[str, Any]

HUGE = [0, 2**31, 2**32, 2**40, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 10**30, -1, 1.5, 1e308, "1", None, [], {}]


def _at(manifest: Manifest, path: str) -> tuple[Any, Any]:
    """The place that a path such as `splits.a.shard_list.0.tokens` names: what holds it, and the key in that."""
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
    of_shard = of_split + "shard_list.0."
    places = {
        "max_seq_length": ["max_seq_length", "options.max_seq_length"],
        "vocabulary_size": ["tokenizer_identity.vocabulary_size"],
        "pad": ["tokenizer_identity.pad.id"],
        "layout": ["layout.rows_per_group", "layout.rows_per_page"],
        "rows a group": ["layout.rows_per_group"],
        "shard_bytes": ["options.shard_bytes"],
        "stride_bytes": ["options.stride_bytes"],
        "max_document_bytes": ["options.max_document_bytes"],
        "shard_size": ["shard_size_gb"],
        "shards": [of_split + "shards"],
        "sequences": [of_split + "sequences"],
        "rows": [of_split + "sequences", of_shard + "file.rows"],
        "shard's rows": [of_shard + "file.rows"],
        "shard's bytes": [of_shard + "file.bytes"],
        "shard's tail": [of_shard + "file.tail.bytes"],
        "table's rows": [of_shard + "table.rows"],
        "table's bytes": [of_shard + "table.bytes"],
        "samples": [of_split + "samples", of_shard + "table.rows", of_shard + "documents"],
        "shard's documents": [of_shard + "documents"],
        "tokens": [of_split + "tokens", of_split + "ledger.text_tokens", of_shard + "tokens"],
        "shard's tokens": [of_shard + "tokens"],
        "padding": [of_split + "ledger.padding", of_shard + "padding"],
        "shard's padding": [of_shard + "padding"],
        "stretch's beginning": [of_shard + "input.start"],
        "stretch's end": [of_shard + "input.end"],
        "stretch": [of_shard + "input.start", of_shard + "input.end"],
        "stretch's bytes": [of_split + "source.bytes", of_shard + "input.bytes", of_shard + "input.end"],
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
    [shard] = split["shard_list"]
    end = shard["input"]["end"]
    empty = {name: shard[name] for name in shard if name not in ("file", "table")}
    empty |= {"documents": 0, "tokens": 0, "padding": 0}
    far = {"start": 2**52, "end": 2**52 + end}
    yield "no shards", changed(good, ("splits.a.shard_list", []))
    yield (
        "no shards and no documents",
        changed(good, ("splits.a.shard_list", []), ("splits.a.samples", 0), ("splits.a.sequences", 0)),
    )
    yield "rows and no table", changed(good, ("splits.a.shard_list.0.table", None))
    yield "a table and no rows", changed(good, ("splits.a.shard_list.0.file", None))
    yield "documents in no file", changed(good, ("splits.a.shard_list", [empty | {"documents": 20}]))
    yield (
        "a stretch far away",
        changed(
            good,
            (
                "splits.a.shard_list",
                [
                    empty | {"input": shard["input"] | {"start": 0, "end": 2**52}},
                    shard | {"input": shard["input"] | far},
                ],
            ),
        ),
    )
    yield "a stretch of no bytes", changed(good, ("splits.a.shard_list.0.input.end", 0))
    yield (
        "a stretch that ends before it begins",
        changed(good, ("splits.a.shard_list.0.input", shard["input"] | {"start": 10, "end": 5})),
    )
    yield (
        "a hundred thousand empty stretches",
        changed(
            good,
            (
                "splits.a.shard_list",
                [shard, *[empty | {"input": shard["input"] | {"start": end, "end": end, "bytes": 0}}] * 100_000],
            ),
        ),
    )
    yield "no splits", changed(good, ("splits", {}))
    yield "one shard a thousand times", changed(good, ("splits.a.shard_list", [shard] * 1000))
    yield (
        "one shard a thousand times, one after another",
        changed(
            good,
            (
                "splits.a.shard_list",
                [shard | {"input": shard["input"] | {"start": n * end, "end": (n + 1) * end}} for n in range(1000)],
            ),
        ),
    )
    yield "a split a thousand times", changed(good, ("splits", {f"s{n}": split for n in range(1000)}))
    largest = shard | {"file": shard["file"] | {"rows": 2**63, "bytes": 2**63}}
    yield "sums that wrap", changed(good, ("splits.a.shard_list", [largest] * 4))
    yield "splits' sums that wrap", changed(good, ("splits", {f"s{n}": split | {"tokens": 2**63} for n in range(4)}))
    yield "ids around documents", changed(good, ("tokenizer_identity.ids_after", [2**32 - 1] * 1000))
    yield "a name of a megabyte", changed(good, ("splits", {"n" * 2**20: split}))
    yield "a tokenizer of a megabyte", changed(good, ("tokenizer", "n" * 2**20))
    yield "another label convention", changed(good, ("labels.convention", "n" * 2**20))
    yield "another label at a border", changed(good, ("labels.boundary", "masked"))
    yield "another label at a row's end", changed(good, ("labels.last_position", "ignored"))
    yield "another ignore_index", changed(good, ("labels.ignore_index", -1))
    yield "another packing", changed(good, ("options.packing", "best_fit\x1b[2J"))
    yield "a feature that nobody knows", changed(good, ("requires", ["n" * 2**20]))
    yield "a feature of another reader", changed(good, ("requires", ["best_fit"]))
    yield "a column that no file has", changed(good, ("requires", ["loss_spans"]))
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
    yield (
        "deep in a split",
        changed(good, ("splits.a.shard_list", "DEEP")).replace('"DEEP"', "[" * 10_000 + "]" * 10_000),
    )
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
    yield "format version 1", changed(good, ("format_version", 1))
    yield "format version 3", changed(good, ("format_version", 3))


def _names(good: Manifest) -> Iterator[tuple[str, str]]:
    split = good["splits"]["a"]
    for name in ("../x", "/tmp/x", "..", "", ".mashbill", "_validation", "manifest.json", "a/b", "x\x1b[2J\u202e"):
        yield f"a split called {name!r}", changed(good, ("splits", {name: split}), ("vanished", {name: split}))
        yield f"a shard called {name!r}", changed(good, ("splits.a.shard_list.0.file.name", name))
        yield f"a table called {name!r}", changed(good, ("splits.a.shard_list.0.table.name", name))
        yield f"an input called {name!r}", changed(good, ("splits.a.source.file", name))


def manifests(good: Manifest) -> list[tuple[str, str]]:
    """Hostile manifests with what is hostile about them."""
    made: list[Callable[[Manifest], Iterator[tuple[str, str]]]] = [_shapes, _sizes, _names]
    return [each for make in made for each in make(good)]
