"""`python -m mashbill.train --config configs/train_direct.yaml`, which is `mashbill train --config …`."""

import argparse
import contextlib
import importlib.util
import json
import sys
from pathlib import Path

NEEDED = ("torch", "transformers", "safetensors", "yaml", "tensorboard")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and gives its exit code: 0 done, 2 usage, 3 run it again, 130 interrupted."""
    missing = [each for each in NEEDED if importlib.util.find_spec(each) is None]
    if missing:
        print(f"error: `{missing[0]}` is not installed, which training needs", file=sys.stderr)
        print("hint: pip install 'mashbill[train]'", file=sys.stderr)
        return 2
    from mashbill.train import config
    from mashbill.train.error import TrainError

    parser = argparse.ArgumentParser(
        prog="mashbill train", description="Trains a model from what `mashbill tokenize` wrote."
    )
    parser.add_argument("--config", type=Path, help="the YAML file of the run")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="put over a key of the file, e.g. optimizer.clip=0.5",
    )
    parser.add_argument("--quiet", "-q", action="store_true", help="print nothing but warnings and errors")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of the file and end")
    given = parser.parse_args(arguments)
    if given.schema:
        print(json.dumps(config.schema(), indent=2))
        return 0
    if given.config is None:
        parser.error("`--config FILE` is missing; configs/train_direct.yaml is an example")
    try:
        read = config.read(given.config, given.set)
        # Torch takes seconds to load: a mistake in the file is told before.
        from mashbill.train.trainer import Run

        with contextlib.closing(Run(read, given.quiet)) as run:
            return run.train()
    except TrainError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
