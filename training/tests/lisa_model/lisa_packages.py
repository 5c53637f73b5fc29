"""The packages of the extra `lisa`, and which of them are not installed."""

from importlib.util import find_spec

NEEDS = ("google.protobuf", "safetensors", "sentencepiece", "transformers")


def _missing(name: str) -> bool:
    try:
        return find_spec(name) is None
    except ModuleNotFoundError:
        return True


MISSING = [name for name in NEEDS if _missing(name)]
