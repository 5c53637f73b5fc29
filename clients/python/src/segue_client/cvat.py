"""Segue as an automatic annotator of CVAT: `pip install segue-client[cvat]`.

cvat-cli task auto-annotate TASK --function-module segue_client.cvat -p labels=str:cup,spoon
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
from cvat_sdk import auto_annotation as cvat
from cvat_sdk.masks import encode_mask

from .client import Client


class SegueDetector:
    """A `cvat_sdk.auto_annotation.DetectionFunction`: a mask, or a polygon, for each label that is found."""

    def __init__(self, labels: Sequence[str], client: Client) -> None:
        self._names = list(labels)
        self._client = client
        self.spec = cvat.DetectionFunctionSpec(
            labels=[cvat.label_spec(name, index) for index, name in enumerate(self._names)]
        )

    def detect(self, context: cvat.DetectionFunctionContext, image: PIL.Image.Image) -> list[Any]:
        picture = io.BytesIO()
        image.convert("RGB").save(picture, "PNG")
        threshold = context.conf_threshold
        shapes = self._client.run(self._client.service.detect(picture.getvalue(), self._names, threshold))
        return [self._shape(shape, image.size, context.conv_mask_to_poly) for shape in shapes]

    def _shape(self, shape: dict[str, Any], size: tuple[int, int], as_polygon: bool) -> Any:
        label = self._names.index(shape["label"])
        if as_polygon:
            return cvat.polygon(label, shape["points"])
        *pixels, left, top, right, bottom = shape["mask"]
        mask = np.zeros((size[1], size[0]), np.bool_)
        mask[top : bottom + 1, left : right + 1] = np.reshape(pixels, (bottom - top + 1, right - left + 1))
        return cvat.mask(label, encode_mask(mask))


def create(labels: str, url: str | None = None) -> SegueDetector:
    """What cvat-cli calls. labels: names with commas between them; url: of the service, as `Client` takes it."""
    return SegueDetector([name.strip() for name in labels.split(",") if name.strip()], Client(url))
