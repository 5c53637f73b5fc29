"""A made-up set of own data to try `segue-finetune` with: 20 painted pictures of two things that COCO does not know.

    python -m segue_training.own.example_set --out DIR

Valves and gauges are painted on cuttings of the repository's example photos, with outlines and questions. The same command
always gives the same files.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance

from segue_training.places import EXAMPLES

from .example_questions import questions_about

PICTURES, SIZE = 20, (480, 360)
NAMES = ("valve", "gauge")
_FINE = 3  # painted larger and reduced, for smooth edges
_COUNTS = ((1, 1), (1, 0), (2, 1), (0, 1), (1, 2), (1, 1), (2, 0), (0, 2), (1, 1), (1, 0))  # valves, gauges
_PAINT = ((178, 34, 40), (40, 76, 150), (196, 120, 24), (52, 112, 60), (90, 40, 100))

Point = tuple[float, float]


def write_example_set(folder: Path, pictures: int = PICTURES) -> None:
    """Writes annotations.json, images/ and questions.jsonl.

    Raises FileExistsError when `folder` has data already: they may be somebody's own.
    """
    for name in ("annotations.json", "images", "questions.jsonl"):
        if (folder / name).exists():
            raise FileExistsError(f"{folder / name} is there already: name another folder for the example set")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    lines: list[dict[str, object]] = []
    for number in range(1, pictures + 1):
        rng = random.Random(f"own-{number}")
        picture, things = _paint(_COUNTS[(number - 1) % len(_COUNTS)], rng)
        name = f"site-{number:02}.jpg"
        picture.save(folder / "images" / name, quality=92)
        images.append({"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        ids: dict[str, list[tuple[int, float]]] = {"valve": [], "gauge": []}
        for kind, x, polygons in things:
            annotations.append(_annotation(len(annotations) + 1, number, kind, polygons))
            ids[kind].append((len(annotations), x))
        lines += [{"image": name, **line} for line in questions_about(ids, number, rng)]
    categories = [{"id": number, "name": name, "supercategory": "plant"} for number, name in enumerate(NAMES, 1)]
    lists = {"categories": categories, "images": images, "annotations": annotations}
    # One entry a line: a complaint can then name the line.
    parts = [f' "{key}": [\n  ' + ",\n  ".join(json.dumps(entry) for entry in entries) + "\n ]" for key, entries in lists.items()]
    (folder / "annotations.json").write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _annotation(number: int, image: int, kind: str, polygons: list[list[Point]]) -> dict[str, object]:
    flat = [[round(value, 1) for point in polygon for value in point] for polygon in polygons]
    xs, ys = [v for p in flat for v in p[::2]], [v for p in flat for v in p[1::2]]
    box = [min(xs), min(ys), round(max(xs) - min(xs), 1), round(max(ys) - min(ys), 1)]
    return {
        "id": number,
        "image_id": image,
        "category_id": NAMES.index(kind) + 1,
        "bbox": box,
        "iscrowd": 0,
        "segmentation": flat,
    }


def _paint(counts: tuple[int, int], rng: random.Random) -> tuple[Image.Image, list[tuple[str, float, list[list[Point]]]]]:
    picture = _background(rng).resize((SIZE[0] * _FINE, SIZE[1] * _FINE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    kinds = ["valve"] * counts[0] + ["gauge"] * counts[1]
    rng.shuffle(kinds)
    slot = SIZE[0] / len(kinds)
    places = [(slot * (i + rng.uniform(0.4, 0.6)), SIZE[1] * rng.uniform(0.3, 0.7)) for i in range(len(kinds))]
    _pipes(draw, places, rng)
    things = []
    for kind, (x, y) in zip(kinds, places, strict=True):
        radius = min(rng.uniform(26, 62), slot * 0.36)
        polygons = _valve(draw, x, y, radius, rng) if kind == "valve" else _gauge(draw, x, y, radius, rng)
        things.append((kind, x, polygons))
    picture = picture.resize(SIZE, Image.Resampling.LANCZOS)
    return ImageEnhance.Brightness(picture).enhance(rng.uniform(0.75, 1.15)), things


def _background(rng: random.Random) -> Image.Image:
    photo = Image.open(EXAMPLES / rng.choice(("astronaut.jpg", "cat.jpg", "coffee.jpg"))).convert("RGB")
    width = rng.uniform(0.5, 0.95) * min(photo.width, photo.height * SIZE[0] / SIZE[1])
    height = width * SIZE[1] / SIZE[0]
    left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - height)
    return photo.crop((round(left), round(top), round(left + width), round(top + height))).resize(SIZE, Image.Resampling.BICUBIC)


def _pipes(draw: ImageDraw.ImageDraw, places: list[Point], rng: random.Random) -> None:
    grey = rng.randint(95, 150)
    for x, y in places:
        half, across = rng.uniform(7, 13), rng.random() < 0.5
        for step in range(6):  # lighter towards the middle, as something round
            inset, shade = half * step / 6, grey + step * 14
            ends = (
                (0, y - half + inset, SIZE[0], y + half - inset) if across else (x - half + inset, y, x + half - inset, SIZE[1])
            )
            draw.rectangle([value * _FINE for value in ends], fill=(shade, shade, shade + 4))


def _circle(x: float, y: float, radius: float, points: int = 40) -> list[Point]:
    angles = [2 * math.pi * i / points for i in range(points)]
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: tuple[int, int, int]) -> None:
    draw.ellipse([v * _FINE for v in (x - radius, y - radius, x + radius, y + radius)], fill=fill)


def _bar(draw: ImageDraw.ImageDraw, ends: tuple[float, float, float, float], width: float, fill: tuple[int, int, int]) -> None:
    draw.line([v * _FINE for v in ends], fill=fill, width=round(width * _FINE))


def _valve(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, rng: random.Random) -> list[list[Point]]:
    """A hand wheel with spokes, whose whole disc counts, on a stem."""
    colour = rng.choice(_PAINT)
    red, green, blue = colour
    dark, light = (red // 2, green // 2, blue // 2), (min(255, red + 60), min(255, green + 60), min(255, blue + 60))
    stem = [
        (x - radius * 0.22, y),
        (x + radius * 0.22, y),
        (x + radius * 0.3, y + radius * 1.5),
        (x - radius * 0.3, y + radius * 1.5),
    ]
    draw.polygon([(px * _FINE, py * _FINE) for px, py in stem], fill=(120, 122, 128))
    _disc(draw, x, y, radius, dark)
    _disc(draw, x, y, radius * 0.95, colour)
    _disc(draw, x, y, radius * 0.72, (70, 72, 76))
    turn = rng.uniform(0, math.pi)
    for spoke in range(5):
        angle = turn + spoke * 2 * math.pi / 5
        _bar(draw, (x, y, x + math.cos(angle) * radius * 0.85, y + math.sin(angle) * radius * 0.85), radius * 0.16, colour)
    _disc(draw, x, y, radius * 0.24, light)
    return [_circle(x, y, radius), stem]


def _gauge(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, rng: random.Random) -> list[list[Point]]:
    """A white dial with a scale over three quarters, a coloured range and a needle."""
    rim = rng.choice(((168, 140, 70), (60, 62, 66), (150, 152, 158)))
    _disc(draw, x, y, radius, rim)
    _disc(draw, x, y, radius * 0.86, (238, 238, 230))
    box = [v * _FINE for v in (x - radius * 0.74, y - radius * 0.74, x + radius * 0.74, y + radius * 0.74)]
    draw.arc(box, 330, 45, fill=(200, 40, 36), width=round(radius * 0.12 * _FINE))
    draw.arc(box, 135, 330, fill=(60, 140, 70), width=round(radius * 0.12 * _FINE))
    for tick in range(11):
        angle = math.radians(135 + 27 * tick)
        inner, outer = radius * 0.6, radius * 0.8
        _bar(
            draw,
            (x + math.cos(angle) * inner, y + math.sin(angle) * inner, x + math.cos(angle) * outer, y + math.sin(angle) * outer),
            radius * 0.05,
            (30, 30, 30),
        )
    angle = math.radians(135 + 270 * rng.random())
    _bar(draw, (x, y, x + math.cos(angle) * radius * 0.7, y + math.sin(angle) * radius * 0.7), radius * 0.09, (20, 20, 24))
    _disc(draw, x, y, radius * 0.12, (20, 20, 24))
    return [_circle(x, y, radius)]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m segue_training.own.example_set",
        description="Writes a made-up set of own data: 20 pictures, outlines, questions.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for annotations.json, images/ and questions.jsonl")
    options = parser.parse_args()
    try:
        write_example_set(options.out)
    except FileExistsError as error:
        sys.exit(str(error))
    print(f"{PICTURES} pictures of {' and '.join(NAMES)} things in {options.out}")


if __name__ == "__main__":
    main()
