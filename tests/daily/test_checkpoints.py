"""Scans that go on: the same profile and the same outputs, wherever they were stopped."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tidegauge as tg
from growing import MAIN, command, daily, damage, record_of, rows_of, tree, without_times, write_config
from tidegauge._profile import Options, Profile, make_options, scan
from tidegauge._work import Parts


class StopError(Exception):
    pass


def in_parts(data: Any, options: Options, reference: Profile, stops: int) -> tuple[Profile, list[bytes]]:
    """Scan unit by unit, stopped after every `stops` checkpoints and begun anew from the last one."""
    kept: list[bytes] = []

    def keep(content: bytes) -> None:
        kept.append(content)
        if stops and len(kept) % stops == 0 and len(kept) < 40:
            raise StopError

    for _ in range(100):
        begun = Profile(tg._core.Profile.from_bytes(kept[-1])) if kept else None
        try:
            return scan(data, options, like=reference, parts=Parts(keep=keep, every=0, begun=begun)), kept
        except StopError:
            continue
    raise AssertionError("it never ends")


def told(profile: Profile) -> dict[str, Any]:
    return {**profile.info, "version": None}


@pytest.mark.parametrize("stops", [0, 1, 3])
@pytest.mark.parametrize("options", [
    {}, {"window": "1d"}, {"window": "1d", "by": ["city", ("city", "k")]}, {"columns": ["x", "ts"]}, {"id": "k"},
    {"block": "city"}, {"digests": True}, {"digests": True, "columns": ["x", "ts"], "window": "1d"},
])  # fmt: skip
def test_parts_are_the_whole(log: Path, stops: int, options: dict[str, Any]) -> None:
    chosen = make_options(time="ts", **options)
    reference = scan(log / "reference.parquet", chosen)
    whole = scan(str(log / "log/*.parquet"), chosen, like=reference)
    made, kept = in_parts(str(log / "log/*.parquet"), chosen, reference, stops)
    assert len(kept) >= 12
    assert made.digest == whole.digest
    assert told(made) == told(whole)
    assert ("parts" in made.info["sources"][0]) == options.get("digests", False)


def test_checkpoints_grow_rare_with_what_they_cost(log: Path) -> None:
    """Each call takes at most its share of the time since the one before, the first by what its states foretell."""
    chosen = make_options(time="ts")
    reference = scan(log / "reference.parquet", chosen)
    data = str(log / "log/*.parquet")
    calls: list[float] = []

    def slow(_: bytes) -> None:
        calls.append(time.monotonic())
        time.sleep(0.3)

    began = time.monotonic()
    whole = scan(data, chosen, like=reference, parts=Parts(keep=slow, every=0))
    spent = time.monotonic() - began - 0.3 * len(calls)
    assert len(calls) >= 12
    calls.clear()
    scanned = scan(data, chosen, like=reference, parts=Parts(keep=slow, every=0, share=0.9))
    # One when the states were written in nine tenths of the time before it, then none for a third of a second:
    # all the rest takes less, unless the machine stood still.
    assert 1 <= len(calls) <= 2 + 3 * spent
    assert scanned.digest == whole.digest


def test_states_that_take_the_time_of_their_rows_are_not_kept(log: Path) -> None:
    """By the hour there are as many states as rows: writing them is foretold to take more than a fiftieth."""
    chosen = make_options(time="ts", window="1h", by=["city"])
    reference = scan(log / "reference.parquet", make_options(time="ts", by=["city"]))
    kept: list[bytes] = []
    data = str(log / "log/*.parquet")
    scanned = scan(data, chosen, like=reference, parts=Parts(keep=kept.append, every=0, share=0.02))
    assert not kept
    assert scanned.digest == scan(data, chosen, like=reference).digest


def test_what_was_read_before_is_not_read_again_for_its_digest(log: Path) -> None:
    """Counted by the core: a scan that goes on hashes the row groups that are left, and besides only the rest."""
    chosen = make_options(time="ts", digests=True)
    reference = scan(log / "reference.parquet", make_options(time="ts"))
    data = str(log / "log/*.parquet")
    cost = json.loads(scan(data, chosen, like=reference)._core.cost_json())
    kept: list[bytes] = []

    def stop(content: bytes) -> None:
        kept.append(content)
        if len(kept) == 9:
            raise StopError

    with pytest.raises(StopError):
        scan(data, chosen, like=reference, parts=Parts(keep=stop, every=0))
    begun = Profile(tg._core.Profile.from_bytes(kept[-1]))
    again = scan(data, chosen, like=reference, parts=Parts(keep=kept.append, every=0, begun=begun))
    spent = json.loads(again._core.cost_json())
    assert spent["bytes_read_besides"] == cost["bytes_read_besides"]
    assert 0 < spent["bytes_hashed_while_reading"] < 0.3 * cost["bytes_hashed_while_reading"]


def test_a_checkpoint_whose_digests_do_not_fit_is_as_none(log: Path) -> None:
    """Taken without digests, or of other files: nothing that was not seen is told."""
    chosen = make_options(time="ts", digests=True)
    reference = scan(log / "reference.parquet", make_options(time="ts"))
    data = str(log / "log/*.parquet")
    whole = scan(data, chosen, like=reference)
    kept: list[bytes] = []
    scan(data, make_options(time="ts"), like=reference, parts=Parts(keep=kept.append, every=0))
    scan(str(log / "log/*01.parquet"), chosen, like=reference, parts=Parts(keep=kept.append, every=0))
    (log / "more").mkdir()
    daily(log / "more", 1, 50)
    scan(str(log / "more/*.parquet"), chosen, like=reference, parts=Parts(keep=kept.append, every=0))
    for content in (kept[5], kept[-1]):
        begun = Profile(tg._core.Profile.from_bytes(content))
        made = scan(data, chosen, like=reference, parts=Parts(keep=lambda _: None, every=0, begun=begun))
        assert told(made) == told(whole)


def test_a_column_that_fails_in_a_later_part_is_told_as_in_one_scan(log: Path) -> None:
    """The reference counts integers; from the fourth day on there are values that are none."""
    for path in sorted((log / "log").iterdir()):
        frame = pl.read_parquet(path).with_columns(
            k=pl.col("k").cast(pl.Float64) + (0.5 if path.stem > "2024-03-03" else 0)
        )
        frame.write_parquet(path, row_group_size=60, use_pyarrow=False)
    chosen = make_options(time="ts", window="1d", digests=True)
    reference = scan(log / "reference.parquet", chosen)
    whole = scan(str(log / "log/*.parquet"), chosen, like=reference)
    assert [p["kind"] for p in whole.info["problems"]] == ["inexact"]
    assert "row_digest_missing" in whole.info["sources"][0]
    for stops in (0, 1):
        made, _ = in_parts(str(log / "log/*.parquet"), chosen, reference, stops)
        assert made.digest == whole.digest
        assert told(made) == told(whole)


def test_unreadable_units_are_counted_once(log: Path) -> None:
    paths = sorted((log / "log").iterdir())
    for path in (paths[1], paths[4]):
        damage(path)
    reference = scan(log / "reference.parquet", make_options(time="ts"))
    allowed = make_options(time="ts", max_bad_units=2, digests=True)
    whole = scan(str(log / "log/*.parquet"), allowed, like=reference)
    assert len([p for p in whole.info["problems"] if p["kind"] == "unit"]) == 2
    for stops in (0, 1):
        made, _ = in_parts(str(log / "log/*.parquet"), allowed, reference, stops)
        assert told(made) == told(whole)
        with pytest.raises(tg.errors.InputError, match="row group 0"):
            in_parts(str(log / "log/*.parquet"), make_options(time="ts", max_bad_units=1), reference, stops)


def test_progress_reaches_its_end_and_never_goes_back(log: Path) -> None:
    seen: list[tuple[int, int]] = []
    reference = scan(log / "reference.parquet", make_options())
    parts = Parts(keep=lambda _: None, every=0)
    scan(str(log / "log/*.parquet"), make_options(), like=reference, parts=parts, progress=lambda *n: seen.append(n))
    assert seen[-1][0] == seen[-1][1]
    assert seen == sorted(seen)


def test_a_run_takes_up_what_a_killed_one_finished(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process reads only what the first did not finish."""
    from tidegauge import _work

    config = write_config(log, store="none", more="[scan]\ncheckpoint = 0")
    expected = tg.run(config)
    undisturbed = tree(log / "out")
    kept = 0
    write = _work.write_checkpoint

    def few(path: Path, content: bytes) -> None:
        nonlocal kept
        write(path, content)
        kept += 1
        if kept == 6:
            raise StopError

    monkeypatch.setattr("tidegauge._work.write_checkpoint", few)
    with pytest.raises(StopError):
        tg.run(config)
    folder = log / "out" / ".tidegauge"
    assert len(list(folder.iterdir())) == 2  # the reference, and what is finished of the log
    begun = next(Profile.load(p) for p in folder.iterdir() if "-current-" in p.name)
    assert 0 < begun.rows < expected.current.rows
    read: list[tuple[int, int]] = []
    again = tg.run(config, progress=lambda *n: read.append(n))
    stored = sum(p.stat().st_size for p in (log / "log").iterdir())
    assert max(total for _, total in read) < 0.7 * stored
    assert again.record["result_digest"] == expected.record["result_digest"]
    assert again.record["record_digest"] == expected.record["record_digest"]
    assert again.record["inputs"]["current"]["row_digest"]["digest"] is not None
    assert not folder.exists()
    now = tree(log / "out")
    assert now.keys() == undisturbed.keys()
    assert now["rows.parquet"] == undisturbed["rows.parquet"]
    assert without_times(again.record) == without_times(expected.record)
    anew = []
    monkeypatch.setattr("tidegauge._work.write_checkpoint", lambda *made: anew.append(made) or write(*made))
    tg.run(config, resume=False)
    assert len(anew) == 13  # twelve row groups and the reference


