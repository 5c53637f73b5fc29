"""Every kind of broken data: the complaint names file and line, and says what to do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from segue_training.model.config import COCO_NAMES, Limits
from segue_training.own.example_set import write_example_set
from segue_training.own.folder import hold_out, read_own_data
from segue_training.own.problems import DataError
from segue_training.tiny import tiny_tokenizer

ANNOTATIONS, QUESTIONS = "annotations.json", "questions.jsonl"
TOKENIZER = tiny_tokenizer()


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("example")
    write_example_set(folder, 10)
    return folder


@pytest.fixture
def folder(example, tmp_path, monkeypatch) -> Path:
    # The tiny tokenizer spells most words out.
    monkeypatch.setattr("segue_training.own.questions.LIMITS", Limits(max_question_tokens=400, max_new_tokens=100))
    return Path(shutil.copytree(example, tmp_path / "own"))


def read(folder: Path):
    return read_own_data(folder, COCO_NAMES, TOKENIZER)


def problems(folder: Path) -> list:
    with pytest.raises(DataError) as caught:
        read(folder)
    assert "nothing was trained" in str(caught.value)
    return caught.value.problems


def change_annotations(section: str, index: int, change: Callable[[dict], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / ANNOTATIONS).read_text())
        change(content[section][index])
        lists = [f'"{key}": [\n' + ",\n".join(json.dumps(entry) for entry in entries) + "\n]" for key, entries in content.items()]
        (folder / ANNOTATIONS).write_text("{\n" + ",\n".join(lists) + "\n}")

    return apply


def line_of(folder: Path, section: str, index: int) -> int:
    """Where `change_annotations` writes an entry."""
    content = json.loads((folder / ANNOTATIONS).read_text())
    line = 2
    for key, entries in content.items():
        if key == section:
            return line + 1 + index
        line += len(entries) + 2
    raise KeyError(section)


def put(**values: object) -> Callable[[dict], None]:
    return lambda entry: entry.update(values)


def without(key: str) -> Callable[[dict], None]:
    return lambda entry: entry.pop(key)


RLE_LIST = {"size": [360, 480], "counts": [100, 5]}
RLE_TEXT = {"size": [360, 480], "counts": "not run lengths"}
RLE_SIZE = {"size": [10, 10], "counts": [50, 50]}
ANNOTATION_CASES = {
    "category without a name": ("categories", 0, put(name=" "), "category 1 has no name", "the word that people use"),
    "category with a token": ("categories", 0, put(name="<SEG> valve"), "holds <SEG>", "plain word"),
    "category in capitals": ("categories", 0, put(name="Cup"), "'Cup' is not how the model writes it", "Write 'cup'"),
    "category twice": ("categories", 1, put(name="valve"), "`name` 'valve' is that of category 1", "Keep one"),
    "category id twice": ("categories", 1, put(id=1), "category 1: the id is used twice, first on line 3", "another id"),
    "no id": ("categories", 1, without("id"), "category number 2 has no whole number as `id`", "an `id` of its own"),
    "image id twice": ("images", 4, put(id=1), "image 1: the id is used twice", "another id"),
    "file twice": ("images", 4, put(file_name="site-01.jpg"), "`file_name` 'site-01.jpg' is that of image 1", "Keep one"),
    "no file name": ("images", 4, without("file_name"), "image 5 has no `file_name`", "Name its file"),
    "missing file": ("images", 4, put(file_name="gone.jpg"), "images/gone.jpg is not there", "Copy the picture there"),
    "file elsewhere": ("images", 4, put(file_name="../annotations.json"), "leads out of the folder images/", "into images/"),
    "wrong size": ("images", 4, put(width=99), "say 99 x 360, images/site-05.jpg has 480 x 360", "that was annotated"),
    "annotation id twice": ("annotations", 3, put(id=1), "annotation 1: the id is used twice", "another id"),
    "no such image": ("annotations", 3, put(image_id=99), "there is no image 99", "Correct `image_id`"),
    "image id of a wrong kind": ("annotations", 3, put(image_id=[1]), "there is no image [1]", "Correct `image_id`"),
    "no such category": ("annotations", 3, put(category_id=9), "there is no category 9", "Add the category"),
    "polygon outside": (
        "annotations",
        3,
        put(segmentation=[[0, 0, 900, 0, 900, 50]]),
        "the point (900, 0) lies outside",
        "Clip the polygon",
    ),
    "polygon with two points": (
        "annotations",
        3,
        put(segmentation=[[0, 0, 9, 9]]),
        "at least three points",
        "at least 6 numbers",
    ),
    "polygon of words": ("annotations", 3, put(segmentation=[["a"] * 6]), "at least three points", "at least 6 numbers"),
    "polygon without area": (
        "annotations",
        3,
        put(segmentation=[[5, 5, 5, 5, 5, 5]]),
        "the outline holds no pixel",
        "Draw it again",
    ),
    "empty segmentation": ("annotations", 3, put(segmentation=[]), "`segmentation` is empty", "outline the thing"),
    "no segmentation": ("annotations", 3, without("segmentation"), "neither polygons nor run lengths", "Write polygons"),
    "short run lengths": (
        "annotations",
        3,
        put(segmentation=RLE_LIST),
        "cover 105 pixels, the picture has 172800",
        "Encode the mask again",
    ),
    "broken run lengths": (
        "annotations",
        3,
        put(segmentation=RLE_TEXT),
        "the run lengths cannot be decoded",
        "Encode the mask again",
    ),
    "run lengths of another size": (
        "annotations",
        3,
        put(segmentation=RLE_SIZE),
        "run lengths are for [10, 10]",
        "at the picture's own size",
    ),
}


@pytest.mark.parametrize("case", ANNOTATION_CASES)
def test_a_broken_entry_of_annotations_is_named_with_its_line(folder, case):
    section, index, change, what, advice = ANNOTATION_CASES[case]
    line = line_of(folder, section, index)
    change_annotations(section, index, change)(folder)
    found = [problem for problem in problems(folder) if problem.file == ANNOTATIONS and problem.line == line]
    assert any(what in problem.what and advice in problem.advice for problem in found), problems(folder)


def entry(folder: Path, line: int) -> dict:
    return json.loads((folder / QUESTIONS).read_text().splitlines()[line - 1])


def write_line(folder: Path, line: int, text: str) -> None:
    lines = (folder / QUESTIONS).read_text().splitlines()
    lines[line - 1] = text
    (folder / QUESTIONS).write_text("\n".join(lines))


MANY = "Where is it? " * 60
QUESTION_CASES = {
    "unknown image": (put(image="gone.jpg"), "'gone.jpg' is no `file_name` in annotations.json", "Correct the name"),
    "empty question": (put(question=" "), "a question is empty", "Write it, or remove the line"),
    "empty answer": (put(answer="", targets=[]), "an answer is empty", "Write it, or remove the line"),
    "question of a wrong kind": (put(question=3), "`question` is no text", "in quotes"),
    "missing key": (without("targets"), "`targets` missing", "Every line needs"),
    "unknown key": (put(awnser="x"), "unknown `awnser`", "correct their names"),
    "unknown annotation": (put(targets=[[999]]), "there is no annotation 999", "Use the `id`"),
    "annotation of another picture": (put(targets=[[9]]), "annotation 9 belongs to site-", "Correct the id, or `image`"),
    "too few lists": (put(targets=[]), "the answer has 1 <SEG>, `targets` has 0 lists", "one list of annotation ids"),
    "too many lists": (put(targets=[[1], [2]]), "the answer has 1 <SEG>, `targets` has 2 lists", "one list of annotation ids"),
    "empty list": (put(targets=[[]]), "`targets` holds []", "at least one"),
    "id twice": (put(targets=[[1, 1]]), "`targets` holds [1, 1]", "each once"),
    "targets of a wrong kind": (put(targets=[1]), "`targets` is no list of lists", "[[12]]"),
    "two categories in one mask": (put(targets=[[1, 2]]), "mixes gauge and valve in one mask", "a list of its own"),
    "token in the question": (put(question="Where is <SEG>?"), "a question holds the model's own token <SEG>", "other words"),
    "token in the answer": (
        put(answer="It is <|im_end|> <SEG>."),
        "an answer holds the model's own token <|im_end|>",
        "other words",
    ),
    "history of a wrong kind": (put(history=["a", "b"]), "`history` is no list of [question, answer] pairs", "oldest turn first"),
    "empty turn": (put(history=[["", "Yes."]]), "a question is empty", "Write it, or remove the line"),
    "too long": (put(question=MANY), "tokens, 400 fit", "Shorten them"),
    "answer too long": (put(answer=f"It is the {'very ' * 30} big valve <SEG>."), "the model says at most 99", "never be said"),
}


@pytest.mark.parametrize("case", QUESTION_CASES)
def test_a_broken_question_is_named_with_its_line(folder, case):
    change, what, advice = QUESTION_CASES[case]
    line = entry(folder, 2)
    change(line)
    write_line(folder, 2, json.dumps(line))
    found = problems(folder)
    assert all(problem.file == QUESTIONS and problem.line == 2 for problem in found), found
    assert any(what in problem.what and advice in problem.advice for problem in found), found


@pytest.mark.parametrize("text", ['{"image": "site-01.jpg", ', "[1, 2]"])
def test_a_line_that_is_no_object_is_named(folder, text):
    write_line(folder, 3, text)
    (problem,) = problems(folder)
    assert (problem.file, problem.line) == (QUESTIONS, 3) and "JSON" in problem.what


def test_an_unreadable_picture_is_named(folder):
    line = line_of(folder, "images", 2)
    change_annotations("images", 2, put())(folder)
    (folder / "images" / "site-03.jpg").write_bytes(b"\xff\xd8 no picture")
    (problem,) = problems(folder)
    assert (problem.file, problem.line) == (ANNOTATIONS, line)
    assert "images/site-03.jpg cannot be read" in problem.what and "Save the picture again" in problem.advice


def test_a_turned_picture_is_named(folder):
    picture = Image.open(folder / "images" / "site-03.jpg")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(folder / "images" / "site-03.jpg", exif=exif)
    (problem,) = problems(folder)
    assert "stored turned" in problem.what and "upright" in problem.advice


def test_no_seg_anywhere_is_said_once_for_the_file(folder):
    lines = [{**json.loads(line), "answer": "Yes.", "targets": []} for line in (folder / QUESTIONS).read_text().splitlines()]
    (folder / QUESTIONS).write_text("\n".join(json.dumps(line) for line in lines))
    (problem,) = problems(folder)
    assert problem.line is None and problem.what == "no answer holds <SEG>" and "behind the words" in problem.advice


@pytest.mark.parametrize(
    ("name", "what"),
    [(ANNOTATIONS, "the file is not there"), (QUESTIONS, "the file is not there")],
)
def test_missing_files_are_said(folder, name, what):
    (folder / name).unlink()
    assert any(problem.file == name and problem.what == what for problem in problems(folder))


def test_a_missing_folder_is_said(tmp_path):
    (problem,) = problems(tmp_path / "nowhere")
    assert "no such folder" in problem.what and "questions.jsonl" in problem.advice


@pytest.mark.parametrize("name", [ANNOTATIONS, QUESTIONS])
def test_text_that_is_not_utf8_is_said(folder, name):
    (folder / name).write_bytes(b"\xff\xfe\x00")
    assert any(problem.file == name and "not UTF-8" in problem.what for problem in problems(folder))


def test_bad_json_is_named_with_its_line(folder):
    (folder / ANNOTATIONS).write_text('{\n "images": [],\n "annotations": [,]\n}')
    found = next(problem for problem in problems(folder) if problem.file == ANNOTATIONS)
    assert found.line == 3 and "not JSON" in found.what


def test_missing_lists_are_named(folder):
    (folder / ANNOTATIONS).write_text("{}")
    assert {problem.what.split("`")[1] for problem in problems(folder)} >= {"images", "annotations", "categories"}


def test_too_few_pictures_are_said(tmp_path):
    write_example_set(tmp_path, 3)
    assert any("there are 3 pictures" in problem.what for problem in problems(tmp_path))


def test_everything_is_said_at_once(folder):
    change_annotations("images", 4, put(file_name="gone.jpg"))(folder)
    change_annotations("annotations", 0, put(category_id=9))(folder)
    write_line(folder, 4, "{")
    write_line(folder, 6, json.dumps(entry(folder, 6) | {"question": ""}))
    places = {(problem.file, problem.line) for problem in problems(folder)}
    assert {(QUESTIONS, 4), (QUESTIONS, 6)} <= places and len([line for file, line in places if file == ANNOTATIONS]) == 2


def test_the_example_set_is_always_the_same(example, tmp_path):
    write_example_set(tmp_path, 10)
    for path in sorted(example.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(example)).read_bytes(), path.name


def test_the_example_set_does_not_overwrite_data(folder):
    before = (folder / QUESTIONS).read_bytes()
    with pytest.raises(FileExistsError, match="name another folder"):
        write_example_set(folder, 1)
    assert (folder / QUESTIONS).read_bytes() == before


def test_questions_get_the_prompts_that_point_at_their_things(folder):
    data = read(folder)
    assert data.new == ("valve", "gauge") and data.names[80:] == data.new and not data.warnings
    assert data.kinds == [["valve", "gauge"]] or data.kinds == [["gauge", "valve"]]
    relations = {own.question.text: [relation for _, relation in own.question.targets] for own in data.questions}
    assert relations["I need the valve on the left."] == [2]
    assert relations["Mark every valve."] == [1] or relations["Which wheels do I have to close before I go?"] == [1]
    assert all(80 in photo.unsure or photo.unsure == frozenset(range(80)) for photo in data.photos)


def test_pictures_may_lie_in_folders_of_their_own(folder):
    (folder / "images" / "north").mkdir()
    (folder / "images" / "site-01.jpg").rename(folder / "images" / "north" / "site-01.jpg")
    change_annotations("images", 0, put(file_name="north/site-01.jpg"))(folder)
    lines = (folder / QUESTIONS).read_text()
    (folder / QUESTIONS).write_text(lines.replace('"site-01.jpg"', '"north/site-01.jpg"'))
    questions = [own for own in read(folder).questions if own.photo.id == 1]
    assert questions and all(own.photo.path == folder / "images" / "north" / "site-01.jpg" for own in questions)


def test_a_box_that_contradicts_its_outline_is_not_believed(folder):
    before = read(folder).photos[0].instances[0].box
    change_annotations("annotations", 0, put(bbox=[0, 0, 1]))(folder)
    assert read(folder).photos[0].instances[0].box == before


def test_what_cannot_be_pointed_at_is_left_out_with_a_warning(folder):
    """Three valves in a row, of which the second largest is neither the middle one nor at any edge."""
    content = json.loads((folder / ANNOTATIONS).read_text())
    shapes = [(40, 100, 60), (150, 140, 50), (240, 170, 40), (350, 240, 30)]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 1]
    for number, (x, y, side) in enumerate(shapes, 900):
        polygon = [x, y, x + side, y, x + side, y + side, x, y + side]
        content["annotations"].append({"id": number, "image_id": 1, "category_id": 1, "segmentation": [polygon]})
    (folder / ANNOTATIONS).write_text(json.dumps(content))
    asked = [
        {"image": "site-01.jpg", "question": "The blue one.", "answer": "The valve <SEG>.", "targets": [[901]]},
        {"image": "site-01.jpg", "question": "The closed one.", "answer": "The valve <SEG>.", "targets": [[903]]},
        {"image": "site-01.jpg", "question": "The one on the right.", "answer": "The valve <SEG>.", "targets": [[903]]},
        {"image": "site-01.jpg", "question": "These two.", "answer": "The valves <SEG>.", "targets": [[900, 901]]},
    ]
    (folder / QUESTIONS).write_text("\n".join(json.dumps(line) for line in asked))
    data = read(folder)
    assert [own.question.text for own in data.questions] == ["The closed one.", "The one on the right."]
    assert [(warning.line, "left out" in warning.what) for warning in data.warnings] == [(1, True), (2, False), (4, True)]
    assert all(warning.warning for warning in data.warnings)


def test_the_held_out_fifth_leaves_every_category_in_both_parts(folder):
    photos = read(folder).photos
    training, held_out = hold_out(photos)
    assert len(held_out) == 2 and not {p.id for p in training} & {p.id for p in held_out}
    for part in (training, held_out):
        assert {label for photo in part for label in photo.labels} == {80, 81}
    assert [p.id for p in hold_out(photos[::-1])[1]][::-1] == [p.id for p in held_out]
