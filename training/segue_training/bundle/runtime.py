"""A model answering a question about a picture, graph by graph as a bundle's manifest says.

`Stages` are the graphs with numpy in and out. `OnnxStages` runs a bundle's files; `torch_stages.TorchStages` runs the
PyTorch modules behind the same interface, which gives golden cases and parity tests.
"""

from __future__ import annotations

import json
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from PIL import Image
from tokenizers import Tokenizer

from segue_training.model.tokenization import SegueTokenizer

from .picture import ImageInput

Tensors = dict[str, np.ndarray]


class Stages(Protocol):
    """The graphs of a bundle; inputs and outputs are those of the bundle contract."""

    def run(self, graph: str, inputs: Tensors) -> Tensors: ...


def has_exact_products() -> bool:
    """Whether this CPU multiplies unsigned by signed 8-bit numbers exactly; x86 does from VNNI on."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    try:
        return "_vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


class OnnxStages:
    """A bundle's graphs in ONNX Runtime on the CPU."""

    def __init__(self, folder: Path, threads: int = 1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        if not has_exact_products():
            options.add_session_config_entry("session.x64quantprecision", "1")
        graphs = json.loads((folder / "manifest.json").read_text())["graphs"]
        self._sessions = {
            name: onnxruntime.InferenceSession(folder / graph["file"], options, providers=["CPUExecutionProvider"])
            for name, graph in graphs.items()
        }

    def run(self, graph: str, inputs: Tensors) -> Tensors:
        session = self._sessions[graph]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))


@dataclass(frozen=True)
class Look:
    """A picture that was encoded and read: what every question about it shares."""

    tensors: Tensors
    """For the decoder."""
    ids: list[int]
    prefix: np.ndarray
    """Keys and values of `ids`, float32[2 * layers, 1, kv heads, len(ids), head size]."""
    resized: np.ndarray
    original: np.ndarray
    """int64[2] (h, w) inside the frame and of the picture itself."""


@dataclass
class Segment:
    phrase: str
    score: float
    mask: np.ndarray
    """uint8[height, width], 0 or 1, at the picture's own size"""
    embedding: np.ndarray
    """float32[prompt]"""


@dataclass
class Answer:
    prompt_ids: list[int]
    token_ids: list[int]
    text: str
    segments: list[Segment] = field(default_factory=list)


