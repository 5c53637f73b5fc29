"""`segue-export`: write a bundle, of the small model or of a LISA checkpoint."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

KINDS = {"smol": "segue_training.export.smol", "lisa": "lisa.export"}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="segue-export", description=__doc__, add_help=False)
    parser.add_argument("kind", choices=KINDS, help="smol: what training here wrote. lisa: a published checkpoint")
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(given[:1])
    # Imported late: the small model's export does without the packages of the other.
    import_module(KINDS[options.kind]).main(given[1:])


if __name__ == "__main__":
    main()
