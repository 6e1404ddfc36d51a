"""Joint statistics as part of a comparison: the numbers of tg.stats on the rows of tg.row_sample, and no row kept."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from tidegauge.errors import UsageError

LOG = Path(__file__).parents[2] / "examples" / "nycflights13"
ALL = ["classifier_test", "energy_multivariate", "mmd", "pca_reconstruction"]
N = 3000


def table(seed: int, correlation: float, n: int = N) -> pl.DataFrame:
    """Two columns that move together as much as is asked for, with margins that never change, and others."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    return pl.DataFrame({
        "a": a, "b": correlation * a + np.sqrt(1 - correlation**2) * b, "quiet": rng.normal(size=n),
        "kind": rng.choice(["u", "v", "w"], n), "key": [f"secret-{seed}-{i}" for i in range(n)],
    })  # fmt: skip


REFERENCE, SAME, TURNED = table(1, 0.8), table(2, 0.8), table(3, -0.8)


def joint(report: tg.Report) -> dict[str, dict[str, Any]]:
    return {row["statistic"]: row for row in report.rows if row["kind"] == "joint" and row["statistic"] in ALL}


def test_what_no_column_shows_alone() -> None:
    options: dict[str, Any] = {"id": "key", "joint": {"statistics": ALL, "rows": 1500, "key": "key"}}
    quiet, moved = (tg.drift(REFERENCE, current, **options) for current in (SAME, TURNED))
    # Margins do not change, so no column is found.
    assert {row["verdict"] for row in moved.verdicts} == {"ok"}
    for row in joint(moved).values():
        assert (row["feature"], row["baseline"], row["decides"], row["verdict"]) == ("*", "reference", False, None)
        assert (row["exactness"], row["variance"], row["n_reference"], row["n_current"]) == (
            "estimated",
            "iid",
            1500,
            1500,
        )
        assert row["pvalue"] <= 0.005
        assert "a sample of 1,500 of 3,000 rows of the reference and 1,500 of 3,000 now" in row["message"]
    assert all(row["pvalue"] > 0.005 for row in joint(quiet).values())
    told = joint(moved)["classifier_test"]
    assert told["ci_low"] > 0.7
    named = told["message"].partition("told apart by ")[2]
    assert named.startswith(("a (", "b ("))
    assert "quiet" not in named
    assert "no feature tells the samples apart" in joint(quiet)["classifier_test"]["message"]
    assert quiet.verdict == moved.verdict == "ok"


def test_the_numbers_of_the_functions_on_the_rows_of_the_sample() -> None:
    settings = {"statistics": ALL, "rows": 700, "key": "key", "random_state": 5, "permutations": 99}
    found = joint(tg.drift(REFERENCE, TURNED, id="key", joint=settings, alpha=0.1))
    x, y = (tg.row_sample(side, k=700, row_key="key", random_state=5) for side in (REFERENCE, TURNED))
    columns: dict[str, Any] = {"columns": ["a", "b", "quiet", "kind"], "random_state": 5}
    for name in ALL:
        more: dict[str, Any] = {"permutations": 99} if name in ("mmd", "energy_multivariate") else {"alpha": 0.1}
        expected = getattr(tg.stats, name)(x, y, **columns, **more)
        row = found[name]
        assert (row["value"], row["pvalue"]) == (expected.statistic, expected.pvalue), name
        if expected.ci is not None:
            assert (row["ci_low"], row["ci_high"]) == tuple(expected.ci)


def test_threads_files_and_order_change_nothing(tmp_path: Path) -> None:
    settings = {"statistics": ["mmd", "pca_reconstruction"], "rows": 400}
    expected = joint(tg.drift(REFERENCE, TURNED, id="key", joint=settings))
    for name, frame in (("r", REFERENCE), ("c", TURNED)):
        shuffled = frame.sample(fraction=1.0, shuffle=True, seed=9)
        for i, part in enumerate(shuffled.iter_slices(701)):
            part.write_parquet(tmp_path / f"{name}{i}.parquet", row_group_size=200)
    for threads in (1, 3):
        paths = (str(tmp_path / "r*.parquet"), str(tmp_path / "c*.parquet"))
        assert joint(tg.drift(*paths, id="key", threads=threads, joint=settings)) == expected
    assert joint(tg.drift(REFERENCE.lazy(), TURNED.lazy(), id="key", joint=settings)) == expected