def test_a_checkpoint_of_other_files_or_options_is_not_taken(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tidegauge import _work

    config = write_config(log, store="none", more="[scan]\ncheckpoint = 0")
    write, count = _work.write_checkpoint, iter(range(100))

    def few(path: Path, content: bytes) -> None:
        write(path, content)
        if next(count) == 6:
            raise StopError

    for change in ("touch", "options"):
        count = iter(range(100))
        monkeypatch.setattr(_work, "write_checkpoint", few)
        with pytest.raises(StopError):
            tg.run(config)
        monkeypatch.setattr(_work, "write_checkpoint", write)
        first = min((log / "log").iterdir())
        if change == "touch":
            frame = pl.read_parquet(first).with_columns(x=pl.col("x") + 1)
            frame.write_parquet(first, row_group_size=60, use_pyarrow=False)
        given = [] if change == "touch" else ['roles.exclude=["k"]']
        resumed = tg.run(config, overrides=given)
        fresh = tg.run(config, overrides=given, resume=False)
        assert resumed.record["result_digest"] == fresh.record["result_digest"]


def test_a_damaged_checkpoint_is_as_none(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tidegauge import _work

    config = write_config(log, store="none", more="[scan]\ncheckpoint = 0")
    expected = tg.run(config).record["result_digest"]
    write, count = _work.write_checkpoint, iter(range(100))

    def few(path: Path, content: bytes) -> None:
        write(path, content)
        if next(count) == 6:
            raise StopError

    monkeypatch.setattr(_work, "write_checkpoint", few)
    with pytest.raises(StopError):
        tg.run(config)
    monkeypatch.setattr(_work, "write_checkpoint", write)
    for path in (log / "out" / ".tidegauge").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert tg.run(config).record["result_digest"] == expected


def test_short_runs_keep_nothing(log: Path) -> None:
    config = write_config(log, store="none")
    tg.run(config)
    assert {p.name for p in (log / "out").iterdir()} == {"report.json", "rows.parquet"}


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that takes seconds: forty links to one file, of the same rows."""
    folder = tmp_path_factory.mktemp("long")
    rows_of(25, 300, seed=7).write_parquet(folder / "reference.parquet")
    first = daily(folder / "log", 1, 200_000, groups=4)[0]
    for i in range(60):
        (folder / "log" / f"{i:03}.parquet").hardlink_to(first)
    write_config(folder, store="none", more="[scan]\ncheckpoint = 0.05\nthreads = 1")
    return folder


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_a_checkpoint_and_the_next_run_goes_on(long: Path, sent: signal.Signals, code: int) -> None:
    config = long / "tidegauge.toml"
    with subprocess.Popen([*MAIN, "run", str(config), "-q"], stderr=subprocess.PIPE, text=True) as process:
        folder = long / "out" / ".tidegauge"
        deadline = time.monotonic() + 120
        while not list(folder.glob("*-current-*.tgp")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(sent)
        _, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert "a checkpoint is kept: the same command goes on from there" in err
    assert [p for p in (long / "out").iterdir() if p != folder] == []
    begun = next(Profile.load(p) for p in folder.glob("*-current-*.tgp"))
    assert begun.rows > 0
    done = command(config)
    assert done.returncode in (0, 1), done.stderr
    assert record_of(long)["result"]["current"]["rows"] == 61 * 200_000
    for path in (long / "out").glob("r*"):
        path.unlink()


def test_a_second_signal_stops_at_once(long: Path) -> None:
    """While the first one is dealt with, the second ends the process by the kernel's own hand."""
    code = f"""
import signal, os, time
import tidegauge.cli as cli
import tidegauge._run as _run
def stuck(*args, **kwargs):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
_run.run = stuck
cli.main(["run", {str(long / "tidegauge.toml")!r}])
"""
    began = time.monotonic()
    done = subprocess.run([MAIN[0], "-c", code], check=False, timeout=50)
    assert done.returncode == -signal.SIGINT
    assert time.monotonic() - began < 40


def test_killed_at_many_points_of_time(log: Path) -> None:
    """SIGKILL after ever longer times, in place: each run goes on from the last, and the end is that of one run."""
    config = write_config(log, store="none", more="[scan]\ncheckpoint = 0")
    command(config)
    expected = record_of(log)
    for path in (log / "out").iterdir():
        path.unlink()
    delays = [0.15 + 0.06 * i for i in range(16)]
    for delay in delays:
        with subprocess.Popen(
            [*MAIN, "run", str(config), "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as p:
            time.sleep(delay)
            p.kill()
        # Renamed one after the other: each that is there is whole.
        for path in (log / "out").glob("report.json"):
            assert without_times(json.loads(path.read_text())) == without_times(expected)
    assert command(config).returncode in (0, 1)
    assert without_times(record_of(log)) == without_times(expected)
