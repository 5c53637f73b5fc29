"""The stages of one bundle in Python, over the runtime of `training/`: what the Ray and the FastAPI server share."""

import base64
import hashlib
import io
import json
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
from PIL import Image
from pycocotools import mask as coco
from segue_training.bundle.runtime import Look, Runtime, SegueTokenizer, Tensors, Tokenizer

BUNDLE = Path(os.environ["SEGUE_BUNDLE"])
THREADS = int(os.environ.get("SEGUE_THREADS", "1"))
CACHED_PICTURES = 32
T = TypeVar("T")


class Sessions:
    """ONNX Runtime sessions of some of a bundle's graphs."""

    def __init__(self, graphs: set[str]):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
        entries = json.loads((BUNDLE / "manifest.json").read_text())["graphs"]
        self.sessions = {
            name: onnxruntime.InferenceSession(BUNDLE / entries[name]["file"], options, providers=["CPUExecutionProvider"])
            for name in graphs
        }

    def run(self, graph: str, inputs: Tensors) -> Tensors:
        session = self.sessions[graph]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))


def open_runtime(graphs: set[str]) -> Runtime:
    """A runtime that has only these graphs loaded."""
    manifest = json.loads((BUNDLE / "manifest.json").read_text(encoding="utf-8"))
    language = manifest["language"]
    tokenizer = Tokenizer.from_file(str(BUNDLE / language["tokenizer"]["file"]))
    return Runtime(manifest, SegueTokenizer.from_manifest(tokenizer, language), Sessions(graphs))


class Lru(OrderedDict[str, T]):
    """What belongs to the pictures that were asked about last."""

    def find(self, key: str) -> T | None:
        if key in self:
            self.move_to_end(key)
        return self.get(key)

    def keep(self, key: str, value: T) -> T:
        self[key] = value
        if len(self) > CACHED_PICTURES:
            self.popitem(last=False)
        return value


@dataclass(frozen=True)
class Encoded:
    """A picture after the encoder."""

    tensors: Tensors
    visual: np.ndarray
    resized: np.ndarray
    original: np.ndarray


def read_request(body: dict) -> tuple[str, bytes, str]:
    """The picture's key, its bytes and the question."""
    jpeg = base64.b64decode(body["image"])
    return hashlib.sha256(jpeg).hexdigest(), jpeg, body["instruction"]


def encode(runtime: Runtime, jpeg: bytes) -> Encoded:
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    tensors: Tensors = {}
    for run in runtime.manifest["encoder"]["runs"]:
        pixels, *sizes = runtime.prepare(run, picture)
        tensors |= runtime.stages.run(run["graph"], {run["input"]: pixels})
        if run["image"] == runtime.manifest["decoder"]["image"]:
            resized, original = sizes
    return Encoded(tensors, tensors.pop(runtime.manifest["encoder"]["visualTokens"]), resized, original)


def read_pictures(runtime: Runtime, visual: list[np.ndarray]) -> list[np.ndarray]:
    """Keys and values of the pictures' prefixes, computed in one run. All pictures have the same number of visual tokens."""
    kv = runtime.manifest["language"]["kv"]
    nothing = np.zeros((2 * kv["layers"], len(visual), kv["heads"], 0, kv["headDim"]), np.float32)
    ids = runtime.tokenizer.picture_ids(visual[0].shape[1])
    read = _read(runtime, [ids] * len(visual), nothing, np.zeros(len(visual), int), np.concatenate(visual))["kv"]
    return [np.ascontiguousarray(read[:, row : row + 1]) for row in range(len(visual))]


def write(runtime: Runtime, prefixes: list[np.ndarray], questions: list[str]) -> list[tuple[str, np.ndarray]]:
    """Answers to several questions, written together: each answer's text and the states of its `<SEG>`."""
    language = runtime.manifest["language"]
    limits, end, seg = language["limits"], set(language["ids"]["end"]), runtime.tokenizer.seg
    tails = [runtime.tokenizer.question_ids(question) for question in questions]
    past = np.concatenate(prefixes, axis=1)
    behind = past.shape[3]
    kv = np.zeros((*past.shape[:3], behind + max(map(len, tails)) + limits["maxNewTokens"], past.shape[4]), np.float32)
    kv[:, :, :, :behind] = past
    filled = np.full(len(tails), behind)
    fed = tails
    tokens: list[list[int]] = [[] for _ in tails]
    states: list[list[np.ndarray]] = [[] for _ in tails]
    rows = list(range(len(tails)))
    while rows:
        cache = np.ascontiguousarray(kv[:, rows, :, : filled[rows].max()])
        more = _read(runtime, [fed[row] for row in rows], cache, filled[rows], answers=not tokens[rows[0]])
        for place, row in enumerate(rows):
            tokens[row].append(int(more["tokens"][place, 0]))
            states[row].append(more["hidden"][place, 0])
            kv[:, row, :, filled[row] : filled[row] + len(fed[row])] = more["kv"][:, place, :, : len(fed[row])]
            filled[row] += len(fed[row])
            fed[row] = tokens[row][-1:]
        rows = [row for row in rows if len(tokens[row]) < limits["maxNewTokens"] and not end & set(tokens[row])]
    written = []
    for ids, hidden in zip(tokens, states, strict=True):
        stop = next((index for index, token in enumerate(ids) if token in end), len(ids))
        places = [index for index in range(stop) if ids[index] == seg][: limits["maxSegments"]]
        written.append((runtime.tokenizer.decode(ids[:stop]), np.array([hidden[index] for index in places], np.float32)))
    return written


def decode(runtime: Runtime, encoded: Encoded, text: str, states: np.ndarray) -> list[dict]:
    """The answer's segments, all masks of the picture from one run."""
    if not len(states):
        return []
    look = Look(encoded.tensors, [], encoded.visual, encoded.resized, encoded.original)
    segments = []
    for phrase, (score, mask, _) in zip(runtime.phrases(text), runtime._segment(look, states), strict=True):
        runs = coco.encode(np.asfortranarray(mask))
        segments.append({"phrase": phrase, "score": score, "mask": {"size": runs["size"], "counts": runs["counts"].decode()}})
    return segments


def _read(
    runtime: Runtime,
    ids: list[list[int]],
    past: np.ndarray,
    lengths: np.ndarray,
    visual: np.ndarray | None = None,
    answers: bool = False,
) -> Tensors:
    """New tokens of each row behind its past; `answers`: behind the last of them an answer begins."""
    language, longest = runtime.manifest["language"], max(map(len, ids))
    padded = [row + [language["ids"]["pad"]] * (longest - len(row)) for row in ids]
    fed = {
        "input_ids": np.array(padded),
        "lengths": np.array([len(row) for row in ids]),
        "visual_tokens": np.zeros((len(ids), 1, language["hiddenSize"]), np.float32) if visual is None else visual,
        "past_kv": past,
        "past_lengths": lengths,
        "answer_starts": np.array([len(row) - 1 if answers else -1 for row in ids]),
        "last": np.array(1),
    }
    return runtime.stages.run(language["graph"], fed)