class Runtime:
    """Answers questions with the stages of one bundle."""

    def __init__(self, manifest: dict[str, Any], tokenizer: SegueTokenizer, stages: Stages):
        self.manifest, self.tokenizer, self.stages = manifest, tokenizer, stages
        self.images = {name: ImageInput.from_manifest(entry) for name, entry in manifest["images"].items()}

    @staticmethod
    def open(folder: Path, threads: int = 1) -> Runtime:
        """A bundle's folder with its graphs loaded."""
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        language = manifest["language"]
        tokenizer = Tokenizer.from_file(str(folder / language["tokenizer"]["file"]))
        return Runtime(manifest, SegueTokenizer.from_manifest(tokenizer, language), OnnxStages(folder, threads))

    def look(self, picture: Image.Image) -> Look:
        """Encode a picture and read it into the language model's cache; questions then follow."""
        tensors: Tensors = {}
        for run in self.manifest["encoder"]["runs"]:
            pixels, *sizes = self.prepare(run, picture)
            tensors |= self.stages.run(run["graph"], {run["input"]: pixels})
            if run["image"] == self.manifest["decoder"]["image"]:
                resized, original = sizes
        visual = tensors.pop(self.manifest["encoder"]["visualTokens"])
        ids = self.tokenizer.picture_ids(visual.shape[1])
        kv = self.manifest["language"]["kv"]
        nothing = np.zeros((2 * kv["layers"], 1, kv["heads"], 0, kv["headDim"]), np.float32)
        prefix = self.read(ids, nothing, visual)["kv"]
        return Look(tensors, ids, prefix, resized, original)

    def prepare(self, run: dict[str, str], picture: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a run of the encoder takes, as its graph does; and the picture's sizes as `ImageInput.prepare` gives them."""
        pixels, resized, original = self.images[run["image"]].prepare(picture)
        declared = {value["name"]: value["dtype"] for value in self.manifest["graphs"][run["graph"]]["inputs"]}
        return pixels.astype(declared[run["input"]], copy=False), resized, original

    def answer(self, picture: Image.Image, question: str, turns: list[tuple[str, str]] | None = None) -> Answer:
        """Ask about a picture; turns are earlier (question, answer) pairs about it."""
        return self.reply(self.look(picture), question, turns)

    def reply(self, look: Look, question: str, turns: list[tuple[str, str]] | None = None) -> Answer:
        """As `answer`, about a picture that was looked at before."""
        tail = self.tokenizer.question_ids(question, turns or [])
        tokens, states = self._generate(look, tail)
        answer = Answer(look.ids + tail, tokens, self.tokenizer.decode(tokens))
        places = [index for index, token in enumerate(tokens) if token == self.tokenizer.seg]
        if places:
            found = self._segment(look, np.stack([states[index] for index in places]))
            phrases = self.phrases(answer.text)
            answer.segments = [Segment(phrase, *parts) for phrase, parts in zip(phrases, found, strict=True)]
        return answer

    def mask_only(self, look: Look, question: str) -> Segment:
        """The fast way: the prompt up to the mode's answer prefix is read, its last state is the segment's."""
        prefix = self.manifest["language"]["modes"]["maskOnly"]["answerPrefix"]
        ids = self.tokenizer.question_ids(question, [], prefix)
        state = self.read(ids, look.prefix, starts_answer=True)["hidden"][:, 0]
        return Segment("", *self._segment(look, state)[0])

    def _generate(self, look: Look, tail: list[int]) -> tuple[list[int], list[np.ndarray]]:
        """Greedy tokens up to the end token or a limit, without the end token, and the state that predicted each."""
        language = self.manifest["language"]
        limits, end = language["limits"], set(language["ids"]["end"])
        kv, fed = look.prefix, tail
        tokens: list[int] = []
        states: list[np.ndarray] = []
        while len(tokens) < limits["maxNewTokens"] and not end & set(tokens):
            step = self.read(fed, kv, starts_answer=not tokens)
            tokens.append(int(step["tokens"][0, 0]))
            states.append(step["hidden"][0, 0])
            kv, fed = np.concatenate((kv, step["kv"]), axis=3), tokens[-1:]
        stop = next((index for index, token in enumerate(tokens) if token in end), len(tokens))
        segments = [index for index, token in enumerate(tokens) if token == self.tokenizer.seg]
        if len(segments) > limits["maxSegments"]:
            stop = min(stop, segments[limits["maxSegments"]])
        return tokens[:stop], states[:stop]

    def _segment(self, look: Look, states: np.ndarray) -> list[tuple[float, np.ndarray, np.ndarray]]:
        """Hidden states float32[n, hidden] -> for each (score, mask uint8[h, w], embedding float32[prompt])"""
        embeddings = self.stages.run("seg_head", {"hidden": states})["seg_embeddings"]
        shared = {name: look.tensors[name] for name in self.manifest["encoder"]["decoderTensors"]}
        shared |= {"resized_size": look.resized, "original_size": look.original}
        found, per_run = [], self.manifest["decoder"]["maxSegmentsPerRun"]
        for start in range(0, len(embeddings), per_run):
            part = embeddings[start : start + per_run]
            out = self.stages.run("decoder", {**shared, "seg_embeddings": part})
            if not np.isfinite(out["peak_logit"]).all():
                raise ArithmeticError("The decoder's logits are not finite: the model or its input is broken")
            found += list(zip(out["scores"].tolist(), out["masks"], part, strict=True))
        return found

    def phrases(self, text: str) -> list[str]:
        """The words that each `<SEG>` of an answer stands for; empty where no phrase is found."""
        language = self.manifest["language"]
        parts = text.split(language["segToken"])[:-1]
        found = [[match.group() for match in re.finditer(language["phrasePattern"], part)] for part in parts]
        return [matches[-1].strip() if matches else "" for matches in found]

    def read(self, ids: list[int], past: np.ndarray, visual: np.ndarray | None = None, starts_answer: bool = False) -> Tensors:
        """Read new tokens behind a past, and choose what follows the last of them."""
        hidden = self.manifest["language"]["hiddenSize"]
        return self.stages.run(
            self.manifest["language"]["graph"],
            {
                "input_ids": np.array([ids]),
                "lengths": np.array([len(ids)]),
                "visual_tokens": np.zeros((1, 1, hidden), np.float32) if visual is None else visual,
                "past_kv": past,
                "past_lengths": np.array([past.shape[3]]),
                "answer_starts": np.array([len(ids) - 1 if starts_answer else -1]),
                "last": np.array(1),
            },
        )
