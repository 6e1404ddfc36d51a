"""Configurations: strict, with messages that say what would be accepted."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tidegauge as tg
from tidegauge import config
from tidegauge.errors import ConfigError, InputError, UsageError

MINIMAL = {"reference": {"path": "a.parquet"}, "current": {"path": "b.parquet"}}
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/tidegauge.toml"))


def with_(**sections: object) -> dict[str, object]:
    return {**MINIMAL, **sections}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_examples_are_accepted(path: Path) -> None:
    settings = config.load(path)
    assert Path(settings.path("reference.parquet")) == path.parent / "reference.parquet"
    assert settings.as_written == path.read_text()


def test_examples_exist() -> None:
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (with_(outptu={}), r"unknown key 'outptu'; did you mean 'output'\? \(accepted here: reference, current, "),
        (with_(roles={"tiem": "ts"}), r"unknown key 'roles.tiem'; did you mean 'time'\?"),
        (
            with_(columns={"w*": {"tolerence": {}}}),
            r"unknown key '[^']*w\*\"?.tolerence'; did you mean 'tolerance'\?",
        ),
        (
            with_(columns={"w": {"tolerance": {"warn": 1}}}),
            r'columns."w".tolerance: key \'fail\' is missing',
        ),
        (with_(current={"path": "b", "baselines": ["rolling4"]}), r"baselines: 'rolling4'; did you mean 'rolling:4'\?"),
        (with_(current={"path": "b", "decided_by": ["rest"]}), r"decided_by: 'rest' is not among the baselines"),
        (with_(decisions={"consecutve": 2}), r"unknown key 'decisions.consecutve'; did you mean 'consecutive'\?"),
        (with_(decisions={"calibrated": {"warn": 2}}), r"decisions.calibrated.warn: 2: expected 'float' < 1"),
        (
            with_(decisions={"over_time": "lord"}),
            r"decisions.over_time: 'lord' is not accepted \(accepted here: 'window', 'online_fdr', 'sequential'\)",
        ),
        (
            with_(checks=[{"feature": "x", "statistic": "psi", "maximum": 1}]),
            r"unknown key 'checks\[0\].maximum'; did you mean 'max'\?",
        ),
        (with_(checks=[{"feature": "x", "max": 1}]), r"checks\[0\]: key 'statistic' is missing"),
        (
            with_(current={"path": "b", "window": "2d"}),
            r"current.window: '2d' is not accepted \(accepted here: '1h', '1d', '1w', '1mo'\)",
        ),
        (with_(scan={"threads": 0}), r"scan.threads: 0: expected 'int' >= 1"),
        (with_(output={"fail_on": "nevr"}), r"output.fail_on: 'nevr' is not accepted; did you mean 'never'\?"),
        (
            with_(joint={"statistics": ["mmd", "mdd"]}),
            r"joint.statistics\[1\]: 'mdd' is not accepted; did you mean 'mmd'",
        ),
        (
            with_(columns={"w": {"tolerances": {"ks": {"warn": "a", "fail": 1}}}}),
            r'columns."w".tolerances."ks".warn: \'a\': expected',
        ),
        ({"current": {"path": "b"}}, r"key 'reference' is missing"),
        (with_(base="/"), r"unknown key 'base'"),
    ],
)
def test_refusals_name_key_and_what_is_accepted(data: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        config.load(data)


def test_refusals_are_usage_errors() -> None:
    with pytest.raises(UsageError):
        config.load({})


def test_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOGS", "s3://bucket")
    path = tmp_path / "tidegauge.toml"
    path.write_text('[reference]\npath = "a"\n[current]\npath = "${LOGS}/x.parquet"\nwhere = "a = \'$${b}\'"\n')
    settings = config.load(path)
    assert settings.current.path == "s3://bucket/x.parquet"
    assert settings.current.where == "a = '${b}'"
    assert "${LOGS}" in str(settings.as_written)
    assert settings.path(str(settings.current.path)) == "s3://bucket/x.parquet"
    monkeypatch.delenv("LOGS")
    with pytest.raises(ConfigError, match=r"current.path: environment variable LOGS is not set"):
        config.load(path)


def test_formats_are_equal(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text('[reference]\npath = "a"\n[current]\npath = ["b", "c"]\nsince = "2013-06-01"\n')
    (tmp_path / "t.yaml").write_text("reference: {path: a}\ncurrent: {path: [b, c], since: 2013-06-01}\n")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.tidegauge.reference]\npath = "a"\n[tool.tidegauge.current]\npath = ["b", "c"]\nsince = "2013-06-01"\n'
    )
    read = [config.load(tmp_path / name) for name in ("t.toml", "t.yaml", "pyproject.toml")]
    assert len({str((s.reference, s.current)) for s in read}) == 1


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("t.toml", "[reference\n", r"t\.toml: expected"),
        ("t.yaml", "a: [", r"t\.yaml: "),
        ("t.yaml", "- a\n", r"holds list; accepted is a table"),
        ("t.ini", "", r"extension '.ini'; accepted are .toml, .yaml, .yml"),
        ("pyproject.toml", "", r"no section \[tool.tidegauge\]"),
    ],
)
def test_unreadable_text(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=told):
        config.load(tmp_path / name)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: no such file or directory"):
        config.load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("override", "section", "value"),
    [
        ("current.window=1w", "current.window", "1w"),
        ("scan.threads=2", "scan.threads", 2),
        ('current.by=["a", ["b", "c"]]', "current.by", ["a", ["b", "c"]]),
        ("current.path=logs/day=*/x.parquet", "current.path", "logs/day=*/x.parquet"),
    ],
)
def test_overrides(override: str, section: str, value: object) -> None:
    found: object = config.load(MINIMAL, overrides=[override])
    for name in section.split("."):
        found = getattr(found, name)
    assert found == value


def test_override_of_a_quoted_key() -> None:
    settings = config.load(MINIMAL, overrides=['columns."wind_*".tolerance={warn = 0.5, fail = 1}'])
    tolerance = settings.columns["wind_*"].tolerance
    assert tolerance is not None
    assert (tolerance.warn, tolerance.fail) == (0.5, 1.0)


@pytest.mark.parametrize("override", ["window", "=1", "a b=1"])
def test_bad_overrides(override: str) -> None:
    with pytest.raises(ConfigError, match="set "):
        config.load(MINIMAL, overrides=[override])


def test_schema_is_published_without_internals() -> None:
    schema = config.json_schema()
    assert json.loads(json.dumps(schema)) == schema
    properties = schema["$defs"]["Config"]["properties"]
    assert set(properties) == {
        "reference",
        "current",
        "preset",
        "model",
        "roles",
        "columns",
        "checks",
        "decisions",
        "waivers",
        "performance",
        "explain",
        "joint",
        "scan",
        "store",
        "output",
    }
    assert schema["$defs"]["Config"]["additionalProperties"] is False


def test_checks_of_a_run(tmp_path: Path) -> None:
    for name, low in (("a", 0), ("b", 10)):
        table = pa.table({"x1": [i % 30 + low for i in range(300)], "x2": [1, 2, 3] * 100})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    checks = [
        {"feature": "x*", "statistic": "range_violation", "max": 0.01},
        {"feature": "*", "statistic": "volume", "min": 0.5},
    ]
    sides = {side: {"path": str(tmp_path / f"{name}.parquet")} for side, name in (("reference", "a"), ("current", "b"))}
    data: dict[str, object] = {**sides, "checks": checks}
    report = tg.run(data)
    found = {row["feature"]: row for row in report.rows if row["statistic"] == "check"}
    assert {name: row["verdict"] for name, row in found.items()} == {"x1": "fail", "x2": "ok", "*": "ok"}
    assert found["x1"]["definition"] == "check/range_violation/v1"
    assert "above the maximum of 0.01" in found["x1"]["message"]
    assert report.exit_code() == 1
    assert report.record["result"]["configuration"]["checks"]
    with pytest.raises(ConfigError, match="'y\\*' matches no column"):
        tg.run({**data, "checks": [{"feature": "y*", "statistic": "psi", "max": 1}]})
    with pytest.raises(ConfigError, match="has no limit; accepted are min and max"):
        tg.run({**data, "checks": [{"feature": "x1", "statistic": "psi"}]})


def test_a_check_that_is_evaluated_nowhere_is_an_error(tmp_path: Path) -> None:
    """It could not fail, whatever happened, so it does not pass; of a pattern, one column is enough."""
    rng = np.random.default_rng(5)
    for side in ("a", "b"):
        frame = pl.DataFrame({"x1": rng.normal(size=500), "x2": rng.choice(["u", "v"], 500)})
        frame.write_parquet(tmp_path / f"{side}.parquet")
    data = {"reference": {"path": str(tmp_path / "a.parquet")}, "current": {"path": str(tmp_path / "b.parquet")}}
    limit = {"statistic": "ks", "max": 0.9}
    several = tg.run({**data, "checks": [{"feature": "x*", **limit}]})
    found = {row["feature"]: row["verdict"] for row in several.rows if row["statistic"] == "check"}
    assert found == {"x1": "ok", "x2": "not_evaluated"}
    assert several.exit_code() == 0
    for check in (
        {"feature": "x2", **limit},
        {"feature": "x1", "statistic": "roc_auc", "min": 0.5},
        {"feature": "x?", "statistic": "r2", "min": 0.5},
    ):
        report = tg.run({**data, "checks": [check]})
        [*rows] = [row for row in report.rows if row["statistic"] == "check"]
        assert {row["verdict"] for row in rows} == {"error"}, check
        assert all(row["message"].endswith("; the check is evaluated nowhere") for row in rows)
        assert report.exit_code() == report.exit_code("never") == 4


def test_a_name_that_was_meant_is_suggested(tmp_path: Path) -> None:
    """Above all of a sensitive column, which a slip of the pen would show."""
    pl.DataFrame({"income": [1.0, 2.0], "label": [0, 1]}).write_parquet(tmp_path / "a.parquet")
    path = str(tmp_path / "a.parquet")
    data = {"reference": {"path": path}, "current": {"path": path}}
    for roles in ({"sensitive": ["incmoe"]}, {"exclude": ["incmoe"]}, {"weight": "incmoe"}):
        with pytest.raises(UsageError, match='column "incmoe" does not exist; did you mean "income"'):
            tg.run({**data, "roles": roles})
    with pytest.raises(ConfigError, match="checks: 'lable' matches no column; did you mean 'label'"):
        tg.run({**data, "checks": [{"feature": "lable", "statistic": "psi", "max": 1}]})
