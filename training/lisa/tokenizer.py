"""LISA's tokenizer as `tokenizer.json`, and its prompt.

The file gives the ids of the slow tokenizer (`tests/lisa_model/slow_tokenizer.py`) with one deliberate difference, at the first
word behind an added token where the checkpoint's setting is `legacy: false`. Upstream cuts that word with a blank before it and
then drops the blank, which loses words ("Which", "Birds") to `<unk>`; here it is cut without the blank, as later versions of
transformers do. Most words give the same piece both ways, and all words behind the first are equal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from segue_training.model.tokenization import ControlTokens, PromptTemplate, SegueTokenizer

SEG, IMAGE = "<SEG>", "<image>"
BLANK = "▁"
PUBLISHED_SEG = "[SEG]"
"""What the checkpoints call it. Bundles write it as all of Segue does; the id, and so the model's input, is the same."""
CONTROL = ControlTokens(seg=SEG, image=IMAGE, end="</s>", pad="<unk>", begin="<s>")
SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
TEMPLATE = PromptTemplate(
    image_prefix=f"{SYSTEM} USER: <im_start>",
    first_question="<im_end>\n{text} ASSISTANT:",
    answer=" {text}</s>",
    next_question="USER: {text} ASSISTANT:",
)
"""Conversation `llava_v1`, upstream's default. The picture's placeholders stand between the first two parts."""
PHRASE_PATTERN = r"\b(?:the|a|an) (?!segmentation\b)[^,.;:<>]*?$"
"""A name before `<SEG>`; "the segmentation result is <SEG>" names nothing."""
_NORMAL = 1  # SentencePiece's type of pieces that merging makes


def load_tokenizer(folder: Path) -> SegueTokenizer:
    """The tokenizer of a checkpoint's folder, with `<image>` as the placeholder behind its last token.

    Raises ValueError when the files are not of LISA's family, FileNotFoundError when `tokenizer.model` is missing.
    """
    model = folder / "tokenizer.model"
    if not model.exists():
        raise FileNotFoundError(f"{folder} lacks tokenizer.model: download the checkpoint's tokenizer files as well")
    added = added_tokens(folder)
    if missing := {PUBLISHED_SEG, "<im_start>", "<im_end>"} - added.keys():
        raise ValueError(f"{folder} has no token {', '.join(sorted(missing))}: it is not a checkpoint of LISA")
    return SegueTokenizer(build_tokenizer(model, added, is_legacy(folder)), TEMPLATE, CONTROL)


def added_tokens(folder: Path) -> dict[str, int]:
    """Tokens behind the vocabulary, in the order of their ids: from `added_tokens.json` or the tokenizer's configuration."""
    found: dict[str, int] = {}
    if (path := folder / "added_tokens.json").exists():
        found = json.loads(path.read_text(encoding="utf-8"))
    else:
        entries = _settings(folder).get("added_tokens_decoder", {})
        found = {entry["content"]: int(index) for index, entry in entries.items() if int(index) > 2}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def is_legacy(folder: Path) -> bool:
    """What the checkpoint asks for; transformers 4.31 took `legacy` when nothing was said."""
    return bool(_settings(folder).get("legacy", True))


def build_tokenizer(model: Path, added: Mapping[str, int], legacy: bool) -> Tokenizer:
    """model: `tokenizer.model` of the BPE kind with bytes for unknown characters, as Llama's."""
    # A class that protobuf makes when it is imported, of which the types know nothing.
    proto: Any = sentencepiece_model_pb2.ModelProto.FromString(model.read_bytes())  # type: ignore[attr-defined]
    _check_kind(proto)
    pieces = SentencePieceProcessor(model_file=str(model))
    size = pieces.get_piece_size()
    if list(added.values()) != list(range(size, size + len(added))):
        raise ValueError(f"Added tokens {dict(added)} do not follow the vocabulary of {size} pieces one after the other")
    vocabulary = {piece.piece: index for index, piece in enumerate(proto.pieces)}
    bpe = models.BPE(vocab=vocabulary, merges=_merges(proto), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(bpe)
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(BLANK, prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [
            # Blanks around `<SEG>` are not among the ids; a reader wants the one before it.
            decoders.Replace(SEG, f" {SEG}"),
            decoders.Replace(BLANK, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(pieces.id_to_piece(index), normalized=False) for index in range(3)])
    for token in (*(SEG if token == PUBLISHED_SEG else token for token in added), IMAGE):
        flags = {"lstrip": True, "rstrip": True, "normalized": False, "special": token != SEG}
        tokenizer.add_tokens([AddedToken(token, **flags)])
    return tokenizer


def _check_kind(proto: Any) -> None:
    trainer, normalizer = proto.trainer_spec, proto.normalizer_spec
    problems = {
        "is not of the kind BPE": trainer.model_type != trainer.BPE,
        "has no bytes for unknown characters": not trainer.byte_fallback,
        "normalises characters": bool(normalizer.precompiled_charsmap),
        "puts no blank before a text": not normalizer.add_dummy_prefix,
        "drops blanks": normalizer.remove_extra_whitespaces,
    }
    if found := [problem for problem, holds in problems.items() if holds]:
        raise ValueError(f"tokenizer.model {', '.join(found)}: it is not Llama's")


def _merges(proto: Any) -> list[tuple[str, str]]:
    """Pairs of pieces by the score of what they make, best first. SentencePiece asks only whether the result is a piece."""
    normal = {piece.piece: piece.score for piece in proto.pieces if piece.type == _NORMAL}
    pairs = [
        (-score, index, text[:index], text[index:])
        for text, score in normal.items()
        for index in range(1, len(text))
        if text[:index] in normal and text[index:] in normal
    ]
    return [(left, right) for _, _, left, right in sorted(pairs)]


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
