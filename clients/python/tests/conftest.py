from __future__ import annotations

from collections.abc import Iterator

import pytest
from service import ROOT, Proxy, proxy_before, running_service

PHOTO = ROOT / "examples/coffee.jpg"


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with running_service() as found:
        yield found


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with proxy_before(url) as found:
        yield found
