"""The model card: a bundle's README, written from its manifest and so from what was measured."""

from __future__ import annotations

from typing import Any

_TEST_ONLY = """This bundle is for tests. Its weights are random numbers at toy size: every graph, tensor and file of a real bundle is
there, but the answers are meaningless and the masks show nothing. A worker that serves it logs a warning.

The numbers are not all drawn alike. Printable words and the tokens `<SEG>` and end-of-turn have larger rows in the output
layer, and the seed was picked so that the golden questions get answers that end, some with segments and some without; an
unweighted random model would repeat one byte for ever. Every mask's logits have mean 0, so that no mask is empty or full.
"""

_SERVING = """Reasoning segmentation: a picture and an instruction that need not name the thing go in, an answer in words comes out, in
which each `<SEG>` is a mask. The architecture is LISA's (Lai et al., "LISA: Reasoning Segmentation via Large Language
Model", CVPR 2024) at a small size.
"""


def model_card(manifest: dict[str, Any]) -> str:
    """Markdown"""
    serving = manifest["purpose"] == "serving"
    language, image = manifest["language"], manifest["images"]["main"]["resize"]["size"]
    sections = [
        f"# {manifest['name']} {manifest['version']}",
        manifest["description"],
        _SERVING if serving else _TEST_ONLY,
        "## Parts",
        _table(
            ["part", "source", "version", "licence", "note"],
            [
                [origin[key] if key in origin else "" for key in ("part", "source", "version", "license", "note")]
                for origin in manifest["origins"]
            ],
        ),
        f"Pictures are brought to {image} x {image} pixels. The language model has {language['kv']['layers']} layers, "
        f"a hidden size of {language['hiddenSize']} and a context of {language['limits']['contextTokens']} tokens.",
        "## Files",
        _table(["file", "MB"], [[f"`{name}`", f"{size / 1e6:.2f}"] for name, size in _files(manifest)]),
    ]
    for title, facts in (("Training", manifest["training"]), ("Measured quality", manifest["quality"])):
        if facts:
            sections += [f"## {title}", _facts(facts)]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def _files(manifest: dict[str, Any]) -> list[tuple[str, int]]:
    graphs = manifest["graphs"].values()
    entries = [*graphs, *(file for graph in graphs for file in graph["externalData"]), manifest["language"]["tokenizer"]]
    return sorted({entry["file"]: entry["bytes"] for entry in entries}.items())


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _facts(facts: Any, depth: int = 0) -> str:
    """Nested facts as nested lists; lists of plain texts as their own items."""
    lines = []
    for key, value in facts.items():
        if isinstance(value, dict):
            lines += [f"{'  ' * depth}- {key}", _facts(value, depth + 1)]
        elif isinstance(value, list):
            lines += [f"{'  ' * depth}- {key}", *(f"{'  ' * (depth + 1)}- {item}" for item in value)]
        else:
            lines.append(f"{'  ' * depth}- {key}: {value}")
    return "\n".join(lines)
