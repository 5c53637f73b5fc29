"""The commands from their arguments to the report, answered by the tiny random bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reasonseg import referring
from reasonseg.answering import BundleWay, Mode
from reasonseg.command import main
from segue_training.metrics import MaskScore

TINY = Path(__file__).parents[3] / "models/tiny-random"
POINTS = [[4, 4], [40, 4], [40, 30], [4, 30]]


@pytest.fixture
def data(tmp_path) -> Path:
    """One phrase and one sentence about pictures of noise."""
    folder, rng = tmp_path / "val", np.random.default_rng(0)
    folder.mkdir()
    for name, sentence in (("one", False), ("two", True)):
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)).save(folder / f"{name}.jpg")
        content = {"text": [f"the {name}"], "is_sentence": sentence, "shapes": [{"label": "target", "points": POINTS}]}
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def report(arguments: list[str], out: Path) -> dict:
    main([*arguments, "--out", str(out)])
    return json.loads(out.read_text())


def test_the_report_says_what_was_measured_and_how(data, tmp_path, capsys):
    written = report(["--data", str(data), "--bundle", str(TINY), "--contaminated", "trained on val"], tmp_path / "new/r.json")
    assert written["mode"]["name"] == "teacher-forced"
    assert written["way"] == {"kind": "bundle", "bundle": str(TINY), "model": "tiny-random@0.1.0"}
    assert written["data"] == {
        "folder": str(data),
        "split": "val",
        "pictures": 2,
        "short": 1,
        "long": 1,
        "without_target": [],
        "skipped": [],
    }
    assert written["contaminated"] == "trained on val"
    assert written["templates"]["phrase"] == "What is {text} in this image? Please output segmentation mask."
    assert [(entry["query"], entry["text"]) for entry in written["questions"]] == [("the one", "<SEG>"), ("the two", "<SEG>")]
    printed = capsys.readouterr().out
    for part in ("teacher-forced", "split val", "tiny-random@0.1.0", "short", "long", "CONTAMINATED", "trained on val"):
        assert part in printed


def test_the_figures_are_those_of_the_masks_that_the_bundle_gives(data, tmp_path):
    written = report(["--data", str(data), "--bundle", str(TINY)], tmp_path / "r.json")
    truth, score, way = np.zeros((48, 64), np.uint8), MaskScore(), BundleWay(TINY, Mode.TEACHER_FORCED)
    truth[4:31, 4:41] = 1
    asked = {
        "one": "What is the one in this image? Please output segmentation mask.",
        "two": "the two Please output segmentation mask.",
    }
    for name, question in asked.items():
        score.add(way.look(data / f"{name}.jpg")(question).masks[0], truth)
    assert written["figures"]["overall"] == {"masks": 2, "giou": score.giou, "ciou": score.ciou}


def test_free_answers_name_their_rule(data, tmp_path):
    options = ["--mode", "free", "--several", "union", "--split", "mine"]
    written = report(["--data", str(data), "--bundle", str(TINY), *options], tmp_path / "r.json")
    assert (written["mode"]["name"], written["mode"]["several_masks"]) == ("free", "union")
    assert "counts as an empty mask" in written["mode"]["meaning"]
    assert written["data"]["split"] == "mine"
    assert sum(written["answers"].values()) == 2
    assert [entry["masks"] for entry in written["questions"]] == [entry["text"].count("<SEG>") for entry in written["questions"]]


def test_what_cannot_be_scored_ends_with_the_reason(data, tmp_path, capsys):
    (data / "two.json").unlink()
    with pytest.raises(SystemExit) as ended:
        main(["--data", str(data), "--bundle", str(TINY)])
    assert ended.value.code == 1
    assert "two.jpg: has no annotation" in capsys.readouterr().err
    written = report(["--data", str(data), "--bundle", str(TINY), "--skip-broken"], tmp_path / "r.json")
    assert [Path(entry["file"]).name for entry in written["data"]["skipped"]] == ["two.jpg"]
    assert "skipped" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--data", str(data), "--bundle", str(tmp_path), "--skip-broken"])
    assert "no manifest.json" in capsys.readouterr().err


def test_the_referring_set_is_named_as_ours(tmp_path, capsys):
    images, annotations = [], []
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 48), (200, 10, 10)).save(tmp_path / "images/a.jpg")
    images.append({"id": 1, "file_name": "a.jpg", "width": 64, "height": 48, "captions": ["A red CUP on a table."]})
    annotations.append({"id": 5, "image_id": 1, "category_id": 3, "segmentation": [[4, 4, 40, 4, 40, 30, 4, 30]]})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "cup"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    referring.main(["--coco", str(tmp_path), "--bundle", str(TINY), "--out", str(tmp_path / "r.json")])
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["benchmark"] == "segue-referring (Segue's own, not refCOCO)"
    assert [(entry["group"], entry["query"]) for entry in written["questions"]] == [
        ("class", "the cup"),
        ("caption", "a red cup"),
    ]
    assert written["figures"]["overall"]["masks"] == 2
    assert "segue-referring" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        referring.main(["--coco", str(tmp_path / "images"), "--bundle", str(TINY)])
    assert "no annotations.json" in capsys.readouterr().err
