"""What a command says where a package is not installed that it needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OURS = ("lisa", "reasonseg", "segue_training")


@contextmanager
def missing_packages_named(extra: str | None = None) -> Iterator[None]:
    """Ends the process with what to install where an import inside fails. extra: of this project, that has it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or str(error)).partition(".")[0]
        if package in _OURS:
            raise
        what = f"training[{extra}]" if extra else "training"
        sys.exit(f"The package {package} is missing: pip install -c training/constraints.txt -e '{what}'")