@pytest.fixture(scope="module")
def log() -> tg.Report:
    options: dict[str, Any] = {
        "time": "ts", "window": "1mo", "time_zone": "America/New_York", "block": "1d", "until": "2013-08-01",
        "columns": ["ts", "temp", "dewp", "wind_speed", "origin"],
    }  # fmt: skip
    settings = {"statistics": ["classifier_test", "mmd"], "rows": 1000}
    return tg.drift(LOG / "reference.parquet", LOG / "current.parquet", joint=settings, **options)


def test_windows_and_blocks_of_a_real_log(log: tg.Report) -> None:
    rows = [row for row in log.rows if row["kind"] == "joint"]
    assert [(r["window_start"][:7], r["statistic"]) for r in rows] == [
        (month, name) for month in ("2013-06", "2013-07") for name in ("classifier_test", "mmd")
    ]
    for row in rows:
        assert (row["variance"], row["n_reference"], row["n_current"]) == ("block:1d", 1000, 1000)
        assert row["n_eff_reference"] == 61
        assert row["n_eff_current"] == (30 if row["window_start"].startswith("2013-06") else 31)
        assert row["pvalue"] <= 0.005
    zone = pl.col("ts").dt.convert_time_zone("America/New_York")
    june = pl.read_parquet(LOG / "current.parquet").filter(zone.dt.month() == 6)
    assert f"1,000 of {june.height:,} now" in rows[0]["message"]


def test_no_sampled_row_is_in_the_record_or_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    settings = {"statistics": ["mmd"], "rows": 300, "key": "key", "samples": str(folder)}
    report = tg.drift(REFERENCE, TURNED, id="key", joint=settings)
    for suffix in (".json", ".html", ".md", ".txt", ".ndjson"):
        text = report.render(suffix).decode()
        assert "mmd" in text
        assert "secret-" not in text, suffix
        assert str(folder) not in text
    assert report.record["result"]["configuration"]["joint"] == {"statistics": ["mmd"], "rows": 300, "key": "key"}
    # The files hold them, and one of the reference stands in for its data.
    kept = pl.read_parquet(folder / "reference.parquet")
    assert kept["key"].str.starts_with("secret-1-").all()
    profile = report.reference
    settings["reference_sample"] = str(folder / "reference.parquet")
    again = joint(tg.drift(profile, TURNED, joint=settings))["mmd"]
    first = joint(report)["mmd"]
    assert (again["value"], again["pvalue"]) == (first["value"], first["pvalue"])


def test_limits_decide_and_checks_see_the_rows(tmp_path: Path) -> None:
    REFERENCE.write_parquet(tmp_path / "r.parquet")
    TURNED.write_parquet(tmp_path / "c.parquet")
    text = """
[reference]
path = "r.parquet"
[current]
path = "c.parquet"
[roles]
id = "key"
[joint]
statistics = ["classifier_test", "mmd"]
rows = 800
[joint.tolerances]
classifier_test = { warn = 0.55, fail = 0.6 }
"""
    (tmp_path / "c.toml").write_text(text)
    report = tg.run(tmp_path / "c.toml")
    row = joint(report)["classifier_test"]
    assert (row["decides"], row["verdict"], row["fail_at"], row["threshold_source"]) == (
        True,
        "fail",
        0.6,
        "configuration",
    )
    assert joint(report)["mmd"]["decides"] is False
    assert (report.verdict, report.exit_code()) == ("fail", 1)
    assert [v["feature"] for v in report.failed] == ["*"]
    mild = tg.run(tmp_path / "c.toml", overrides=["joint.tolerances.classifier_test={ warn = 0.9, fail = 0.95 }"])
    assert (joint(mild)["classifier_test"]["verdict"], mild.verdict) == ("ok", "ok")
    # Two that decide share the level: intervals widen.
    two = tg.run(tmp_path / "c.toml", overrides=["joint.tolerances.mmd={ warn = 0.001, fail = 0.002 }"])
    wide, narrow = joint(two)["classifier_test"], row
    assert wide["ci_low"] < narrow["ci_low"] < narrow["ci_high"] < wide["ci_high"]
    assert joint(two)["mmd"]["verdict"] == "fail"
    (tmp_path / "d.toml").write_text(
        text.replace("[joint.tolerances]\nclassifier_test = { warn = 0.55, fail = 0.6 }\n", "")
        + '[[checks]]\nfeature = "*"\nstatistic = "classifier_test"\nmax = 0.6\n'
    )
    checked = tg.run(tmp_path / "d.toml")
    (check,) = [r for r in checked.rows if r["statistic"] == "check"]
    assert (check["verdict"], check["definition"]) == ("fail", "check/classifier_test/v1")
    assert "Rows as a whole" in checked.render(".html").decode()


