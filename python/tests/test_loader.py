"""The loader against the rows as pyarrow reads them."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import mashbill
import numpy as np
import pyarrow.parquet as pq
import pytest
from mashbill import DataLoader, Dataset


def stored(folder: Path, splits: list[str] | None = None) -> dict[str, np.ndarray]:
    """The columns of all rows in the dataset's order."""
    names = sorted(path.parent.name for path in folder.glob("*/shard_0000.parquet"))
    tables = [
        pq.read_table(shard)
        for name in names
        if splits is None or name in splits
        for shard in sorted((folder / name).glob("shard_*.parquet"))
    ]
    columns = ("input_ids", "attention_mask", "labels", "seq_lens")
    return {column: [row for table in tables for row in table[column].to_pylist()] for column in columns}


def loader(folder: Path, batch_size: int = 4, **options: object) -> DataLoader:
    return DataLoader(Dataset(folder), batch_size, **({"label_convention": "shifted", "seed": 3} | options))


def rows(loader: DataLoader, steps: int | None = None) -> list[list[int]]:
    taken = []
    for batch in loader:
        taken.append(batch.rows.tolist())
        if len(taken) == steps:
            break
    return taken


@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.parametrize("cached", [False, True])
def test_an_epoch_has_each_row_once_as_it_is_stored(folder: Path, tmp_path: Path, threads: int, cached: bool) -> None:
    expected = stored(folder)
    dataset = Dataset(folder, cache=tmp_path / "cache" if cached else None)
    seen = []
    for batch in DataLoader(dataset, 4, label_convention="shifted", last="short", threads=threads):
        assert (batch["input_ids"].dtype, batch["labels"].dtype) == (np.int32, np.int64)
        for index, row in enumerate(batch.rows):
            for column in ("input_ids", "attention_mask", "labels"):
                assert batch[column][index].tolist() == expected[column][row], (column, row)
        seen += batch.rows.tolist()
    assert sorted(seen) == list(range(len(dataset)))
    assert seen != sorted(seen)


def test_aligned_labels_are_the_ids_and_borders_are_masked_with_documents(folder: Path) -> None:
    expected = stored(folder)
    for batch in loader(folder, label_convention="aligned", last="short"):
        ids = np.where(batch["attention_mask"] == 1, batch["input_ids"], -100)
        assert (batch["labels"] == ids).all()
    for convention in ("shifted", "aligned"):
        for batch in loader(folder, label_convention=convention, last="short", documents=True):
            assert "attention_mask" not in batch
            at = 0
            for index, row in enumerate(batch.rows):
                lengths = expected["seq_lens"][row]
                padding = 32 - sum(lengths)
                positions = [p for length in (*lengths, padding) for p in range(length)]
                assert batch["position_ids"][index].tolist() == positions
                starts = np.cumsum(lengths)[:-1]
                borders = starts - 1 if convention == "shifted" else starts
                assert (batch["labels"][index][borders] == -100).all()
                real = batch["labels"][index][: sum(lengths)]
                others = np.delete(real, borders)
                assert (others[:-1] != -100).all()
                assert batch.pieces_in_row is not None and batch.pieces_in_row[index] == len(lengths)
                at += 32
            assert batch.cu_seqlens is not None and batch.seq_lens is not None
            assert batch.cu_seqlens[-1] == at
            assert set(batch.seq_lens.tolist()) <= set(np.diff(batch.cu_seqlens).tolist())


