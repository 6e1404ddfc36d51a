"""Two reports as the models to compare: their logs, if they are unchanged, joined by the rows' names."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from tidegauge.cli import invoke
from tidegauge.errors import UsageError, VerificationError


@pytest.fixture
def reports(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs on the same loans, in another order and in several files, with scores of two models."""
    rng = np.random.default_rng(4)
    n = 3000
    signal = rng.normal(size=n)
    rows = pl.DataFrame({
        "loan": np.arange(n),
        "default": (signal + rng.normal(size=n) > 1).astype(int),
        "old": 1 / (1 + np.exp(-signal - rng.normal(size=n))),
        "new": 1 / (1 + np.exp(-signal - 0.5 * rng.normal(size=n))),
    })  # fmt: skip
    rows.select("loan", "default", "old").write_parquet(tmp_path / "old.parquet")
    later = rows.select("loan", "default", score="new").sample(fraction=1, shuffle=True, seed=1)
    (tmp_path / "new").mkdir()
    for i in range(3):
        later[i * 1000 : (i + 1) * 1000].write_parquet(tmp_path / "new" / f"{i}.parquet")
    made = []
    for name, data, score in (("old", "old.parquet", "old"), ("new", "new/*.parquet", "score")):
        config = tmp_path / f"{name}.toml"
        config.write_text(f"""
[model]
name = "loans"
version = "{name}"
[reference]
path = "{data}"
[current]
path = "{data}"
[roles]
id = "loan"
label = "default"
score = "{score}"
[output]
files = ["{name}/report.json"]
""")
        tg.run(config)
        made.append(tmp_path / name / "report.json")
    return made[0], made[1]


def test_two_reports_are_their_logs(reports: tuple[Path, Path]) -> None:
    """The same numbers as from the tables; columns and key come from the roles, names from the models."""
    folder = reports[0].parents[1]
    found = tg.compare_models(reports[0], other=reports[1], max_drop={"roc_auc": 0.01})
    by_hand = tg.compare_models(
        str(folder / "old.parquet"), other=str(folder / "new" / "*.parquet"), label="default", a="old", b="score",
        key="loan", max_drop={"roc_auc": 0.01},
    )  # fmt: skip
    assert found.rows == by_hand.rows
    assert (found.a, found.b, found.n_compared) == ("loans old", "loans new", 3000)
    assert found.decision == "allow"
    written = folder / "comparison.md"
    line = ["compare-models", *map(str, reports), "--max-drop", "roc_auc=0.01", "-o", str(written), "-q"]
    assert invoke(line) == 0
    assert "loans new" in written.read_text()


def test_a_report_beside_a_table(reports: tuple[Path, Path]) -> None:
    folder = reports[0].parents[1]
    table = pl.read_parquet(folder / "new" / "*.parquet")
    found = tg.compare_models(reports[0], other=table, b="score")
    assert found.rows == tg.compare_models(reports[0], other=reports[1]).rows


def test_what_was_changed_since_is_no_log_of_the_report(reports: tuple[Path, Path]) -> None:
    path = reports[1].parents[1] / "new" / "1.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(VerificationError, match=r"new/1\.parquet: .* changed"):
        tg.compare_models(reports[0], other=reports[1])
    record = json.loads(reports[0].read_text())
    record["result"]["verdict"] = "ok" if record["result"]["verdict"] != "ok" else "fail"
    reports[0].write_text(json.dumps(record))
    with pytest.raises(VerificationError, match="its digest does not hold"):
        tg.compare_models(reports[0], other=reports[1])


def test_what_cannot_be_compared_is_refused_by_name(reports: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one report; accepted are two"):
        tg.compare_models(reports[0])
    config = reports[0].parents[1] / "old.toml"
    config.write_text(
        config.read_text().replace('path = "old.parquet"\n[roles]', 'path = "old.parquet"\nwhere = "loan > 9"\n[roles]')
    )
    tg.run(config)
    with pytest.raises(UsageError, match="the report judges rows behind where"):
        tg.compare_models(reports[0], other=reports[1])
    with pytest.raises(UsageError, match="label is not given; accepted is the name of a column"):
        tg.compare_models({"a": [1.0], "b": [2.0]}, a="a", b="b")
