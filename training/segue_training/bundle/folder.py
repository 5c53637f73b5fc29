"""The folder that a bundle is written to."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_replaceable(folder: Path) -> None:
    """Raises ValueError unless `folder` may be replaced: it is a bundle, or empty, or not there."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ValueError(f"{folder} is no folder of its own: name another one, it would be replaced")
    if folder.exists() and any(folder.iterdir()) and not _is_bundle(folder):
        raise ValueError(f"{folder} holds something else than a bundle: name another folder, everything in it would be deleted")


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` to write to, which takes its place when the block ends well and is deleted otherwise.

    Raises ValueError as `check_replaceable` does, before anything is written.
    """
    check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        written, old = Path(scratch) / folder.name, Path(scratch) / "old"
        written.mkdir()
        yield written
        check_replaceable(folder)  # hours may have passed
        if folder.exists():
            folder.rename(old)
        try:
            written.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise


def _is_bundle(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and {"schemaVersion", "graphs"} <= manifest.keys()
