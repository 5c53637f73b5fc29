import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reasonseg.folder import read_folder
from reasonseg.problems import ProblemError

TARGET = {"label": "target", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}


def add(folder: Path, name: str, *shapes: dict, size: tuple[int, int] = (8, 6), **keys) -> None:
    """A grey picture of size (width, height) and its annotation."""
    folder.mkdir(exist_ok=True)
    Image.new("RGB", size, (90, 90, 90)).save(folder / f"{name}.jpg")
    (folder / f"{name}.json").write_text(json.dumps({"text": ["it"], "is_sentence": False, "shapes": list(shapes), **keys}))


def problems(folder: Path, **options) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        read_folder(folder, **options)
    return [f"{Path(problem.file).name}: {problem.what}" for problem in caught.value.problems]


def test_pictures_come_by_name_with_their_annotations(tmp_path):
    for name in ("b", "a"):
        add(tmp_path, name, TARGET)
    (tmp_path / "without-picture.json").write_text("{}")  # upstream looks for *.jpg alone
    folder = read_folder(tmp_path)
    assert [sample.picture.name for sample in folder.samples] == ["a.jpg", "b.jpg"]
    assert folder.samples[0].size == (6, 8)
    assert (folder.skipped, folder.without_target) == ([], [])


def test_a_picture_is_as_large_as_it_is_seen(tmp_path):
    add(tmp_path, "a", TARGET)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
    assert read_folder(tmp_path).samples[0].size == (8, 6)


def test_every_problem_is_reported_at_once(tmp_path):
    add(tmp_path, "fine", TARGET)
    add(tmp_path, "lonely", TARGET)
    (tmp_path / "lonely.json").unlink()
    add(tmp_path, "odd", TARGET)
    (tmp_path / "odd.json").write_text("{")
    add(tmp_path, "torn", TARGET, size=(640, 480))
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "torn.jpg")
    (tmp_path / "torn.jpg").write_bytes((tmp_path / "torn.jpg").read_bytes()[:5000])
    add(tmp_path, "void")
    found = problems(tmp_path)
    assert [text.split(":")[0] for text in found] == ["lonely.jpg", "odd.json", "torn.jpg", "void.json"]
    for text, what in zip(found, ("no annotation", "not JSON", "cannot be read as a picture", "no polygons"), strict=True):
        assert what in text
    folder = read_folder(tmp_path, skip_broken=True)
    assert [sample.picture.name for sample in folder.samples] == ["fine.jpg"]
    assert [Path(problem.file).name for problem in folder.skipped] == ["lonely.jpg", "odd.json", "torn.jpg", "void.json"]


def test_what_has_no_polygons_is_refused_expected_empty_or_left_out(tmp_path):
    add(tmp_path, "fine", TARGET)
    add(tmp_path, "flags", {**TARGET, "label": "flag"})
    add(tmp_path, "void")
    assert problems(tmp_path) == ["flags.json: has no polygons", "void.json: has no polygons"]
    empty = read_folder(tmp_path, without_polygons="empty")
    assert empty.without_target == ["flags.jpg", "void.jpg"]
    assert not empty.samples[2].annotation.paint(6, 8).any()
    skipped = read_folder(tmp_path, without_polygons="skip")
    assert len(skipped.samples) == 1
    assert [Path(problem.file).name for problem in skipped.skipped] == ["flags.json", "void.json"]
    (tmp_path / "void.json").write_text("{")
    assert problems(tmp_path, without_polygons="skip")[0].startswith("void.json: not JSON")


def test_a_target_that_is_ignored_all_over_is_scored_as_an_empty_one(tmp_path):
    add(tmp_path, "a", {**TARGET, "label": "ignore"})
    assert read_folder(tmp_path).without_target == ["a.jpg"]


def test_folders_without_anything_to_score_say_so(tmp_path):
    assert "no such folder" in problems(tmp_path / "nowhere")[0]
    assert "no *.jpg" in problems(tmp_path)[0]
    add(tmp_path, "a")
    assert "every picture of the folder was skipped" in problems(tmp_path, skip_broken=True)[0]
