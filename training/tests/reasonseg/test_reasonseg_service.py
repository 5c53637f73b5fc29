"""Scoring through gRPC, against a server of the real contract in this process."""

from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection
from grpc_tools import protoc
from pycocotools import mask as rle

from reasonseg.answering import Mode
from reasonseg.service import ServiceError, ServiceWay

PROTO = Path(__file__).parents[3] / "proto"
SERVICE = "segue.v1.SegmentationService"


class Gateway:
    """Answers with two masks of 3 x 4, keeps what it was asked; fails as often as it is told to."""

    def __init__(self, folder: Path):
        out = folder / "segue.descriptors"
        assert protoc.main(["protoc", f"-I{PROTO}", f"--descriptor_set_out={out}", "segue/v1/segmentation.proto"]) == 0
        self.pool, self.requests, self.failures = DescriptorPool(), [], []
        for file in FileDescriptorSet.FromString(out.read_bytes()).file:
            self.pool.Add(file)
        method = self.pool.FindServiceByName(SERVICE).FindMethodByName("Segment")
        self.answer = GetMessageClass(method.output_type)
        handler = grpc.unary_unary_rpc_method_handler(
            self.segment, GetMessageClass(method.input_type).FromString, self.answer.SerializeToString
        )
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Segment": handler}),))
        reflection.enable_server_reflection((SERVICE,), self.server, pool=self.pool)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def segment(self, request, context):
        self.requests.append(request)
        if self.failures:
            context.abort(self.failures.pop(0), "The queue is full; try again.")
        answer = self.answer(text="It is <SEG> and <SEG>.", model="served@2", image_id="abc")
        for value in (0, 1):
            painted = np.zeros((3, 4), np.uint8, order="F")
            painted[value, :2] = 1
            segment = answer.segments.add(index=value)
            segment.mask.height, segment.mask.width = 3, 4
            segment.mask.rle.counts = rle.encode(painted)["counts"].decode()
        return answer


@pytest.fixture
def gateway(tmp_path):
    started = Gateway(tmp_path)
    yield started
    started.server.stop(None)


@pytest.fixture
def picture(tmp_path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"bytes of a picture")
    return tmp_path / "a.jpg"


def test_questions_and_masks_go_through_the_contract(gateway, picture):
    way = ServiceWay(gateway.address, Mode.FREE, model="smol", timeout_s=20)
    reply = way.look(picture)("What is it?")
    assert (reply.text, reply.model) == ("It is <SEG> and <SEG>.", "served@2")
    assert [mask.tolist() for mask in reply.masks] == [[[1, 1, 0, 0], [0] * 4, [0] * 4], [[0] * 4, [1, 1, 0, 0], [0] * 4]]
    request = gateway.requests[0]
    assert (request.image, request.instruction, request.model, request.timeout_ms) == (
        b"bytes of a picture",
        "What is it?",
        "smol",
        20_000,
    )
    assert request.mode == 1
    assert way.describe() == {"kind": "service", "address": gateway.address}


def test_teacher_forced_is_the_mask_only_mode(gateway, picture):
    ServiceWay(f"http://{gateway.address}", Mode.TEACHER_FORCED).look(picture)("it")
    assert gateway.requests[0].mode == 2


def test_a_picture_is_sent_once(gateway, picture):
    ask = ServiceWay(gateway.address, Mode.FREE).look(picture)
    for question in ("one", "two"):
        ask(question)
    assert [(request.image, request.image_id) for request in gateway.requests] == [(b"bytes of a picture", ""), (b"", "abc")]


def test_a_busy_service_is_asked_again_and_a_failing_one_is_an_error(gateway, picture):
    ask = ServiceWay(gateway.address, Mode.FREE).look(picture)
    gateway.failures = [grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert len(ask("one").masks) == 2
    gateway.failures = [grpc.StatusCode.INVALID_ARGUMENT]
    with pytest.raises(ServiceError, match=r"INVALID_ARGUMENT to 'two' about a.jpg: The queue is full; try again."):
        ask("two")


def test_an_address_where_nothing_serves_says_so():
    with pytest.raises(ServiceError, match="no gRPC service answers here"):
        ServiceWay("127.0.0.1:1", Mode.FREE, timeout_s=1)


def test_a_server_of_something_else_says_so():
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(ServiceError, match="with reflection here"):
        ServiceWay(f"127.0.0.1:{port}", Mode.FREE, timeout_s=5)
    server.stop(None)
