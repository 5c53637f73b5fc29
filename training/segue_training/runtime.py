"""A model answering a question about a picture, graph by graph as a bundle's manifest says.

`Stages` are the five graphs with numpy in and out. `OnnxStages` runs a bundle's files; `torch_stages.TorchStages` runs the
PyTorch modules behind the same interface, which gives golden cases and parity tests.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from PIL import Image
from tokenizers import Tokenizer

from .picture import ImageInput
from .tokenization import PromptTemplate, SegueTokenizer, camel

Tensors = dict[str, np.ndarray]


class Stages(Protocol):
    """The graphs of a bundle; inputs and outputs are those of the bundle contract."""

    def run(self, graph: str, inputs: Tensors) -> Tensors: ...


class OnnxStages:
    """A bundle's graphs in ONNX Runtime on the CPU."""

    def __init__(self, folder: Path, threads: int = 1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        graphs = json.loads((folder / "manifest.json").read_text())["graphs"]
        self._sessions = {
            name: onnxruntime.InferenceSession(folder / graph["file"], options, providers=["CPUExecutionProvider"])
            for name, graph in graphs.items()
        }

    def run(self, graph: str, inputs: Tensors) -> Tensors:
        session = self._sessions[graph]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))


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

    def __init__(self, manifest: dict, tokenizer: SegueTokenizer, stages: Stages):
        self.manifest, self.tokenizer, self.stages = manifest, tokenizer, stages
        self.image = ImageInput.from_manifest(manifest["images"][manifest["decoder"]["image"]])

    @staticmethod
    def open(folder: Path, threads: int = 1) -> Runtime:
        """A bundle's folder with its graphs loaded."""
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        language = manifest["language"]
        parts = {name: language["template"][camel(name)] for name in PromptTemplate.__dataclass_fields__}
        tokenizer = Tokenizer.from_file(str(folder / language["tokenizer"]["file"]))
        return Runtime(manifest, SegueTokenizer(tokenizer, PromptTemplate(**parts)), OnnxStages(folder, threads))

    def encode(self, picture: Image.Image) -> tuple[Tensors, np.ndarray, np.ndarray]:
        """All outputs of the encoder, the resized and the original size."""
        pixels, resized, original = self.image.prepare(picture)
        return self.stages.run("encoder", {"pixels": pixels}), resized, original

    def answer(self, picture: Image.Image, question: str, turns: list[tuple[str, str]] | None = None) -> Answer:
        """Ask about a picture; turns are earlier (question, answer) pairs about it."""
        tensors, resized, original = self.encode(picture)
        prompt = self.prompt_ids(tensors, question, turns or [])
        tokens, states = self.generate(tensors, prompt)
        answer = Answer(prompt, tokens, self.tokenizer.decode(tokens))
        places = [index for index, token in enumerate(tokens) if token == self.tokenizer.seg]
        if places:
            found = self.segment(tensors, np.stack([states[index] for index in places]), resized, original)
            phrases = self.phrases(answer.text)
            answer.segments = [Segment(phrase, *parts) for phrase, parts in zip(phrases, found, strict=True)]
        return answer

    def mask_only(self, picture: Image.Image, question: str) -> Segment:
        """The fast way: one prefill up to the mode's answer prefix, its last state is the segment's."""
        tensors, resized, original = self.encode(picture)
        prefix = self.manifest["language"]["modes"]["maskOnly"]["answerPrefix"]
        prompt = self.prompt_ids(tensors, question, [], prefix)
        state = self.stages.run("prefill", self._prefill_inputs(tensors, prompt))["hidden"]
        return Segment("", *self.segment(tensors, state, resized, original)[0])

    def prompt_ids(
        self, tensors: Tensors, question: str, turns: list[tuple[str, str]], answer_prefix: str = ""
    ) -> list[int]:
        visual = tensors[self.manifest["encoder"]["visualTokens"]].shape[1]
        return self.tokenizer.picture_ids(visual) + self.tokenizer.question_ids(question, turns, answer_prefix)

    def generate(self, tensors: Tensors, prompt: list[int]) -> tuple[list[int], list[np.ndarray]]:
        """Greedy tokens up to the end token or a limit, without the end token, and the state that predicted each."""
        language = self.manifest["language"]
        limits, end = language["limits"], set(language["ids"]["end"])
        first = self.stages.run("prefill", self._prefill_inputs(tensors, prompt))
        tokens, states, kv = [int(first["token"][0])], [first["hidden"][0]], first["kv"]
        length = len(prompt)
        while len(tokens) < limits["maxNewTokens"] and not end & set(tokens):
            steps = min(limits["chunkTokens"], limits["maxNewTokens"] - len(tokens))
            fed = {"token": np.array(tokens[-1:]), "past_kv": kv, "past_lengths": np.array([length])}
            more = self.stages.run("decode", {**fed, "steps": np.array(steps)})
            tokens += more["tokens"][0].tolist()
            states += list(more["hidden"][0])
            kv, length = np.concatenate((kv, more["kv"]), axis=3), length + steps
        stop = next((index for index, token in enumerate(tokens) if token in end), len(tokens))
        segments = [index for index, token in enumerate(tokens) if token == self.tokenizer.seg]
        if len(segments) > limits["maxSegments"]:
            stop = min(stop, segments[limits["maxSegments"]])
        return tokens[:stop], states[:stop]

    def segment(
        self, tensors: Tensors, states: np.ndarray, resized: np.ndarray, original: np.ndarray
    ) -> list[tuple[float, np.ndarray, np.ndarray]]:
        """Hidden states float32[n, hidden] -> for each (score, mask uint8[h, w], embedding float32[prompt])"""
        embeddings = self.stages.run("seg_head", {"hidden": states})["seg_embeddings"]
        shared = {name: tensors[name] for name in self.manifest["encoder"]["decoderTensors"]}
        shared |= {"resized_size": resized, "original_size": original}
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

    def _prefill_inputs(self, tensors: Tensors, prompt: list[int]) -> Tensors:
        kv = self.manifest["language"]["kv"]
        return {
            "input_ids": np.array([prompt]),
            "lengths": np.array([len(prompt)]),
            "visual_tokens": tensors[self.manifest["encoder"]["visualTokens"]],
            "past_kv": np.zeros((2 * kv["layers"], 1, kv["heads"], 0, kv["headDim"]), np.float32),
            "past_lengths": np.zeros(1, np.int64),
        }
