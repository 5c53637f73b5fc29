"""LISA's two validation prompts.

Upstream writes `<image>`, a line break and a blank before the words. A bundle's own template (or the service's) puts the
picture and the line break there. The blank is left out: upstream's tokenizer drops every blank behind the
picture's end token, so LISA's ids are the same with and without it, and other models never see it in training.
"""

from __future__ import annotations

PHRASE = "What is {text} in this image? Please output segmentation mask."
SENTENCE = "{text} Please output segmentation mask."
UPSTREAM_PREFIX = "<image>\n "


def instruction(text: str, is_sentence: bool) -> str:
    """The words that are sent for a query."""
    return (SENTENCE if is_sentence else PHRASE).format(text=text.strip())