@pytest.mark.parametrize(
    ("joint", "options", "message"),
    [
        ("mdm", {}, "joint.statistics.*: 'mdm' is not accepted; did you mean 'mmd'"),
        ({"statistics": ["mmd"], "row": 5}, {}, r"unknown key 'joint.row'; did you mean 'rows'\?"),
        ({"statistics": ["mmd"], "rows": 5}, {}, "joint.rows: 5: expected 'int' >= 20"),
        ({"statistics": ["mmd"], "columns": ["z"]}, {}, "joint.columns: 'z' is not in the reference; it has a"),
        ({"statistics": ["mmd"], "tolerances": {"classifier_test": {"warn": 0, "fail": 1}}}, {}, "not among the stat"),
        ({"statistics": ["mmd"], "key": "nobody"}, {}, "nobody"),
    ],
)  # fmt: skip
def test_what_is_refused(joint: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tg.drift(REFERENCE, SAME, joint=joint, **options)


def test_data_without_rows_to_sample_is_refused_before_it_is_read() -> None:
    profile = tg.profile(REFERENCE)
    with pytest.raises(UsageError, match=r"rows of the reference data, and a profile holds none; .* reference_sample"):
        tg.drift(profile, SAME, joint="mmd")
    with pytest.raises(UsageError, match="rows of the current data, and a profile holds none"):
        tg.drift(REFERENCE, profile, joint="mmd")
    import pyarrow as pa

    stream = pa.RecordBatchReader.from_stream(SAME.to_arrow())
    with pytest.raises(UsageError, match="read the current data again, and RecordBatchReader may come once"):
        tg.drift(REFERENCE, stream, joint="mmd")
    assert stream.read_all().num_rows == N


def test_what_cannot_be_computed_is_told_by_its_row() -> None:
    days = pl.Series([dt.datetime(2023, 1, 1 + i % 25) for i in range(N)])
    one = SAME.with_columns(t=pl.lit(dt.datetime(2024, 1, 1)))
    rows = joint(tg.drift(REFERENCE.with_columns(t=days), one, time="t", block="1d",
                          joint=["mmd"]))  # fmt: skip
    assert (rows["mmd"]["value"], rows["mmd"]["exactness"]) == (None, None)
    assert "blocks" in rows["mmd"]["message"]
    other = joint(tg.drift(REFERENCE, SAME.with_columns(pl.col("a").cast(pl.String)), joint=["mmd"]))["mmd"]
    # The schema row fails; the other columns are compared without it.
    assert other["value"] is not None
    assert "without 'a', which the current data lack or hold as another type" in other["message"]
    gone = joint(tg.drift(REFERENCE, SAME.drop("a"), joint={"statistics": ["mmd"], "rows": 200}))["mmd"]
    assert gone["value"] is not None
    assert "without 'a', which the current data lack" in gone["message"]


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tidegauge.cli import invoke

    REFERENCE.write_parquet(tmp_path / "r.parquet")
    TURNED.write_parquet(tmp_path / "c.parquet")
    call = ["drift", str(tmp_path / "r.parquet"), str(tmp_path / "c.parquet"), "--id", "key"]
    more = ["--joint", "mmd,pca_reconstruction", "--joint-rows", "500", "--joint-key", "key", "--format", "json", "-q"]
    assert invoke([*call, *more]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["result"]["configuration"]["joint"] == {
        "statistics": ["mmd", "pca_reconstruction"], "rows": 500, "key": ["key"],
    }  # fmt: skip
    assert invoke([*call, "--joint-rows", "500"]) == 2
    assert "--joint-rows and --joint-key need --joint" in capsys.readouterr().err
    assert invoke([*call, "--joint", "mmd", "-q"]) == 0
    assert "Rows as a whole\n  mmd all rows: " in capsys.readouterr().out


def test_the_configuration_of_the_page_is_accepted() -> None:
    from tidegauge import config

    text = (Path(__file__).parents[2] / "docs" / "joint.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    given = {"reference": {"path": "a.parquet"}, "current": {"path": "b.parquet"}, **tomllib.loads(block)}
    settings = config.load(given).joint
    assert (settings.statistics, settings.rows) == (["classifier_test", "mmd"], 5000)
    assert settings.tolerances["classifier_test"].fail == 0.7
