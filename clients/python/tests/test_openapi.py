"""Clients that others generate from the service's own description."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PHOTO

pytest.importorskip("openapi_python_client", reason="pip install -e '.[examples]'")


def test_openapi_python_client_makes_a_client_that_asks(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.yml"
    config.write_text("project_name_override: generated\npackage_name_override: generated\npost_hooks: []\n")
    command = ["openapi-python-client", "generate", "--url", f"{url}/openapi.json", "--config", str(config)]
    program = Path(sys.executable).with_name(command[0])
    made = subprocess.run(
        [program, *command[1:], "--output-path", tmp_path / "made"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    monkeypatch.syspath_prepend(str(tmp_path / "made"))

    generated = importlib.import_module("generated")
    types = importlib.import_module("generated.types")
    models = importlib.import_module("generated.models")
    with generated.Client(base_url=url) as client:
        listed = importlib.import_module("generated.api.models.list_models").sync(client=client)
        assert listed.models[0].name
        form = models.SegmentForm(instruction="What is here?", image=types.File(payload=PHOTO.open("rb"), file_name="a.jpg"))
        answer = importlib.import_module("generated.api.segmentation.segment").sync(client=client, body=form)
        assert isinstance(answer.text, str)
        assert len(answer.segments) == answer.text.count("<SEG>")


@pytest.mark.parametrize(
    "options",
    [
        # Schemathesis takes the schema of an event stream for that of an event and its name, not of the event's data.
        ["--checks", "response_schema_conformance", "--include-path-regex", "^/v1/(models|images|usage|jobs)$"],
        ["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"],
    ],
    ids=["shapes", "statuses and types"],
)
def test_the_service_answers_as_its_description_says(url: str, options: list[str], tmp_path: Path) -> None:
    """Schemathesis makes requests of the description and looks whether each answer is in it."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "run", f"{url}/openapi.json", *options, "--max-examples", "5", "--seed", "1", "--no-color"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
