"""The bundle in three Ray Serve deployments: POST / {"image": base64, "instruction": ...}.

Each stage is a process of its own with a cache of the last pictures; answers are written in batches; a picture's tensors go from
the encoder to the other two through Ray's object store.
"""

import asyncio
import os
import signal
import sys
from typing import Any

import ray
from ray import serve
from ray.serve.handle import DeploymentHandle
from stages import Encoded, Lru, decode, encode, open_runtime, read_pictures, read_request, write
from starlette.requests import Request

# Fractions, or four deployments are not placed on two cores.
STAGE: dict[str, Any] = {"max_ongoing_requests": 32, "ray_actor_options": {"num_cpus": 0.3}}
BATCH = 8


@serve.deployment(**STAGE)
class Encoder:
    def __init__(self):
        self.runtime = open_runtime({"encoder"})
        self.cache: Lru[Encoded] = Lru()

    async def encode(self, key: str, jpeg: bytes) -> Encoded:
        return self.cache.find(key) or self.cache.keep(key, await asyncio.to_thread(encode, self.runtime, jpeg))


@serve.deployment(**STAGE)
class LanguageModel:
    def __init__(self):
        self.runtime = open_runtime({"language"})
        self.cache: Lru[Any] = Lru()

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0)
    async def answer(self, keys: list[str], pictures: list[Encoded], questions: list[str]) -> list[Any]:
        return await asyncio.to_thread(self.write, keys, pictures, questions)

    def write(self, keys: list[str], pictures: list[Encoded], questions: list[str]) -> list[Any]:
        known = {key: self.cache.find(key) for key in keys}
        new = {key: picture.visual for key, picture in zip(keys, pictures, strict=True) if known[key] is None}
        if new:
            for key, prefix in zip(new, read_pictures(self.runtime, list(new.values())), strict=True):
                known[key] = self.cache.keep(key, prefix)
        return write(self.runtime, [known[key] for key in keys], questions)


@serve.deployment(**STAGE)
class Decoder:
    def __init__(self):
        self.runtime = open_runtime({"seg_head", "decoder"})

    async def decode(self, encoded: Encoded, answer: Any) -> dict:
        text, states = answer
        return {"text": text, "segments": await asyncio.to_thread(decode, self.runtime, encoded, text, states)}


@serve.deployment(max_ongoing_requests=64, ray_actor_options={"num_cpus": 0.1})
class Ingress:
    def __init__(self, encoder: DeploymentHandle, language_model: DeploymentHandle, decoder: DeploymentHandle):
        self.encoder, self.language_model, self.decoder = encoder, language_model, decoder

    async def __call__(self, request: Request) -> dict:
        key, jpeg, question = read_request(await request.json())
        encoded = self.encoder.encode.remote(key, jpeg)
        answer = self.language_model.answer.remote(key, encoded, question)
        return await self.decoder.decode.remote(encoded, answer)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ray.init(address="local", include_dashboard=False, num_cpus=os.cpu_count(), log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Ingress.bind(Encoder.bind(), LanguageModel.bind(), Decoder.bind()), blocking=True)
