import json
import random

import numpy as np
import pytest
from PIL import Image

from segue_training.data.augment import augmented_batch, worse
from segue_training.data.photos import load_coco, split
from segue_training.evaluate.question_set import build, load, save
from segue_training.model.config import COCO_NAMES, ZERO_SHOT
from segue_training.model.frame import frame_size, letterbox


@pytest.fixture
def coco(tmp_path):
    """Three photos: two cups and a dog; one cat; nothing."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for i in range(3):
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), np.uint8)).save(tmp_path / "images" / f"{i}.jpg")

    def thing(number: int, image: int, category: int, x: float, y: float, w: float, h: float) -> dict:
        polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
        return {
            "id": number,
            "image_id": image,
            "category_id": category,
            "bbox": [x, y, w, h],
            "segmentation": [polygon],
            "iscrowd": 0,
        }

    content = {
        "categories": [{"id": 47, "name": "cup"}, {"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 80, "height": 60} for i in range(3)],
        "annotations": [
            thing(1, 0, 47, 0, 0, 20, 20),
            thing(2, 0, 47, 50, 0, 10, 10),
            thing(3, 0, 18, 30, 30, 20, 20),
            thing(4, 1, 17, 10, 10, 40, 40),
        ],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path


def test_a_coco_folder_is_read(coco):
    photos = load_coco(coco)
    assert [len(photo.instances) for photo in photos] == [3, 1, 0]
    cup, _, dog = photos[0].instances
    assert COCO_NAMES[cup.label] == "cup" and cup.mask().sum() == 400
    assert cup.area == pytest.approx(400 / 4800)
    assert photos[0].single_targets() == [dog]


def test_categories_outside_the_eighty_are_refused(coco):
    content = json.loads((coco / "annotations.json").read_text())
    content["categories"][0]["name"] = "walrus"
    (coco / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="walrus"):
        load_coco(coco)


def test_a_models_own_names_count_as_known(coco):
    content = json.loads((coco / "annotations.json").read_text())
    content["categories"][0]["name"] = "walrus"
    del content["annotations"][0]["bbox"]
    (coco / "annotations.json").write_text(json.dumps(content))
    walrus = load_coco(coco, (*COCO_NAMES, "walrus"))[0].instances[0]
    assert walrus.label == 80
    assert walrus.box == (0, 0, 20, 20)  # from the polygon


def test_classes_nobody_looked_for_stay_open(coco):
    photo = load_coco(coco)[0]
    photo.unsure = frozenset({5})
    assert 5 in augmented_batch([photo], random.Random(0))[0].unsure


def test_the_split_depends_on_ids_alone(coco):
    photos = load_coco(coco)
    training, dev = split(photos, held_out=1)
    ids = [0, 1, 2]
    random.Random(0).shuffle(ids)
    assert [photo.id for photo in dev] == ids[:1] and len(training) == 2
    assert split(photos[::-1], held_out=1)[1][0].id == ids[0]


def test_letterboxing_rounds_half_up_and_fills_below():
    assert frame_size(480, 640) == (384, 512)
    assert frame_size(333, 500) == (341, 512)
    pixels, size = letterbox(np.full((40, 80, 3), 9, np.uint8))
    assert size == (256, 512) and tuple(pixels.shape) == (3, 512, 512)
    assert (pixels[:, :256] == 9).all()
    assert pixels[:, 300, 5].tolist() == [124, 116, 104]


def test_augmented_masks_stay_on_their_things(coco):
    """Scale, crop and flip move picture and mask together: the painted cat stays under its mask."""
    photos = load_coco(coco)
    photo = photos[1]
    painted = photo.pixels.copy()
    painted[photo.instances[0].mask() > 0] = (250, 10, 10)
    photo.__dict__["pixels"] = painted
    for seed in range(12):
        frame = augmented_batch([photo, photos[2]], random.Random(seed))[0]
        for mask in frame.masks:
            inside = frame.pixels[mask > 0].astype(int)
            assert (inside[:, 0] > inside[:, 1] + 40).mean() > 0.9


def test_a_worse_copy_has_the_same_size_and_fewer_details(coco):
    sharp = np.indices((300, 400)).sum(0) % 2 * np.full((3, 1, 1), 255)
    copy = worse(sharp.transpose(1, 2, 0).astype(np.uint8), random.Random(0))
    assert copy.shape == (300, 400, 3) and copy.std() < sharp.std() / 4


def test_the_evaluation_set_is_complete_and_survives_its_file(coco, tmp_path):
    photos = load_coco(coco)
    questions = build(photos)
    kinds = {question.kind for question in questions}
    assert kinds == {"explicit", "reasoning", "reasoning_held_out", "absent", "present", "plural", "referring", "follow_up"}
    assert sum(q.kind == "absent" for q in questions) == sum(q.kind == "present" for q in questions)
    assert all(q.names[0] in ZERO_SHOT for q in questions if q.kind == "reasoning_held_out")
    plural = next(q for q in questions if q.kind == "plural")
    assert plural.masks(photos[0])[0].sum() == 500
    save(questions, tmp_path / "questions.json")
    assert load(tmp_path / "questions.json") == questions
