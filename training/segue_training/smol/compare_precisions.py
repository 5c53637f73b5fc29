"""What each precision of the language model costs and gives: size, time, and quality on the development photos.

    python -m segue_training.smol.compare_precisions --checkpoint FILE --coco DIR --out DIR

writes a bundle for each precision into OUT, measures it in ONNX Runtime on the CPU and prints a table, also written to
OUT/precisions.json. Times are medians in this one run, one thread, the precisions side by side.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from segue_training.bundle.export import export_bundle
from segue_training.bundle.golden import check_golden
from segue_training.bundle.graphs.weights import FLOAT16, FLOAT32, INT4, INT8
from segue_training.bundle.model_card import table
from segue_training.bundle.runtime import Runtime
from segue_training.data.photos import Photo, load_coco, split
from segue_training.evaluate.bundle import evaluate_bundle
from segue_training.places import EXAMPLES

from .golden_questions import golden_questions
from .parts import smol_parts

PRECISIONS = (FLOAT32, FLOAT16, INT8, INT4)
_PREFILL_TOKENS, _ROUNDS = 100, 7


Row = dict[str, float | str]
"""A bundle's figures by their names."""


def measure(folder: Path, photos: list[Photo]) -> Row:
    """One bundle: MB of all its files, gIoU by kind, presence, and whether it holds its golden answers."""
    figures, *_ = evaluate_bundle(Runtime.open(folder, 1), photos)
    spoken = figures["model"]
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    kinds = ("explicit", "reasoning", "reasoning_held_out", "several")
    return {
        "mb": round(size, 1),
        **{kind: spoken[kind]["giou"] for kind in kinds},
        "presence": spoken["presence"]["balanced_accuracy"],
        "golden": _golden(folder),
    }


def _golden(folder: Path) -> str:
    """Whether the bundle gives PyTorch's golden answers; an export refuses one that does not."""
    try:
        check_golden(folder)
    except ValueError as difference:
        return str(difference)
    return "held"


def _times(runtime: Runtime) -> Row:
    """Medians in ms: a prefill of 100 tokens behind a picture, and one token of greedy decoding."""
    look = runtime.look(Image.open(EXAMPLES / "coffee.jpg"))
    prefill = _median(lambda: runtime.read([100] * _PREFILL_TOKENS, look.prefix))
    token = _median(lambda: runtime.read([100], look.prefix))
    return {"prefill_ms": round(prefill, 1), "token_ms": round(token, 1)}


def _median(run: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m segue_training.smol.compare_precisions",
        description="Compares the precisions that a checkpoint can be exported with.",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="file that training wrote")
    parser.add_argument("--coco", type=Path, required=True, help="folder with annotations.json and images/")
    parser.add_argument("--out", type=Path, required=True, help="folder for the bundles and precisions.json")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    options = parser.parse_args()
    _, photos = split(load_coco(options.coco))
    options.out.mkdir(parents=True, exist_ok=True)
    parts, questions = smol_parts(options.checkpoint), golden_questions()
    found = {}
    for precision in options.precisions:
        folder = options.out / precision
        export_bundle(parts, folder, questions, precision, check=False)
        found[precision] = measure(folder, photos)
    for precision, figures in found.items():  # one right after the other, so that they find the same machine
        figures |= _times(Runtime.open(options.out / precision, 1))
    (options.out / "precisions.json").write_text(json.dumps(found, indent=1))
    print(table(["precision", *next(iter(found.values()))], [[name, *values.values()] for name, values in found.items()]))


if __name__ == "__main__":
    main()
