"""The compiled part."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Batches",
    "MashbillError",
    "Rows",
    "ShardError",
    "StateError",
    "Tokenizer",
    "__version__",
    "checksum",
    "curriculum",
    "run",
    "shown",
    "tokenize_to_train",
    "tokenizer_files",
]

__version__: str

def checksum(path: str | os.PathLike[str]) -> str:
    """The XXH3-128 of a file, as 32 hexadecimal digits. An `OSError` says why it cannot be read."""

def curriculum() -> dict[str, float]:
    """The shares of tokens that the curriculum's categories are to have, in percent, by name."""

def run(arguments: Sequence[str], interpreter: str) -> int:
    """Runs the `mashbill` command; `arguments` begins with the program's name, `interpreter` is the Python for
    commands in Python. Gives the exit code."""

def shown(text: str) -> str:
    """`text` as it can be shown on a terminal: what would steer it is spelled, as in `\\u{1b}`; what is no UTF-8 in a
    name is U+FFFD."""

def tokenize_to_train(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    tokenizer: str,
    max_seq_length: int,
    val_fraction: float | None,
    quiet: bool,
) -> int:
    """Makes rows of the text in `input` for a training, as `mashbill tokenize` does: finished splits that are the same
    stay, others are made again. Gives the exit code."""

def tokenizer_files(name: str) -> dict[str, str]:
    """The files of the tokenizer that `--tokenizer` calls `name`: `tokenizer.json` and those of
    `tokenizer_config.json` and `special_tokens_map.json` that it has. A `ValueError` says why there is none."""

class MashbillError(Exception):
    """What mashbill cannot do, and why."""

class ShardError(MashbillError):
    """A file of a dataset is missing, damaged or unreadable."""

class StateError(MashbillError):
    """A state belongs to another dataset or order."""

@final
class Rows:
    """The rows of a tokenized folder."""

    def __new__(cls, folder: str | os.PathLike[str], splits: Sequence[str] | None, part: str) -> Rows: ...
    @property
    def folder(self) -> os.PathLike[str]: ...
    @property
    def rows(self) -> int: ...
    @property
    def row_length(self) -> int: ...
    @property
    def vocabulary_size(self) -> int: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def identity(self) -> str: ...
    @property
    def splits(self) -> list[tuple[str, str | None, int]]: ...
    def sources(
        self, rows: npt.NDArray[np.uint64], pieces_in_row: npt.NDArray[np.uint32], doc_ids: npt.NDArray[np.int64]
    ) -> list[str]: ...
    def cache(
        self, folder: str | os.PathLike[str], threads: int, progress: Callable[[int, int], object] | None
    ) -> None: ...

@final
class Batches:
    """The batches of one rank."""

    def __new__(
        cls,
        rows: Rows,
        *,
        batch_size: int,
        world_size: int,
        rank: int,
        seed: int,
        shuffle: str,
        last: str,
        stages: Sequence[tuple[int, Mapping[str, float], bool]] | None,
        max_epochs: int,
        steps: int | None,
        lane: tuple[int, int, int] | None,
        labels: str,
        attention_mask: bool,
        documents: bool,
        mask_borders: bool,
        threads: int,
        prefetch: int,
        cache: str | os.PathLike[str] | None,
        skip_errors: bool,
        state: str | None,
    ) -> Batches: ...
    def next(self) -> tuple[dict[str, Any], dict[str, Any]] | None: ...
    def state(self) -> str: ...
    def state_at(self, step: int) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def steps_per_epoch(self) -> int | None: ...
    def epochs_after(self, steps: int) -> dict[str, float]: ...
    def locate(self, step: int, rank: int | None) -> list[dict[str, Any]]: ...
    def steps_of(
        self, split: str, document: str | int, until: int, group: int | None
    ) -> list[tuple[int, int, int, int]]: ...

@final
class Tokenizer:
    """A tokenizer: the ids that Hugging Face `tokenizers` defines, many times faster.

    `name` is what `--tokenizer` takes: an embedded name, the path of a
    `tokenizer.json` or of its folder, or the id of a repository of the Hub. `pad_token` is the token that fills rows up
    where the files name none; `split_special_tokens=True` makes special tokens that a text spells text like any other.
    What is wrong with the files is said in a `MashbillError`.

    All methods let the interpreter go and may be called from any number of threads.
    """

    def __new__(
        cls,
        name: str | os.PathLike[str],
        *,
        pad_token: str | None = None,
        split_special_tokens: bool = False,
    ) -> Tokenizer: ...
    def encode(self, text: str, *, add_special_tokens: bool = True) -> npt.NDArray[np.int32]:
        """The ids of a text. `add_special_tokens` puts before and after it what `tokenizer.json` says; where it says
        something else there is a `MashbillError`."""

    def encode_with_offsets(
        self, text: str, *, add_special_tokens: bool = True
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The ids of a text, and for each of them the characters `text[start:end]` that it stands for: an array of the
        shape (ids, 2). A token that is a part of a character has the character; one that stands for nothing has none.

        Spaces belong to their tokens, which `transformers` leaves out of `offset_mapping` for many tokenizers; so do
        these offsets where a normalizer changes the text."""

    def encode_batch(
        self, texts: Sequence[str], *, add_special_tokens: bool = True, threads: int = 0
    ) -> list[npt.NDArray[np.int32]]:
        """The ids of each text. `threads` is the most that are used; 0 stands for one a core."""

    def decode(
        self,
        ids: Sequence[int] | npt.NDArray[np.int32] | npt.NDArray[np.int64],
        *,
        skip_special_tokens: bool = False,
    ) -> str:
        """The text of ids, as Hugging Face `tokenizers` decodes them; ids that no token has are left out."""

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]: ...
    @property
    def name(self) -> str: ...
    @property
    def vocabulary_size(self) -> int:
        """The highest id and one."""

    @property
    def engine(self) -> str:
        """The engine in use: our own, or the reference with its version."""

    @property
    def why_not_fast(self) -> str | None:
        """Why the reference is in use, if it is."""

    @property
    def bos_token_id(self) -> int | None: ...
    @property
    def eos_token_id(self) -> int | None: ...
    @property
    def pad_token_id(self) -> int: ...