def test_the_global_order_is_the_same_for_every_world_size_and_resumes_anywhere(folder: Path) -> None:
    plain = [row for step in rows(loader(folder, 24, last="wrap")) for row in step]
    for world_size in (2, 3, 8):
        ranks = [
            loader(folder, 24 // world_size, last="wrap", rank=r, world_size=world_size) for r in range(world_size)
        ]
        steps = zip(*(rows(rank) for rank in ranks), strict=True)
        assert [row for step in steps for places in zip(*step, strict=True) for row in places] == plain
    first = loader(folder, 6, last="wrap")
    begun = rows(first, 5)
    state = json.loads(json.dumps(first.state_dict()))
    assert len(json.dumps(state)) < 1024
    for world_size, batch_size in ((1, 5), (3, 2)):
        ranks = [
            loader(folder, batch_size, last="wrap", rank=r, world_size=world_size, threads=r) for r in range(world_size)
        ]
        for rank in ranks:
            rank.load_state_dict(state)
        steps = zip(*(rows(rank, 3) for rank in ranks), strict=True)
        after = [row for step in steps for places in zip(*step, strict=True) for row in places]
        before = [row for step in begun for row in step]
        assert before + after == plain[: len(before) + len(after)]


def test_a_state_taken_at_the_end_of_an_epoch_begins_the_next(folder: Path) -> None:
    one = loader(folder)
    first, state, second = rows(one), one.state_dict(), rows(one)
    assert first != second and len(first) == len(second) == len(one)
    resumed = loader(folder)
    resumed.load_state_dict(state)
    assert rows(resumed) == second


def test_a_state_that_is_loaded_after_the_iteration_began_holds_at_once(folder: Path) -> None:
    one = loader(folder)
    rows(one, 4)
    state, expected = one.state_dict(), rows(one, 2)
    other = loader(folder)
    iterator = iter(other)
    next(iterator)
    other.load_state_dict(state)
    assert [next(iterator).rows.tolist() for _ in range(2)] == expected


def test_weights_are_exact_and_limited_to_four_epochs(folder: Path) -> None:
    dataset = Dataset(folder, ["corn", "water"])
    starts = {"corn": range(dataset.splits[0].rows)}
    mixed = DataLoader(dataset, 4, label_convention="shifted", weights={"grain": 1, "water": 3}, steps=15)
    counts = Counter("corn" if row in starts["corn"] else "water" for step in rows(mixed) for row in step)
    assert counts == {"corn": 15, "water": 45}
    assert mixed.epochs() == {
        split.name.replace("corn", "grain"): n / split.rows for split, n in zip(dataset.splits, (15, 45), strict=True)
    }
    with pytest.raises(mashbill.MashbillError, match="at most 4 epochs"):
        DataLoader(dataset, 4, label_convention="shifted", weights={"grain": 1, "water": 3}, steps=5000)
    staged = DataLoader(
        dataset,
        4,
        label_convention="shifted",
        steps=20,
        weights=[(0, {"grain": 1}), (5, {"grain": 1}, "ramp"), (10, {"water": 1})],
    )
    taken = rows(staged)
    assert all(row in starts["corn"] for step in taken[:5] for row in step)
    assert not any(row in starts["corn"] for step in taken[10:] for row in step)


def test_a_step_leads_to_its_documents_and_they_lead_back(folder: Path) -> None:
    one = loader(folder, rank=0, world_size=2)
    steps = rows(loader(folder, rank=0, world_size=2), 3)
    located = one.locate(2, rank=0)
    assert [row["row"] for row in located] == steps[2]
    part = located[1]["documents"][0]
    text = (folder.parent / "input" / part["file"].replace("/", os.sep)).read_bytes()
    record = json.loads(text[part["doc_id"] :].split(b"\n")[0])
    assert (record["id"], record.get("source")) == (part["id"], part["source"])
    for name in (part["id"], part["doc_id"], np.int64(part["doc_id"]), str(part["doc_id"])):
        assert (2, 0, 1) in [found[:3] for found in one.steps_of(located[1]["split"], name)]
    for name in (part["doc_id"] + 1, -1, 2**63 - 1, 2**63, "nobody"):
        with pytest.raises(mashbill.MashbillError, match=rf"has no document `{name}`\nhint: "):
            one.steps_of(located[1]["split"], name)


def shards(folder: Path, split: str) -> list[dict[str, Any]]:
    """What the manifest says of the shards of a split that have rows."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return [shard for shard in manifest["splits"][split]["shard_list"] if "file" in shard]


@pytest.mark.parametrize("cached", [False, True])
def test_keys_are_those_of_the_input_whatever_shard_a_document_is_in(
    folder: Path, tmp_path: Path, cached: bool
) -> None:
    dataset = Dataset(folder, cache=tmp_path / "cache" if cached else None)
    [batch] = DataLoader(dataset, len(dataset), label_convention="shifted", documents=True, shuffle="off")
    expected = []
    for split in dataset.splits:
        assert len(shards(folder, split.name)) > 1
        for shard in shards(folder, split.name):
            stored = pq.read_table(folder / split.name / shard["file"]["name"])["doc_ids"]
            expected += [key + shard["input"]["start"] for keys in stored.to_pylist() for key in keys]
    assert batch.doc_ids.tolist() == expected


def test_a_key_is_looked_up_in_one_table(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    first, *_, last = shards(folder, "rye")
    (copy / "rye" / "_documents" / first["table"]["name"]).unlink()
    one = loader(copy)
    table = pq.read_table(copy / "rye" / "_documents" / last["table"]["name"]).to_pylist()
    key = last["input"]["start"] + table[-1]["doc_id"]
    assert one.steps_of("rye", key) == loader(folder).steps_of("rye", key) != []
    # By its own id it may be in any of them.
    message = r"document table `.*_documents/shard_0000\.documents` of split `rye` cannot be opened: .*\n"
    with pytest.raises(mashbill.ShardError, match=message + r"hint: `mashbill verify .*copy` says"):
        one.steps_of("rye", table[-1]["id"])


def test_a_folder_of_another_format_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / "manifest.json"
    good = json.loads(path.read_text())
    again = (
        f"mv {copy} somewhere else, then run the `mashbill tokenize` command that made it: it makes the folder again"
    )
    older = f"has format_version 1, this mashbill reads 2\nhint: tokenize again: {again}"
    newer = "has format_version 3, this mashbill reads 2\nhint: update mashbill"
    unknown = f"update mashbill; else copy it again from a good copy, or {again}"
    for changes, said in (
        ({"format_version": 1}, older),
        ({"format_version": 3}, newer),
        ({"labels": good["labels"] | {"convention": "aligned"}}, unknown),
        ({"labels": good["labels"] | {"convention": "n" * 2**20}}, unknown),
        ({"requires": ["more"]}, "which this mashbill does not know\nhint: update mashbill"),
        (
            {"labels": good["labels"] | {"ignore_index": -1}},
            "hint: update mashbill, or tokenize the folder's input again",
        ),
    ):
        path.write_text(json.dumps(good | changes))
        with pytest.raises(mashbill.MashbillError) as raised:
            Dataset(copy)
        assert str(raised.value).endswith(said) and len(str(raised.value)) < 5000
        if "ignore_index" not in str(raised.value):
            assert str(raised.value).startswith(f"`{path}` "), "the file is named"


def inspect(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mashbill", "inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_shows_the_documents_that_were_delivered(folder: Path, tmp_path: Path) -> None:
    weights = [(0, {"grain": 3, "water": 1}), (4, {"grain": 1, "water": 2}, "ramp"), (9, {"grain": 1, "water": 1})]
    ranks = [
        loader(folder, documents=True, weights=weights, steps=12, rank=rank, world_size=2, quiet=True)
        for rank in range(2)
    ]
    delivered = [list(rank) for rank in ranks]
    # In the middle of the run, as a checkpoint would have it.
    recipe = tmp_path / "run" / "loader.json"
    recipe.parent.mkdir()
    schema = Path(__file__).parents[2] / "schemas" / "loader.schema.json"
    jsonschema.validate(ranks[1].recipe(), json.loads(schema.read_text()))
    recipe.write_text(json.dumps(ranks[1].recipe()))
    for step in (0, 5, 11):
        for rank in range(2):
            ran = inspect(recipe.parent, "--step", str(step), "--rank", str(rank), "--json")
            assert ran.returncode == 0, ran.stderr
            shown = json.loads(ran.stdout)
            batch = delivered[rank][step]
            assert shown["step"] == step
            assert [row["row"] for row in shown["rows"]] == batch.rows.tolist()
            documents = [document for row in shown["rows"] for document in row["documents"]]
            assert [document["doc_id"] for document in documents] == batch.doc_ids.tolist()
            assert [document["len"] for document in documents] == batch.seq_lens.tolist()
            assert shown["rows"] == ranks[0].locate(step, rank)
    document = documents[0]
    text = inspect(recipe, "--step", "11", "--rank", "1").stdout.splitlines()
    assert text[0] == "step 11"
    assert text[2].startswith(f"── {document['file']}, byte {document['doc_id']}, id {document['id']}")
    found = json.loads(inspect(recipe, "--doc", document["id"], "--json").stdout)
    assert (11, 1) in [(each["step"], each["rank"]) for each in found["steps"]]
    expected = ranks[0].steps_of(found["split"], document["id"])
    assert [tuple(each.values()) for each in found["steps"]] == [tuple(each) for each in expected]
    # Without weights a few flags say as much.
    plain = loader(folder, seed=7)
    taken = rows(plain, 3)
    ran = inspect(folder, "--step", "2", "--batch-size", "4", "--seed", "7", "--json")
    assert [row["row"] for row in json.loads(ran.stdout)["rows"]] == taken[2]


def test_the_loss_of_each_source_takes_a_few_lines(folder: Path) -> None:
    dataset = Dataset(folder)
    paths = {"corn": "grain/corn.jsonl", "rye": "grain/rye.jsonl", "water": "water.jsonl"}
    raw = {name: (folder.parent / "input" / path).read_bytes() for name, path in paths.items()}
    losses = np.random.default_rng(1)
    for batch in DataLoader(dataset, 8, label_convention="shifted", documents=True, last="short"):
        loss = losses.random(batch["labels"].shape)
        names, code = np.unique(dataset.sources(batch), return_inverse=True)
        bears = batch["labels"] != -100
        sums = np.bincount(code[batch.piece_ids()[bears]], weights=loss[bears], minlength=len(names))
        # The same the long way, by the records themselves.
        expected: Counter[str] = Counter()
        piece = 0
        for index, row in enumerate(batch.rows):
            split = next(each for each in dataset.splits if row < each.rows or (row := row - each.rows) < 0)
            at = 0
            for _ in range(batch.pieces_in_row[index]):
                record = json.loads(raw[split.name][batch.doc_ids[piece] :].split(b"\n")[0])
                here = slice(at, at := at + batch.seq_lens[piece])
                part = loss[index][here][batch["labels"][index][here] != -100]
                expected[record.get("source", split.name)] += part.sum()
                piece += 1
        assert dict(zip(names, sums, strict=True)) == pytest.approx({name: expected[name] for name in names}) and set(
            expected
        ) == set(names)
    with pytest.raises(ValueError, match="documents=True"):
        dataset.sources(next(iter(loader(folder))))


def test_documents_of_a_split_of_many_files_are_told_apart(folder: Path, grouped: Path) -> None:
    records = {}
    for path in (folder.parent / "input").rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            records[record["id"]] = record
    dataset = Dataset(grouped)
    one = DataLoader(dataset, 4, label_convention="shifted", documents=True, last="short")
    seen = set()
    for step, batch in enumerate(one):
        sources, appearances = dataset.sources(batch), {}
        for row in one.locate(step):
            for document in row["documents"]:
                expected = records[document["id"]].get("source", row["split"])
                assert sources.pop(0) == expected
                appearances.setdefault((row["split"], document["id"]), document)
        for (split, name), document in appearances.items():
            group, key = document.get("group"), document["doc_id"]
            by_name = one.steps_of(split, name, until=step + 1)
            assert by_name == one.steps_of(split, key, until=step + 1, group=group)
            assert step in [found.step for found in by_name]
            seen.add((split, group, key))
    assert len(seen) == len(records) > len({(split, key) for split, _, key in seen}), "keys begin again"
    with pytest.raises(ValueError, match=r"is many files: .*\nhint: give its group, too"):
        one.steps_of("grain", 0)
    with pytest.raises(ValueError, match="group goes with a doc_id"):
        one.steps_of("grain", "rye-1", group=0)
    with pytest.raises(mashbill.MashbillError, match="has no document `7/0`"):
        one.steps_of("grain", 0, group=7)


def test_the_curriculum_is_a_name_for_its_shares(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for category in ("code", "math_reasoning"):
        path = tmp_path / "input" / category / f"{category}.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps({"text": f"the still number {n}"}) + "\n" for n in range(400)))
    command = [os.environ["MASHBILL"], "tokenize", "--recursive", "--input", str(tmp_path / "input"), "--quiet"]
    command += ["--output", str(tmp_path / "out"), "--tokenizer", "gpt2", "--max-seq-length", "16"]
    subprocess.run(command, check=True, timeout=60)
    dataset = Dataset(tmp_path / "out")
    # 25 and 20 percent of all tokens are 25 and 20 of 45 parts of 18 steps of 5 rows.
    expected = {"code": 50, "math_reasoning": 40}
    capfd.readouterr()
    one = DataLoader(dataset, 5, label_convention="shifted", weights="curriculum", steps=18)
    seen = ", ".join(f"{name} {expected[name] / split_rows:.2f} times" for name, _, split_rows in dataset.splits)
    assert capfd.readouterr().err == f"18 steps show {seen}\n"
    counts = Counter(dataset.splits[int(row >= dataset.splits[0].rows)].name for step in rows(one) for row in step)
    assert counts == expected
    with pytest.raises(ValueError, match="split `corn` is in no category of the curriculum"):
        loader(folder, weights="curriculum")


def documents(dataset: Dataset) -> set[str]:
    """The ids of the documents in all rows."""
    one = DataLoader(dataset, 1, label_convention="shifted", shuffle="off", last="short")
    return {str(part["id"]) for step in range(len(one)) for row in one.locate(step) for part in row["documents"]}


def test_the_two_parts_are_each_others_rest(folder: Path, parted: Path) -> None:
    train, validation = Dataset(parted), Dataset(parted, part="validation")
    assert validation.folder == parted / "_validation"
    assert [split.name for split in validation.splits] == ["corn", "rye", "water"]
    assert [split.category for split in validation.splits] == ["grain", "grain", None]
    assert not documents(train) & documents(validation)
    assert documents(train) | documents(validation) == documents(Dataset(folder))
    assert len(documents(Dataset(parted, ["rye"], part="validation"))) > 10
    one = DataLoader(validation, 4, label_convention="shifted", shuffle="off", last="short")
    assert sum(len(batch.rows) for batch in one) == len(validation)
    assert len(pickle.loads(pickle.dumps(validation))) == len(validation)
    # A state of one part is none of the other's.
    with pytest.raises(mashbill.StateError):
        DataLoader(train, 4, label_convention="shifted").load_state_dict(one.state_dict())


def test_a_part_that_is_not_there_is_said(folder: Path, parted: Path, tmp_path: Path) -> None:
    with pytest.raises(mashbill.MashbillError, match=r"has no validation part: nothing was held out of it; .*--val-f"):
        Dataset(folder, part="validation")
    with pytest.raises(mashbill.MashbillError, match="it is the validation part itself"):
        Dataset(parted / "_validation", part="validation")
    with pytest.raises(ValueError, match='part is one of "train", "validation", not "test"'):
        Dataset(parted, part="test")  # type: ignore[arg-type]
    copy = tmp_path / "copy"
    shutil.copytree(parted, copy, ignore=lambda _, names: {"_validation"} & set(names))
    with pytest.raises(mashbill.MashbillError, match=r"`_validation` in it has no manifest\.json: copy it, too"):
        Dataset(copy, part="validation")
    shutil.copytree(folder, copy / "_validation")
    with pytest.raises(mashbill.MashbillError, match="`_validation` in it was held out of something else"):
        Dataset(copy, part="validation")
    assert len(Dataset(copy)) == len(Dataset(parted))


def test_what_is_wrong_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(mashbill.MashbillError, match=r"has no manifest\.json"):
        Dataset(tmp_path)
    with pytest.raises(ValueError, match="there is no split `oats`"):
        Dataset(folder, ["oats"])
    with pytest.raises(TypeError, match="splits is a list of names"):
        Dataset(folder, "corn")
    with pytest.raises(ValueError, match='shuffle is one of "full", "blocks", "off", not "yes"'):
        loader(folder, shuffle="yes")
    with pytest.raises(ValueError, match="rank and world_size come together"):
        loader(folder, rank=0)
    with pytest.raises(ValueError, match="`oats` in the weights is neither a split nor a category"):
        loader(folder, weights={"oats": 1})
    state = loader(folder).state_dict()
    one = loader(folder, seed=4)
    with pytest.raises(mashbill.StateError, match="its seed"):
        one.load_state_dict(state)
    assert one.step == 0 and rows(one, 1)


NO_OPTIONS = [
    ({"batch_size": 0}, "batch_size is a whole number, 1 or more, not 0"),
    ({"batch_size": 2.5}, "batch_size is a whole number, 1 or more, not 2.5"),
    ({"batch_size": True}, "batch_size is a whole number, 1 or more, not True"),
    ({"batch_size": 1 << 33}, "batch_size is a whole number, at most 4294967296, not 8589934592"),
    ({"seed": -1}, "seed is a whole number, 0 or more, not -1"),
    ({"seed": 1 << 64}, "seed is a whole number, at most 18446744073709551615, not 18446744073709551616"),
    ({"seed": "\x1b7"}, "seed is a whole number, 0 or more, not '\\x1b7'"),
    ({"steps": 0}, "steps is a whole number, 1 or more, not 0"),
    ({"steps": 1 << 62}, "step 4611686018427387904 is too far away"),
    ({"max_epochs": 0}, "max_epochs is a whole number, 1 or more, not 0"),
    ({"threads": -1}, "threads is a whole number, 0 or more, not -1"),
    ({"prefetch": -1, "threads": 0}, "prefetch is a whole number, 0 or more, not -1"),
    ({"prefetch": 0}, "prefetch is a whole number, 1 or more, not 0"),
    ({"rank": -1, "world_size": 2}, "rank is a whole number, 0 or more, not -1"),
    ({"rank": 0, "world_size": 0}, "world_size is a whole number, 1 or more, not 0"),
    ({"rank": 2, "world_size": 2}, "rank 2 is not one of 2 ranks"),
    ({"weights": {}}, "the weights from step 0 on name no source: {}"),
    ({"weights": []}, "a mixture needs a stage"),
    ({"weights": "curiculum"}, "weights are numbers by name, stages, or \"curriculum\", not 'curiculum'"),
    ({"weights": 3}, 'weights are numbers by name, stages, or "curriculum", not 3'),
    ({"weights": [3]}, 'a stage is (from_step, weights) or (from_step, weights, "ramp"), not 3'),
    ({"weights": [(0,)]}, 'a stage is (from_step, weights) or (from_step, weights, "ramp"), not (0,)'),
    ({"weights": [(0, 3)]}, "the weights from step 0 on name no source: 3"),
    ({"weights": [(-1, {"grain": 1})]}, "from_step is a whole number, 0 or more, not -1"),
    ({"weights": [(0, {"grain": 1}, "ramp")]}, "the last stage, from step 0 on, is a ramp, and no stage follows"),
    ({"weights": {"grain": -1}}, "the weight of `grain` is -1"),
    ({"weights": {"grain": float("nan")}}, "the weight of `grain` is NaN"),
    ({"weights": {"rye": 0, "corn": 0, "water": 0}}, "the weights at step 0 sum to 0"),
]


@pytest.mark.parametrize("options, message", NO_OPTIONS, ids=lambda each: "")
def test_options_that_cannot_work_are_named(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        loader(folder, **options)
    assert message in str(raised.value)


def test_a_cache_without_a_name_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="cache is the name of a folder, and it is empty"):
        Dataset(folder, cache="")


HOSTILE = "a\x1b[31m\u202e\x9b\r"
# The name of a file may have no control characters in a manifest, and marks that turn the direction of text.
TURNED = "a\u202eb"
SPELLED = r"a\u{1b}[31m\u{202e}\u{9b}\r"


def test_names_that_could_act_on_a_terminal_are_spelled_in_errors(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    for name, split in manifest["splits"].items():
        split["source"]["file"] = f"{TURNED}/{name}.jsonl"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    one = loader(folder)
    for error, act in (
        (ValueError, lambda: Dataset(folder, [HOSTILE])),
        (ValueError, lambda: loader(folder, weights={HOSTILE: 1.0})),
        (mashbill.MashbillError, lambda: Dataset(tmp_path / HOSTILE)),
        (mashbill.MashbillError, lambda: one.steps_of("water", HOSTILE)),
        (mashbill.StateError, lambda: one.load_state_dict({HOSTILE: 1})),
        (ValueError, lambda: mashbill._mashbill.tokenizer_files(f"./{HOSTILE}")),
    ):
        with pytest.raises(error) as raised:
            act()
        assert SPELLED in str(raised.value)
        assert all(line.isprintable() for line in str(raised.value).split("\nhint: "))
    loader(copy, weights={TURNED: 1.0}, steps=2)
    said = capsys.readouterr().err
    assert said.startswith(r"2 steps show a\u{202e}b 0.") and said.removesuffix("\n").isprintable()


def test_a_missing_shard_is_an_error_or_padding(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    shard, *others = shards(copy, "water")
    assert shard["file"]["name"] == "shard_0000.parquet" and others
    (copy / "water" / "shard_0000.parquet").unlink()
    with pytest.raises(mashbill.ShardError, match=r"shard `.*shard_0000\.parquet` of split `water` cannot be opened"):
        loader(copy)
    skipping = loader(copy, last="short", on_error="skip")
    seen = rows(skipping)
    assert sum(map(len, seen)) == len(Dataset(copy))
    assert skipping.skipped == shard["file"]["rows"]


def test_a_loader_is_pickled_with_its_place(folder: Path) -> None:
    one = loader(folder)
    rows(one, 3)
    assert rows(pickle.loads(pickle.dumps(one))) == rows(one)


KILLED = """
import json, os, signal, sys
from mashbill import DataLoader, Dataset
loader = DataLoader(Dataset(sys.argv[1]), 3, label_convention="shifted", seed=8, last="wrap")
loader.load_state_dict(json.loads(sys.argv[2]))
for batch in loader:
    print(json.dumps([batch.rows.tolist(), loader.state_dict()]), flush=True)
    if loader.step >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_goes_on_from_its_last_state(folder: Path) -> None:
    plain = loader(folder, 3, seed=8, last="wrap")
    state, seen = plain.state_dict(), []
    for until in (4, 9, 13):
        arguments = [sys.executable, "-c", KILLED, str(folder), json.dumps(state), str(until)]
        ran = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == -signal.SIGKILL, ran.stderr
        for line in ran.stdout.splitlines():
            taken, state = json.loads(line)
            seen.append(taken)
    assert seen == rows(plain, 13)
