from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import PHOTO
from PIL import Image
from pycocotools.coco import COCO
from service import Proxy, key_of

from segue_client import Client, InvalidArgumentError, UnavailableError, ask_folder, to_coco

QUESTION = "What is it?"
PICTURES = 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    photo = Image.open(PHOTO).convert("RGB").resize((120, 80))
    for number in range(PICTURES):
        name = f"more/{number:03}.PNG" if number % 3 == 0 else f"{number:03}.jpg"
        photo.rotate(number).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_that_was_killed_goes_on_and_asks_nothing_twice(folder: Path, proxy: Proxy, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    program = (
        "import sys; from segue_client import Client, ask_folder;"
        "ask_folder(sys.argv[1], sys.argv[2], out=sys.argv[3], client=Client(sys.argv[4]), progress=False)"
    )
    with subprocess.Popen([sys.executable, "-c", program, folder, QUESTION, out, proxy.url]) as process:
        while not out.exists() or len(lines_so_far(out)) < PICTURES // 2:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    written = lines_so_far(out)
    assert PICTURES // 2 <= len(written) < PICTURES + 1
    with out.open("a") as file:
        file.write('{"file": "half')  # as of a line that was being written
    with Client(proxy.url) as client:
        results = ask_folder(folder, QUESTION, out=out, client=client, progress=False)
    assert lines(out)[: len(written)] == written
    assert len(results) == len(lines(out)) - 1 == PICTURES
    assert [result.path for result in results] == sorted(result.path for result in results)
    jobs = {result.answer.job_id for result in results if result.answer}
    keys = [key_of(request) for request in proxy.seen]
    # What was under way when it was killed is sent again, and the service knows it by its key.
    assert len(set(keys)) == len(jobs) == PICTURES
    done = {entry["answer"]["job_id"] for entry in written[1:]}
    assert len(keys) <= PICTURES + 4
    assert done < jobs


def lines_so_far(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def test_a_finished_run_asks_nothing(folder: Path, proxy: Proxy, tmp_path: Path) -> None:
    with Client(proxy.url) as client:
        first = ask_folder(folder, QUESTION, out=tmp_path / "a.jsonl", client=client, progress=False)
        asked = len(proxy.seen)
        again = ask_folder(folder, QUESTION, out=tmp_path / "a.jsonl", client=client, progress=False)
    assert len(proxy.seen) == asked
    assert again == first


def test_another_question_needs_another_file(folder: Path, url: str, tmp_path: Path) -> None:
    with Client(url) as client:
        ask_folder(folder, QUESTION, out=tmp_path / "a.jsonl", client=client, progress=False)
        with pytest.raises(ValueError, match="another file"):
            ask_folder(folder, "Something else?", out=tmp_path / "a.jsonl", client=client, progress=False)


def test_a_broken_picture_is_its_own_error_and_asked_about_again(folder: Path, url: str, tmp_path: Path) -> None:
    broken = folder / "000.jpg"
    broken.write_bytes(b"no picture")
    with Client(url) as client:
        results = ask_folder(folder, QUESTION, out=tmp_path / "a.jsonl", client=client, progress=False)
        failed = [result for result in results if result.error]
        assert [(result.path, type(result.error)) for result in failed] == [(broken, InvalidArgumentError)]
        Image.open(PHOTO).resize((120, 80)).save(broken)
        results = ask_folder(folder, QUESTION, out=tmp_path / "a.jsonl", client=client, progress=False)
    assert all(result.answer for result in results)


def test_an_unreachable_service_ends_the_run(folder: Path, tmp_path: Path) -> None:
    with Client("http://127.0.0.1:9", retries=0) as nowhere, pytest.raises(UnavailableError):
        ask_folder(folder, QUESTION, out=tmp_path / "a.jsonl", client=nowhere, progress=False)


def test_the_results_are_a_coco_file(folder: Path, url: str, tmp_path: Path) -> None:
    with Client(url) as client:
        results = ask_folder(folder, QUESTION, out=tmp_path / "a.jsonl", client=client, progress=False, mode="mask_only")
    file = tmp_path / "coco.json"
    file.write_text(json.dumps(to_coco(results)))
    coco = COCO(str(file))
    assert len(coco.getImgIds()) == len(coco.getAnnIds()) == PICTURES
    first = coco.loadAnns(coco.getAnnIds())[0]
    answer = results[0].answer
    assert answer
    assert (coco.annToMask(first) == answer.masks[0]).all()
