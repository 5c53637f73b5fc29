"""Token ids as LISA's own software makes them: the slow Llama tokenizer of transformers 4.31, written from its rules.

That version is pinned upstream and behaves like no later one around added tokens:

- a text is cut at every added token; blanks on both sides of a token that was added as plain text are dropped;
- `legacy` (the default of that version): SentencePiece puts a blank before each piece of text between added tokens;
- not `legacy`: the blank is cut off again from the first token behind an added one. Where the vocabulary lacks the rest,
  the word is lost to `<unk>`: "Birds" behind `<im_end>` is `▁Bird` + `s`, and `Bird` alone does not exist.

It is the yardstick of `lisa/tokenizer.py`; nothing is served with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sentencepiece import SentencePieceProcessor

from lisa.tokenizer import BLANK


class SlowTokenizer:
    def __init__(self, model: Path, added: Mapping[str, int], legacy: bool):
        """model: `tokenizer.model`. added: tokens behind the vocabulary and their ids, as in `added_tokens.json`."""
        self.pieces = SentencePieceProcessor(model_file=str(model))
        self.legacy = legacy
        own = {self.pieces.id_to_piece(index): index for index in range(3)}  # <unk>, <s>, </s>
        self.added = set(added.values())
        self._stripping = set(added)
        self._ids = {**own, **added}
        # At each place the longest token wins.
        ordered = sorted(self._ids, key=len, reverse=True)
        self._cut = re.compile("(" + "|".join(map(re.escape, ordered)) + ")")

    def encode(self, text: str) -> list[int]:
        """Ids of a text in which added tokens are written literally, without the begin token."""
        if not self.legacy:
            text = BLANK + text.replace(BLANK, " ")
        parts = self._cut.split(text)
        for index, part in enumerate(parts):
            if part in self._stripping:
                if index > 0:
                    parts[index - 1] = parts[index - 1].rstrip()
                if index + 1 < len(parts):
                    parts[index + 1] = parts[index + 1].lstrip()
        ids: list[int] = []
        for part in parts:
            if part in self._ids:
                ids.append(self._ids[part])
            elif part:
                ids += self._words(part)
        return ids

    def prompt(self, text: str, image: str = "<image>", placeholder: int = -200) -> list[int]:
        """Ids of a whole prompt: cut at the picture, tokenised on both sides, one begin token at the start."""
        ids = [self.pieces.bos_id()]
        for index, chunk in enumerate(text.split(image)):
            ids += [placeholder] * (index > 0) + self.encode(chunk)
        return ids

    def _words(self, text: str) -> list[int]:
        first = text.startswith(BLANK)
        if not self.legacy and first:
            text = text[1:]
        tokens = self.pieces.encode(text, out_type=str)
        if not self.legacy and not first and not text.startswith(" ") and tokens[0].startswith(BLANK):
            tokens = ([tokens[0][1:]] if len(tokens[0]) > 1 else []) + tokens[1:]
        return [self.pieces.piece_to_id(token) for token in tokens]
