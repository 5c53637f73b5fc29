"""The model card: a bundle's README, written from its manifest and so from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
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

_ABILITIES = """- It finds things of COCO's 80 classes, by their names, by questions that describe them, and by kinds and needs ("Where is
  the animal?", "What could I eat?"). Other things are named as the nearest class, or refused.
- One mask for each thing an answer names, or one for all things of a kind ("all the cups"). Asked for everything it names up to
  six kinds of things, with a mask each.
- It picks the one on the left, on the right, or the largest. Order, colour and what a thing is next to were taught, but are not
  measured; clothes and other properties mean nothing to it.
- A second question may lean on the first ("And what would I eat it with?", "Now only the one on the left").
- It refuses when it does not see what was asked for, and says what it sees instead. It refuses some things that are there as
  well, small ones above all.
- Spoons, forks, straps and other thin things get coarse outlines, and crowded scenes lose members.
- It reads English only; to other languages it answers with a sentence that says so. Scenery (sky, floor, background) has no mask.
- Its sentences are short and their reasons may be wrong. It is no chat model, reads no text in pictures and knows no people.
- `mask_only` always draws a mask: it cannot refuse.
- Do not use it where a wrong mask harms someone. It has seen 302 photos, mostly of everyday scenes.
"""

_OWN = """- It was fine-tuned on own pictures for: {}. What follows is said of its base, of which fine-tuning keeps most.
"""

_LAST_RUN = "Options of the last run of training; what came before it is told in `training/README.md`."

_QUALITY = """gIoU is the mean of the masks' IoUs, cIoU the pooled one; a missing mask counts as 0. `named`: share of answers with a
mask under the right name, `answered`: share with a mask. `mask_only` is the mode without words; `control` ignores the question and takes what the
detector is surest of; `ceiling` is the mask decoder given the true name. The photos were held out from this training, but the
published vision encoder has probably seen them: expect less on photos of your own.

`explicit` questions name one thing, `reasoning` ones mean it without naming it (`reasoning_held_out`: the same about the twelve classes that
`train --zero-shot` leaves out), `several` name two things, `plural` mean all of a class, `referring` one of several (left, right,
largest), and `follow_up` lean on an earlier question. Served is the exported bundle, whose language model is rounded to fewer bits.
"""
_SCORES = """A segment's score is the probability that its mask is right, that is, overlaps the thing meant with an IoU of at least 0.5.
The table is cross-fitted: each half of the photos is scored with weights fitted on the other half.
"""
_MEASURES = (("targets", "targets"), ("giou", "gIoU"), ("ciou", "cIoU"), ("named", "named"), ("answered", "answered"))


def model_card(manifest: dict[str, Any], notes: str = "") -> str:
    """Markdown; notes: what people observed, put at its end."""
    serving = manifest["purpose"] == "serving"
    own = manifest["training"].get("own categories")
    language, image = manifest["language"], manifest["images"]["main"]["resize"]["size"]
    sections = [
        f"# {manifest['name']} {manifest['version']}",
        manifest["description"],
        _SERVING if serving else _TEST_ONLY,
        "## Parts",
        table(
            ["part", "source", "version", "licence", "note"],
            [[origin.get(key, "") for key in ("part", "source", "version", "license", "note")] for origin in manifest["origins"]],
        ),
        f"Pictures are brought to {image} x {image} pixels. The language model has {language['kv']['layers']} layers, "
        f"a hidden size of {language['hiddenSize']} and a context of {language['limits']['contextTokens']} tokens.",
        "## Files",
        table(["file", "MB"], [[f"`{name}`", f"{size / 1e6:.2f}"] for name, size in file_sizes(manifest)]),
    ]
    if serving:
        sections += ["## What it can and cannot do", _OWN.format(own) + _ABILITIES if own else _ABILITIES]
    if manifest["training"]:
        sections += ["## Training", *([] if own else [_LAST_RUN]), _facts(manifest["training"])]
    if manifest["quality"]:
        sections += ["## Measured quality", _QUALITY]
        for source, figures in manifest["quality"].items():
            sections += _SECTIONS.get(source, _figures)(source, figures)
    if notes:
        sections.append(notes)
    return "\n\n".join(section.strip() for section in sections) + "\n"


def file_sizes(manifest: dict[str, Any]) -> list[tuple[str, int]]:
    """Files of a bundle's model and their bytes."""
    graphs = manifest["graphs"].values()
    entries = [*graphs, *(file for graph in graphs for file in graph["externalData"]), manifest["language"]["tokenizer"]]
    return sorted({entry["file"]: entry["bytes"] for entry in entries}.items())


def _quality(figures: dict[str, Any]) -> str:
    """Kinds of questions by figures, and what has no mask as lines."""
    spoken = figures["model"]
    others = [name for name in ("mask_only", "control", "ceiling") if name in figures]
    head = ["question", *(title for _, title in _MEASURES), *(f"{name} gIoU" for name in others)]
    kinds = [kind for kind, values in spoken.items() if "giou" in values]
    rows = [
        [kind, *(spoken[kind][key] for key, _ in _MEASURES), *(figures[name].get(kind, {}).get("giou", "") for name in others)]
        for kind in kinds
    ]
    rest = {kind: values for kind, values in spoken.items() if kind not in kinds}
    extra = {f"{kind}, {key}": value for kind, values in rest.items() for key, value in values.items()}
    extra |= {f"{kind}, in order": spoken[kind]["in_order"] for kind in kinds if "in_order" in spoken[kind]}
    return f"{table(head, rows)}\n\n{_facts(extra)}"


def _figures(source: str, figures: dict[str, Any]) -> list[str]:
    found = [f"### {source}", _quality(figures)]
    if classes := figures.get("classes"):
        found += ["By class, explicit and reasoning questions together:", _by_class(classes)]
    return found


def _by_class(classes: dict[str, tuple[int, float]]) -> str:
    """Three classes a line, best first."""
    cells = [[name, masks, giou] for name, (masks, giou) in sorted(classes.items(), key=lambda item: -item[1][1])]
    cells += [["", "", ""]] * (-len(cells) % 3)
    rows = len(cells) // 3
    return table(["class", "masks", "gIoU"] * 3, [[*cells[i], *cells[i + rows], *cells[i + 2 * rows]] for i in range(rows)])


def _reliability(_: str, facts: dict[str, Any]) -> list[str]:
    rows = [[f"{low:.1f} - {high:.1f}", masks, mean, share] for low, high, masks, mean, share in facts["table"]]
    rest = {key: value for key, value in facts.items() if key != "table"}
    return ["### Scores", _SCORES, table(["score", "masks", "mean score", "share right"], rows), _facts(rest)]


_SECTIONS = {"scores": _reliability}


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown"""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _facts(facts: dict[str, Any]) -> str:
    return "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in facts.items())
