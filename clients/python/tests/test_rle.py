"""The vectors in proto/vectors are also those of the TypeScript code."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco
from service import ROOT

from segue_client import rle

VECTORS: list[dict[str, Any]] = json.loads((ROOT / "proto/vectors/rle.json").read_text())["masks"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_masks_come_and_go_as_the_vectors_say(vector: dict[str, Any]) -> None:
    mask = np.array([[letter == "1" for letter in row] for row in vector["rows"]])
    encoded: rle.Rle = {"size": vector["size"], "counts": vector["counts"]}
    assert rle.encode(mask) == encoded
    assert rle.unpack(vector["counts"]) == vector["runs"]
    assert np.array_equal(rle.decode(encoded), mask)


def test_large_masks_are_those_of_pycocotools() -> None:
    random = np.random.default_rng(1)
    mask = np.kron(random.random((30, 40)) < 0.4, np.ones((37, 29), bool))
    encoded = rle.encode(mask)
    other: Any = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encoded == {"size": other["size"], "counts": other["counts"].decode()}
    assert np.array_equal(rle.decode(encoded), coco.decode({"size": encoded["size"], "counts": encoded["counts"]}) == 1)


@pytest.mark.parametrize("counts", ["", "0", "9", "0<1", "o"])
def test_counts_that_do_not_cover_the_size_are_refused(counts: str) -> None:
    with pytest.raises(ValueError, match=r"cover|in the middle"):
        rle.decode({"size": [3, 4], "counts": counts})
