from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import PHOTO
from PIL import Image

from segue_client import Client

pytest.importorskip("cvat_sdk", reason="pip install -e '.[examples]'")


def create(labels: str, url: str) -> Any:
    from segue_client.cvat import create as found

    return found(labels, url)


def context(**change: Any) -> Any:
    return SimpleNamespace(**{"frame_name": "coffee.jpg", "conf_threshold": None, "conv_mask_to_poly": False, **change})


def test_cvat_gets_the_masks_that_the_service_gives(url: str) -> None:
    from cvat_sdk.masks import decode_mask

    function = create("cup, spoon", url)
    assert [label.name for label in function.spec.labels] == ["cup", "spoon"]
    image = Image.open(PHOTO)
    shapes = function.detect(context(), image)
    with Client(url) as client:
        expected = [segment for name in ("cup", "spoon") for segment in client.ask(image, f"Segment the {name}.").segments]
    expected = [segment for segment in expected if segment.area > 0]
    width, height = image.size
    found = [decode_mask(shape.points, image_width=width, image_height=height) for shape in shapes]
    assert len(found) == len(expected)
    for mask, segment in zip(found, expected, strict=True):
        assert np.array_equal(mask, segment.mask)


def test_cvat_gets_polygons_where_it_wants_them(url: str) -> None:
    function = create("cup", url)
    image = Image.open(PHOTO)
    for shape in function.detect(context(conv_mask_to_poly=True), image):
        assert str(shape.type) == "polygon"
        assert len(shape.points) >= 6
    assert function.detect(context(conf_threshold=1.0), image) == []
