"""Command line options that the two commands share, and what they make."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .answering import MEANING, BundleWay, Mode, Several, Way
from .problems import ProblemError
from .queries import PHRASE, SENTENCE, UPSTREAM_PREFIX
from .scoring import Scores
from .service import ServiceError, ServiceWay


def add_options(parser: argparse.ArgumentParser) -> None:
    """How to get answers, how to score them, where to write."""
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--bundle", type=Path, metavar="DIR", help="an exported bundle, run in this process")
    way.add_argument("--through", metavar="HOST:PORT", help="a running service's gRPC address; https://HOST:PORT for TLS")
    parser.add_argument(
        "--mode", type=Mode, choices=list(Mode), default=Mode.TEACHER_FORCED, help="default: %(default)s, as in the paper"
    )
    parser.add_argument(
        "--several",
        type=Several,
        choices=list(Several),
        default=Several.FIRST,
        help="which masks of a free answer are scored: the first (as LISA's demo) or all as one",
    )
    parser.add_argument("--model", default="", help="with --through: a model's name; the service's default otherwise")
    parser.add_argument("--timeout-s", type=float, default=300.0, help="with --through: for one answer")
    parser.add_argument("--threads", type=int, default=1, help="with --bundle: threads of ONNX Runtime")
    parser.add_argument(
        "--contaminated", metavar="WHY", help="say beside the figures that the model was trained on this data, and how"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write everything to this JSON file as well")


Report = dict[str, Any]
"""What is written as JSON: `benchmark`, `mode`, `way`, `data`, `figures`, `questions` and more."""


def open_way(options: argparse.Namespace) -> Way:
    """The chosen way of answering."""
    if options.through:
        return ServiceWay(options.through, options.mode, options.model, options.timeout_s)
    return BundleWay(options.bundle, options.mode, options.threads)


def header(name: str, options: argparse.Namespace, way: Way, scores: Scores) -> Report:
    """What every report says before its figures."""
    return {
        "benchmark": name,
        "mode": {
            "name": options.mode,
            "meaning": MEANING[options.mode],
            "several_masks": None if options.mode is Mode.TEACHER_FORCED else options.several,
        },
        "way": {**way.describe(), "model": scores.model},
        "templates": {
            "phrase": PHRASE,
            "sentence": SENTENCE,
            "upstream_prefix": UPSTREAM_PREFIX,
            "prefix_comes_from": "the model's own template",
        },
        "contaminated": options.contaminated,
    }


def run(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], Report], arguments: list[str] | None) -> None:
    """Parses, runs, prints and writes the report. Ends with status 1 and the reason when there is none."""
    options = parser.parse_args(arguments)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)  # rather now than after hours of scoring
    try:
        report = command(options)
    except (ProblemError, ServiceError) as error:
        print(f"{parser.prog}: nothing was scored.\n{error}", file=sys.stderr)
        sys.exit(1)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    print(table(report))


def table(report: Report) -> str:
    """The report without its single questions, for a terminal."""
    mode, way = report["mode"], report["way"]
    rule = f"; of several masks: {mode['several_masks']}" if mode["several_masks"] else ""
    lines = [
        f"{report['benchmark']}: {report['data']['folder']}, split {report['data']['split']}",
        f"mode    {mode['name']}: {mode['meaning']}{rule}",
        f"way     {way['kind']} {way.get('bundle') or way.get('address')}, model {way['model']}",
        "answers " + ", ".join(f"{count} with {kind}" for kind, count in report["answers"].items()),
        "",
        f"{'':<10}{'masks':>7}{'gIoU':>9}{'cIoU':>9}",
    ]
    for name, row in report["figures"].items():
        numbers = [f"{'-':>9}" if row[key] is None else f"{row[key]:>9.4f}" for key in ("giou", "ciou")]
        lines.append(f"{name:<10}{row['masks']:>7}{''.join(numbers)}")
    lines += [f"skipped {problem['file']}: {problem['what']}" for problem in report["data"].get("skipped", [])]
    if report["data"].get("without_target"):
        lines.append("no target, so an empty mask is right: " + ", ".join(report["data"]["without_target"]))
    if report["contaminated"]:
        lines.append(f"CONTAMINATED, no measure of accuracy: {report['contaminated']}")
    return "\n".join(lines)
