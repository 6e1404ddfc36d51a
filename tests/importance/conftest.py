import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "laws"))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small predictions: OpenMP threads of scikit-learn would only wait for each other."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(1):
        yield
