"""A run that something happens to ends, when it is run again, as if nothing had happened."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faults
import pytest
from growing import daily, rows_of, write_config

#: Some of the calls of each kind; `faults.py` goes through all.
SOME = [
    ("plain", "fsync", "ENOSPC", 3), ("plain", "rename", "KILL", 5), ("plain", "write", "KILL", 12),
    ("plain", "unlink,unlinkat", "KILL", 1),
    ("store", "fsync", "KILL", 1), ("store", "fsync", "KILL", 6), ("store", "fsync", "EIO", 30),
    ("store", "rename", "KILL", 2), ("store", "rename", "KILL", 9), ("store", "mkdir", "ENOSPC", 4),
]  # fmt: skip


@pytest.fixture(scope="module")
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "source"
    folder.mkdir()
    rows_of(25, 60, seed=7).write_parquet(folder / "reference.parquet")
    daily(folder / "log", 3, 60)
    write_config(
        folder,
        store="none" if request.param == "plain" else "",
        more="[scan]\ncheckpoint = 0\nthreads = 1",
    )
    return folder


@pytest.fixture(scope="module")
def expected(source: Path) -> dict[str, Any]:
    undisturbed = source.parent / "undisturbed"
    shutil.copytree(source, undisturbed)
    done = faults.run(undisturbed)
    assert done.returncode in (0, 1), done.stderr
    return faults.outcome(undisturbed)


@pytest.mark.parametrize(("source", "calls", "fault", "n"), SOME, ids=str, indirect=["source"])
def test_one_fault(source: Path, expected: dict[str, Any], calls: str, fault: str, n: int) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    faults.case(source, source.parent / "case", calls, fault, n, expected)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can fill up."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tidegauge", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("source", ["plain", "store"], indirect=True)
def test_a_full_disk(source: Path, expected: dict[str, Any], small_disk: Path) -> None:
    """Too small for store, checkpoints or outputs; made larger, the same command ends as on a large one."""
    for item in source.iterdir():
        (shutil.copytree if item.is_dir() else shutil.copy)(item, small_disk / item.name)
    codes = []
    for size in (200, 400, 20_000):
        subprocess.run(["mount", "-o", f"remount,size={size}k", str(small_disk)], check=True)
        done = faults.run(small_disk)
        codes.append(done.returncode)
        if done.returncode == 3:
            assert f"{small_disk}/" in done.stderr.partition(": no space left on device")[0]
    assert 3 in codes
    assert codes[-1] in (0, 1)
    found = faults.outcome(small_disk)
    assert found == expected


@pytest.mark.parametrize("source", ["plain"], indirect=True)
def test_a_place_that_cannot_be_written(source: Path, tmp_path: Path) -> None:
    place = tmp_path / "case"
    shutil.copytree(source, place)
    (place / "out").write_text("a file where the folder of outputs would be")
    done = faults.run(place)
    assert done.returncode == 3
    assert f"{place / 'out'}" in done.stderr
