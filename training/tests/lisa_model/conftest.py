"""The tiny LISA of both families, its bundle, and the independent reference; all skipped without their packages."""

import pytest
from lisa_packages import MISSING

if MISSING:
    collect_ignore_glob = ["test_[!p]*.py", "test_parts.py", "test_pictures.py"]
else:
    import torch

    from lisa.tiny import FAMILIES, export_tiny_lisa, save_tiny

    @pytest.fixture(scope="module", autouse=True)
    def _no_gradients():
        """For a module at most: other tests train."""
        with torch.no_grad():
            yield

    @pytest.fixture(scope="session", params=list(FAMILIES))
    def family(request, tmp_path_factory):
        """A checkpoint of each family."""
        return save_tiny(tmp_path_factory.mktemp(request.param) / "checkpoint", request.param)

    @pytest.fixture(scope="session")
    def source(tmp_path_factory):
        """The checkpoint that `models/tiny-lisa` is made of."""
        return save_tiny(tmp_path_factory.mktemp("tiny") / "checkpoint")

    @pytest.fixture(scope="session")
    def bundle(tmp_path_factory):
        folder = tmp_path_factory.mktemp("bundle") / "tiny-lisa"
        export_tiny_lisa(folder)
        return folder
