"""`segue-export`: write a bundle, of the small model or of a LISA checkpoint."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import NamedTuple

from segue_training.packages import missing_packages_named


class _Kind(NamedTuple):
    module: str
    """Whose `main` takes the further arguments."""
    extra: str | None
    """The extra of this project that installs what the module needs besides."""
    help: str


KINDS = {
    "smol": _Kind("segue_training.export.smol", None, "a checkpoint that training or fine-tuning here wrote"),
    "lisa": _Kind("lisa.export", "lisa", "one of LISA's published checkpoints"),
}


def main(arguments: list[str] | None = None) -> None:
    """Ends the process with a message when the bundle cannot be made."""
    parser = argparse.ArgumentParser(
        prog="segue-export",
        description="Writes the bundle of a model: graphs, weights, tokenizer, manifest, golden cases and model card.",
        epilog="The kinds: "
        + "; ".join(f"{name}: {kind.help}" for name, kind in KINDS.items())
        + ". `segue-export KIND --help` names their options.",
    )
    parser.add_argument("kind", choices=KINDS, help="what the model is")
    given = sys.argv[1:] if arguments is None else arguments
    name = parser.parse_args(given[:1]).kind
    # Imported late: `--help` does without PyTorch, and the small model's export without the packages of the other.
    with missing_packages_named(KINDS[name].extra):
        kind = import_module(KINDS[name].module)
        try:
            kind.main(given[1:])
        except (FileNotFoundError, ValueError) as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
