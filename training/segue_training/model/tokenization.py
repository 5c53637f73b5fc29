"""Tokenizer and prompt: built from the vocabulary inside a GGUF file, saved as `tokenizer.json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from .gguf_fields import read_fields

SEG, IMAGE = "<SEG>", "<image>"
_CONTROL = 3  # GGUF's token type of control tokens


@dataclass(frozen=True)
class PromptTemplate:
    """Text around the picture, the questions and the answers; control tokens are written literally."""

    image_prefix: str = "<|im_start|>user\n"
    first_question: str = "\n{text}<|im_end|>\n<|im_start|>assistant\n"
    answer: str = "{text}<|im_end|>\n"
    next_question: str = "<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"

    def behind_picture(self, question: str, turns: Sequence[tuple[str, str]] = ()) -> str:
        """Everything after the picture, to be tokenised as one string. turns: earlier (question, answer) pairs."""
        parts, template = [], self.first_question
        for earlier, answer in turns:
            parts += [template.format(text=earlier), self.answer.format(text=answer)]
            template = self.next_question
        return "".join(parts) + template.format(text=question)

    def as_manifest(self) -> dict[str, str]:
        return {camel(name): text for name, text in asdict(self).items()}


@dataclass(frozen=True)
class ControlTokens:
    """How a family of models writes the tokens that steer it."""

    seg: str = SEG
    image: str = IMAGE
    """Placeholder of one visual token; its row of the embedding is never read."""
    end: str = "<|im_end|>"
    pad: str = "<|im_end|>"
    begin: str | None = None
    """Stands once before everything else."""


class SegueTokenizer:
    """Text <-> ids."""

    def __init__(self, tokenizer: Tokenizer, template: PromptTemplate | None = None, control: ControlTokens | None = None):
        self.tokenizer = tokenizer
        self.template = template or PromptTemplate()
        self.control = control = control or ControlTokens()
        self.added = tuple(token.content for token in tokenizer.get_added_tokens_decoder().values())
        self.seg, self.image, self.end, self.pad = (
            self._id(token) for token in (control.seg, control.image, control.end, control.pad)
        )
        self.begin = None if control.begin is None else self._id(control.begin)

    @staticmethod
    def from_manifest(tokenizer: Tokenizer, language: dict[str, Any]) -> SegueTokenizer:
        """language: the manifest's `language` entry, whose `tokenizer` file was loaded"""
        ids = language["ids"]
        control = ControlTokens(
            seg=language["segToken"],
            image=_token(tokenizer, ids["image"]),
            end=_token(tokenizer, ids["end"][0]),
            pad=_token(tokenizer, ids["pad"]),
            begin=None if ids["bos"] is None else _token(tokenizer, ids["bos"]),
        )
        parts = {name: language["template"][camel(name)] for name in PromptTemplate.__dataclass_fields__}
        return SegueTokenizer(tokenizer, PromptTemplate(**parts), control)

    def encode(self, text: str) -> list[int]:
        """Control tokens in the text become their ids: neutralise what a user wrote before."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids; `<SEG>` stays, control tokens vanish."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def picture_ids(self, visual_tokens: int) -> list[int]:
        """The picture's cacheable prefix: the words before it and one placeholder for each visual token."""
        begin = [] if self.begin is None else [self.begin]
        return begin + self.encode(self.template.image_prefix) + [self.image] * visual_tokens

    def question_ids(self, question: str, turns: Sequence[tuple[str, str]] = (), answer_prefix: str = "") -> list[int]:
        """Ids behind the picture: earlier turns and the question, neutralised, and how the answer must begin."""
        safe = [(neutralise(q, self.added), neutralise(a, self.added, allowed=(self.control.seg,))) for q, a in turns]
        return self.encode(self.template.behind_picture(neutralise(question, self.added), safe) + answer_prefix)

    def _id(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"The tokenizer has no token {token!r}")
        return found

    def save(self, path: Path) -> None:
        """Write `tokenizer.json` without indentation, so that a large vocabulary stays small."""
        path.write_text(self.tokenizer.to_str(pretty=False), encoding="utf-8")


def neutralise(text: str, added: Iterable[str], allowed: Iterable[str] = ()) -> str:
    """Put a space behind the first character of every control token that the text spells out."""
    banned = [token for token in added if token not in set(allowed)]
    while (found := next((token for token in banned if token in text), None)) is not None:
        text = text.replace(found, f"{found[0]} {found[1:]}")
    return text


def byte_bpe(tokens: Sequence[str], merges: Sequence[tuple[str, str]], control: Sequence[str]) -> SegueTokenizer:
    """Byte-level BPE with single digits, as SmolLM2's; tokens in the order of their ids, control tokens among them.

    `<SEG>` and `<image>` follow the vocabulary, in this order.
    """
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    # A pattern rather than `Digits`, which the JavaScript package reads as ASCII digits only.
    digits = pre_tokenizers.Split(Regex(r"\p{N}"), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([_added(token, special=True) for token in control])
    tokenizer.add_tokens([_added(SEG, special=False)])
    tokenizer.add_special_tokens([_added(IMAGE, special=True)])
    return SegueTokenizer(tokenizer)


def gguf_tokenizer(path: Path) -> SegueTokenizer:
    """The tokenizer of a GGUF file of the `smollm` kind."""
    fields = read_fields(path)
    kind = fields["tokenizer.ggml.pre"]
    if kind != "smollm":
        raise ValueError(f"{path}: the tokenizer is of kind {kind!r}, only 'smollm' is supported")
    tokens, types, merges = (fields[f"tokenizer.ggml.{name}"] for name in ("tokens", "token_type", "merges"))
    control = [token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL]
    return byte_bpe(tokens, [tuple(merge.split(" ")) for merge in merges], control)


def camel(name: str) -> str:
    """snake_case -> camelCase, for manifest keys."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _token(tokenizer: Tokenizer, token_id: int) -> str:
    found = tokenizer.id_to_token(token_id)
    if found is None:
        raise ValueError(f"The tokenizer has no token of id {token_id}")
    return found


def _added(content: str, special: bool) -> AddedToken:
    return AddedToken(content, special=special, normalized=False)
