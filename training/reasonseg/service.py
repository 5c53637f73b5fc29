"""A running Segue service asked over gRPC (`segue.v1.SegmentationService/Segment`).

Messages are built from what the service's own reflection says, so no generated code can be out of step with it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from pycocotools import mask as rle

from .answering import Ask, Mode, Reply

_SERVICE = "segue.v1.SegmentationService"
_SECURE = "https://"
# A service under load says UNAVAILABLE or RESOURCE_EXHAUSTED and means "later"; one such answer must not end a long run.
_RETRY = {
    "methodConfig": [
        {
            "name": [{"service": _SERVICE}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "1s",
                "maxBackoff": "20s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.service_config", json.dumps(_RETRY)),
]
_NAMES = {Mode.TEACHER_FORCED: "MODE_MASK_ONLY", Mode.FREE: "MODE_ANSWER"}


class ServiceError(Exception):
    """The service refused or failed; scoring ends, because a failure is not an empty mask."""


class ServiceWay:
    """address: HOST:PORT, or https://HOST:PORT for TLS. model: empty for the service's default."""

    def __init__(self, address: str, mode: Mode, model: str = "", timeout_s: float = 300.0):
        self._address, self._mode, self._model, self._timeout_s = address, mode, model, timeout_s
        target = address.removeprefix(_SECURE).removeprefix("http://").rstrip("/")
        if address.startswith(_SECURE):
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(), _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(target, _OPTIONS)
        try:
            grpc.channel_ready_future(self._channel).result(timeout=min(timeout_s, 15))
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self._channel))
            method = pool.FindServiceByName(_SERVICE).FindMethodByName("Segment")
        except grpc.FutureTimeoutError as error:
            raise ServiceError(
                f"{address}: no gRPC service answers here. Give the gRPC port (50051 unless set otherwise)."
            ) from error
        except (grpc.RpcError, KeyError) as error:
            raise ServiceError(f"{address}: no {_SERVICE} with reflection here: {error}") from error
        self._request = GetMessageClass(method.input_type)
        self._segment = self._channel.unary_unary(
            f"/{_SERVICE}/Segment",
            request_serializer=self._request.SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )

    def describe(self) -> dict[str, str]:
        return {"kind": "service", "address": self._address}

    def look(self, picture: Path) -> Ask:
        shown: dict[str, Any] = {"image": picture.read_bytes()}

        def ask(question: str) -> Reply:
            request = self._request(
                **shown,
                instruction=question,
                mode=_NAMES[self._mode],
                model=self._model,
                timeout_ms=int(self._timeout_s * 1000),
                mask_format="MASK_FORMAT_RLE",
            )
            try:
                answer: Any = self._segment(request, timeout=self._timeout_s)
            except grpc.RpcError as error:
                raise ServiceError(
                    f"{self._address} answered {error.code().name} to {question!r} about {picture.name}: {error.details()}"
                ) from error
            shown.clear()
            shown["image_id"] = answer.image_id  # further questions need no upload
            return Reply(answer.text, [_decode(segment.mask) for segment in answer.segments], answer.model)

        return ask


def _decode(mask: Any) -> Any:
    """Run lengths -> uint8[h, w]"""
    return rle.decode({"size": [mask.height, mask.width], "counts": mask.rle.counts.encode("ascii")})
