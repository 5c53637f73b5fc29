"""Says so when LISA's tests were left out."""

import pytest
from lisa_packages import MISSING


def test_the_packages_of_the_extra_lisa_are_there():
    if MISSING:
        pytest.skip(f"LISA's tests were left out: {', '.join(MISSING)} missing; pip install -e 'training[lisa]'")
