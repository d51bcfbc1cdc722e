"""`python -m mashbill.train --config configs/train_direct.yaml`, which is `mashbill train --config …`."""

import argparse
import contextlib
import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from mashbill.train import printer
from mashbill.train.error import TrainError

NEEDED = ("pydantic", "yaml", "torch", "transformers", "safetensors", "tensorboard")
INSTALL = "pip install './python[train]', in mashbill's source tree: it is on no package index"


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are those of the command."""

    def error(self, message: str) -> NoReturn:
        raise TrainError(message, "mashbill train --help")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and gives its exit code: 0 done, 1 unexpected, 2 usage, 3 run it again, 130 interrupted."""
    parser = _Parser(
        prog="mashbill train", description="Trains a model on what `mashbill tokenize` wrote.", allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, action="append", default=[], help="the YAML file of the run")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the file, e.g. optimizer.clip=0.5",
    )
    parser.add_argument("--quiet", "-q", action="store_true", help="print nothing but warnings and errors")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of the file and exit")
    try:
        return _run(parser.parse_args(arguments))
    except TrainError as error:
        if not error.told:
            printer.tell_error(str(error), error.hint)
        return error.code
    except KeyboardInterrupt:
        return 130
    except Exception:
        print(printer.escaped(traceback.format_exc(), kept="\n"), end="", file=sys.stderr)
        return 1


def _run(given: argparse.Namespace) -> int:
    missing = [each for each in NEEDED if importlib.util.find_spec(each) is None]
    if given.schema:
        missing = [each for each in missing if each in ("pydantic", "yaml")]
    if missing:
        raise TrainError(f"`{missing[0]}` is not installed, which training needs", INSTALL)
    if not given.config and not given.schema:
        raise TrainError("`--config FILE` is missing", "mashbill train --config configs/train_direct.yaml")
    if len(given.config) > 1:
        raise TrainError("`--config` is given more than once", "give one file; `--set key=value` overrides it")
    from mashbill.train import config, config_file

    if given.schema:
        print(json.dumps(config.schema(), indent=2))
        return 0
    try:
        read = config_file.read(given.config[0], given.set)
    except TrainError as error:
        # All processes of a run read the same file: one of them says it.
        error.told = os.environ.get("RANK", "0") != "0"
        raise
    # By itself `transformers` asks a server to convert models whose weights are pickles.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    printer.escape_logs()
    # Torch takes seconds to load: a mistake in the file is told before.
    from mashbill.train.trainer import Run

    with contextlib.closing(Run(read, given.quiet)) as run:
        return run.train()


if __name__ == "__main__":
    sys.exit(main())
