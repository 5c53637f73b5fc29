"""The programs as they answer before any model is loaded."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from segue_training.export import command

TRAINING = Path(command.__file__).parents[2]


def test_help_names_the_kinds(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "smol" in said and "lisa" in said and "segue-export KIND --help" in said


def test_an_unknown_kind_is_said(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["llama"])
    assert ended.value.code == 2 and "invalid choice: 'llama'" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["transformers", "sentencepiece"])
def test_a_missing_extra_is_named(package, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("lisa", package)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(SystemExit, match=rf"{package} is missing: pip install .*'training\[lisa\]'"):
        command.main(["lisa", "--help"])


def test_a_checkpoint_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SystemExit, match="nothing.safetensors"):
        command.main(["smol", "--checkpoint", str(tmp_path / "nothing.safetensors"), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize("module", ["segue_training.export.command", "segue_training.own.command", "segue_training.own.folder"])
def test_what_only_looks_at_data_does_without_slow_packages(module):
    code = f"import sys, {module}; print([name for name in ('torch', 'inflect', 'gguf') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("program", ["segue_training.own", "reasonseg"])
def test_a_command_without_its_packages_names_what_installs_them(program):
    code = f"import sys, runpy; sys.path.insert(0, {str(TRAINING)!r}); runpy.run_module({program!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"The package \w+ is missing: pip install -c training/constraints.txt -e 'training'\n", done.stderr)


def test_help_does_without_any_package():
    code = "import runpy, sys; sys.argv[1:] = ['--help']; runpy.run_module('segue_training.export.command', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(TRAINING)!r}); {code}"],
        capture_output=True,
        text=True,
    )
    assert "segue-export KIND --help" in done.stdout, done.stderr
