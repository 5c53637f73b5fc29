"""One question about every picture of a folder, written down as the answers come, so that a run can be gone on with."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .answer import Answer, answer_from
from .client import Client
from .errors import SegueError, error_of
from .picture import Picture

SUFFIXES = (".avif", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class FolderAnswer:
    """What came of one picture: an answer or an error."""

    path: Path
    answer: Answer | None
    error: SegueError | None = None

    def records(self) -> list[dict[str, Any]]:
        """As `Answer.records`, with the picture's file and, where there is one, the error."""
        if self.answer is None:
            return [{"file": str(self.path), "error": str(self.error)}]
        return [{"file": str(self.path), **row} for row in self.answer.records()]


def ask_folder(
    folder: str | PathLike[str],
    question: str,
    *,
    out: str | PathLike[str],
    client: Client | None = None,
    workers: int = 4,
    progress: bool = True,
    **options: Any,
) -> list[FolderAnswer]:
    """Asks about each picture in a folder and those below it; answers in the order of the paths.

    out: a JSONL file that gets each answer as it comes. The same call again goes on where it was ended, however that
    happened: what is in the file is not asked again, only what failed is. workers: questions at once. options: of
    `Client.ask`.

    Raises ValueError when `out` holds the answers to another question, FileNotFoundError when no picture is there. What
    keeps the service from being reached at all, or lets it refuse the caller, is raised; other failures are the picture's.
    """
    root = Path(folder)
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise FileNotFoundError(f"{root} holds no picture ({', '.join(SUFFIXES)})")
    journal = Journal.open(Path(out), {"question": question, **options})
    asker = client or Client()
    left = [path for path in paths if journal.name(root, path) not in journal.answers]
    try:
        with tqdm(total=len(paths), initial=len(paths) - len(left), disable=not progress, unit="picture") as bar:
            for name, body in _ask_all(asker, journal, root, left, workers, question, options):
                journal.add(name, body)
                bar.update()
    finally:
        if client is None:
            asker.close()
    return [journal.result(path, journal.name(root, path)) for path in paths]


class Journal:
    """The file of a run: a line that says what is asked, then one line for each picture."""

    def __init__(self, path: Path, asked: dict[str, Any], run: str, entries: dict[str, dict[str, Any]]) -> None:
        self.path, self.asked, self.run, self.entries = path, asked, run, entries

    @staticmethod
    def open(path: Path, asked: dict[str, Any]) -> Journal:
        """Raises ValueError when the file belongs to another run."""
        lines = list(_whole_lines(path)) if path.exists() else []
        if not lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            run = uuid.uuid4().hex
            path.write_text(json.dumps({"run": run, "asked": asked}) + "\n", encoding="utf-8")
            return Journal(path, asked, run, {})
        head, *rest = lines
        if head.get("asked") != asked:
            raise ValueError(f"{path} holds the answers to {head.get('asked')}: name another file for {asked}")
        # A run may have been killed while it wrote: what is not whole is cut off.
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return Journal(path, asked, head["run"], {line["file"]: line for line in rest})

    @property
    def answers(self) -> frozenset[str]:
        """Pictures that need not be asked about again."""
        return frozenset(name for name, entry in self.entries.items() if "answer" in entry)

    @staticmethod
    def name(root: Path, path: Path) -> str:
        return path.relative_to(root).as_posix()

    def key(self, picture: Picture) -> str:
        """The same in every try at this run: a question that was under way when it was killed is found again."""
        return f"{self.run}-{sha256(picture.data).hexdigest()[:32]}"

    def add(self, name: str, body: dict[str, Any]) -> None:
        self.entries[name] = {"file": name, **body}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.entries[name]) + "\n")

    def result(self, path: Path, name: str) -> FolderAnswer:
        entry = self.entries[name]
        if "error" in entry:
            return FolderAnswer(path, None, error_of(entry["error"]["code"], entry["error"]["message"]))
        return FolderAnswer(path, answer_from(entry["answer"], self.asked["question"], picture=Picture(path, path.name)))


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def _ask_all(
    client: Client,
    journal: Journal,
    root: Path,
    paths: Sequence[Path],
    workers: int,
    question: str,
    options: dict[str, Any],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, what to write down), as they come. A failure that is not the picture's ends it."""
    waiting: Iterable[Path] = iter(paths)
    with ThreadPoolExecutor(workers) as pool:

        def start(count: int) -> dict[Future[dict[str, Any]], Path]:
            return {pool.submit(_ask_one, client, journal, p, question, options): p for p in islice(waiting, count)}

        running = start(workers)
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                path = running.pop(future)
                yield journal.name(root, path), future.result()
            running |= start(len(done))


def _ask_one(client: Client, journal: Journal, path: Path, question: str, options: dict[str, Any]) -> dict[str, Any]:
    picture = Picture(path, path.name)
    try:
        return {"answer": client.ask(picture, question, idempotency_key=journal.key(picture), **options).body}
    except SegueError as error:
        if error.code in {"UNAVAILABLE", "UNAUTHENTICATED", "PERMISSION_DENIED"}:
            raise
        return {"error": {"code": error.code, "message": error.message}}
