"""Asks with Triton's clients, over HTTP and gRPC: pip install 'tritonclient[http,grpc]'"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http

MODEL = "segue-smol"
photo = Path("examples/coffee.jpg").read_bytes()


def ask(protocol, url):
    client = protocol.InferenceServerClient(url)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(MODEL)
    inputs = [protocol.InferInput(name, [1], "BYTES") for name in ("image", "instruction")]
    inputs[0].set_data_from_numpy(np.array([photo], dtype=np.object_))
    inputs[1].set_data_from_numpy(np.array([b"Where could I pour a drink?"], dtype=np.object_))
    result = client.infer(MODEL, inputs)
    text = result.as_numpy("text")[0].decode()
    masks = result.as_numpy("masks")
    print(protocol.__name__, text, masks.dtype, masks.shape, masks.sum(axis=(1, 2)), result.as_numpy("spans").tolist())


ask(http, urlsplit(os.environ.get("SEGUE_URL", "http://localhost:8080")).netloc)
ask(grpc, os.environ.get("SEGUE_GRPC", "localhost:50051"))
