"""Examples in docstrings give what they show."""

import doctest
import importlib
import pkgutil

import pytest
import tidegauge

MODULES = [name for _, name, package in pkgutil.walk_packages(tidegauge.__path__, "tidegauge.") if not package]


@pytest.mark.parametrize("name", ["tidegauge", *MODULES])
def test_examples(name: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("examples"))
    module = importlib.import_module(name)
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0
    if name == "tidegauge.stats":
        # Each function of its own, aliases once, imports and shows one call.
        own = {f for f in map(vars(module).get, module.__all__) if getattr(f, "__module__", "") == name}
        assert found.attempted == 2 * len(own)
