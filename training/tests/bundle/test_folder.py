"""What an export may replace."""

import json

import pytest

from segue_training.bundle.folder import check_replaceable, replaced
from segue_training.export.command import main


def bundle(folder, note: str):
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"schemaVersion": 1, "graphs": {}}))
    (folder / note).touch()
    return folder


def files(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize("there", ["bundle", "empty", "nothing"])
def test_a_bundle_an_empty_folder_and_none_are_replaced(tmp_path, there):
    folder = tmp_path / "models" / "mine"
    if there == "bundle":
        bundle(folder, "old")
    if there == "empty":
        folder.mkdir(parents=True)
    with replaced(folder) as written:
        assert not list(written.iterdir())
        (written / "new").touch()
    assert files(tmp_path / "models") == {"mine", "mine/new"}


@pytest.mark.parametrize("content", ["photo.jpg", "manifest.json"])
def test_another_folder_stays_as_it_is(tmp_path, content):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / content).write_text("[]")
    with pytest.raises(ValueError, match="pictures holds something else than a bundle"), replaced(folder):
        pytest.fail("refused before any work")
    assert files(tmp_path) == {"pictures", f"pictures/{content}"}


def test_files_and_links_are_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(bundle(tmp_path / "bundle", "old"))
    for name in ("file", "link"):
        with pytest.raises(ValueError, match="no folder of its own"):
            check_replaceable(tmp_path / name)


def test_a_failed_export_leaves_the_old_bundle_and_nothing_else(tmp_path):
    folder = bundle(tmp_path / "mine", "old")
    (tmp_path / "mine.partial").mkdir()
    (tmp_path / "mine.partial" / "photo.jpg").touch()

    def fail():
        with replaced(folder) as written:
            (written / "half").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert files(tmp_path) == {"mine", "mine/manifest.json", "mine/old", "mine.partial", "mine.partial/photo.jpg"}


def test_what_appears_while_the_bundle_is_written_stays(tmp_path):
    folder = tmp_path / "mine"

    def export():
        with replaced(folder) as written:
            (written / "new").touch()
            folder.mkdir()
            (folder / "photo.jpg").touch()

    with pytest.raises(ValueError, match="something else"):
        export()
    assert files(tmp_path) == {"mine", "mine/photo.jpg"}


def test_the_command_looks_at_the_folder_first(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(SystemExit, match="something else than a bundle"):
        main(["smol", "--checkpoint", str(tmp_path / "none.safetensors"), "--out", str(tmp_path)])
    assert files(tmp_path) == {"photo.jpg"}
