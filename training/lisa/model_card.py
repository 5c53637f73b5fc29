"""The model card of a LISA bundle."""

from __future__ import annotations

from typing import Any

from segue_training.bundle.model_card import file_sizes, table

_TEST_ONLY = """This bundle is for tests. It is LISA's architecture at toy size with random weights, written by
`segue-export lisa` from a checkpoint in the published format. Its answers mean nothing and its masks show nothing. A worker
that serves it logs a warning.

Words, `<SEG>` and the end token have larger rows in the output layer, and the seed was picked so that the golden questions
get answers that end, some without, some with one and some with several segments.
"""
_SERVING = """Reasoning segmentation: a picture and an instruction that need not name the thing go in, an answer in words comes
out, in which each `<SEG>` is a mask (Lai et al., "LISA: Reasoning Segmentation via Large Language Model", CVPR 2024). The
weights are the published ones; this card was written by the exporter and claims no quality of its own.

- The language model sees the middle square of the picture only; the masks cover all of it.
- Version 1 was trained with one `<SEG>` in an answer, and one mask for everything that a question means.
- It was trained on questions that have an answer, and hardly ever says that a thing is not there.
- `score` is how decided the mask decoder is. It is not a probability of being right.
- The checkpoints named `v1` have seen ReasonSeg's validation part: figures on it are no measure of quality.
"""


def lisa_card(manifest: dict[str, Any], precision: str) -> str:
    """Markdown"""
    language, images = manifest["language"], manifest["images"]
    sizes = " and ".join(str(image["resize"]["size"]) for image in images.values())
    columns = ["part", "source", "version", "license"]
    sections = [
        f"# {manifest['name']} {manifest['version']}",
        manifest["description"],
        _SERVING if manifest["purpose"] == "serving" else _TEST_ONLY,
        "## Parts",
        table(columns, [[origin[column] for column in columns] for origin in manifest["origins"]]),
        f"Pictures are brought to {sizes} pixels for the two vision towers. The language model has "
        f"{language['kv']['layers']} layers, a hidden size of {language['hiddenSize']}, a context of "
        f"{language['limits']['contextTokens']} tokens and {precision} weights; everything else is float32.",
        "## Files",
        table(["file", "MB"], [[f"`{name}`", f"{size / 1e6:.2f}"] for name, size in file_sizes(manifest)]),
        "## Tokenizer",
        "\n".join(f"- {key}: {value}" for key, value in manifest["training"]["tokenizer"].items()),
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"
