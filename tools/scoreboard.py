"""The source of docs/scoreboard.md: case, wrong answer elsewhere, what packages answer when run, right answer, ours.

Cases and wrong answers were measured on the tools at the versions named, or read in their code; tests/scoreboard
asserts the right answers. Ours is computed here, and where a parity definition exists theirs too. Answers of the
packages themselves come from tests/oracle/peers, whose generate.py runs each in an environment of its own.

    python tools/scoreboard.py --peers [NAME ...]

makes those environments in a temporary folder (`NAME=INTERPRETER` takes one that is there), asks each package again,
and prints case, right answer, ours, and what it answers; a package that does not install here is named and left out.
It writes nothing, and exits 1 where an answer is not the one recorded.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

TOOLS = (
    "evidently 0.7.23, NannyML 0.13.1, alibi-detect 0.13.0, Frouros 0.9.0, whylogs 1.6.4, deepchecks 0.19.1, "
    "popmon 1.4.11, TensorFlow Data Validation 1.21, deequ 2.0, DataProfiler 0.13, scouter-ml 0.25.0"
)


class Case(NamedTuple):
    """One row of the page; `ours` computes the last column."""

    number: int
    case: str
    elsewhere: str
    right: str
    ours: Callable[[], str]


def normal(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, size=n)


def number(x: float) -> str:
    """Three significant digits: more than the next release of numpy's samplers will keep."""
    return f"{x:.3g}"


def statistic(name: str, x: Any, y: Any) -> Any:
    from tidegauge import stats

    return getattr(stats, name)(x, y)


def value(name: str, x: Any, y: Any) -> float:
    return float(statistic(name, x, y).statistic)


def theirs(name: str, x: Any, y: Any) -> str:
    from tidegauge import stats

    return number(stats.parity(name, x, y).statistic)


ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "tests" / "oracle" / "peers"


def run(case: int) -> str:
    """What packages answered to a case, each with its version."""
    told = []
    for path in sorted(PEERS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        answer = found["scoreboard"].get(str(case))
        if answer:
            told.append(f"{found['package']} {found['versions'][found['package']]}: {answer}")
    return "; ".join(told)


def rows(x: Any, y: Any) -> list[dict[str, Any]]:
    import pyarrow as pa
    import tidegauge as tg

    return list(tg.drift(pa.table({"x": x}), pa.table({"x": y})).rows)


def of(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(r for r in found if r["statistic"] == name and r["feature"] == "x")


def share(pvalues: list[float]) -> str:
    """False alarms at 5 %."""
    return f"{100 * np.mean(np.array(pvalues) < 0.05):.1f} % of {len(pvalues)} runs"


def outlier() -> str:
    x, y = normal(5000, 1), normal(5000, 2, 0.5)
    far = np.append(y[1:], 1e6)
    ours = " and ".join(number(value("psi", x, v)) for v in (y, far))
    formula = " and ".join(theirs("evidently.psi", x, v) for v in (y, far))
    return f"PSI {ours}; by Evidently's formula {formula}"


def homogeneity() -> str:
    rng, words = np.random.default_rng(3), np.array(list("abcde"))
    weights = [0.4, 0.25, 0.2, 0.1, 0.05]
    draw = lambda: rng.choice(words, 500, p=weights)  # noqa: E731
    p = [statistic("chi_square", draw(), draw()).pvalue for _ in range(2000)]
    return share(p)


def new_category() -> str:
    known = ["a", "b", "c", "d"] * 2500
    found = rows(known, [*known[1:], "z"])
    mass = of(found, "new_category_mass")
    return f"share {number(mass['value'])}, p = {number(mass['pvalue'])}, verdict {of(found, 'verdict')['verdict']}"


def mann_whitney() -> str:
    found = statistic("mann_whitney", normal(800, 1), normal(700, 2, -0.5))
    return f"p = {found.pvalue:.1e}"


def unequal_lengths() -> str:
    x, y = (["a"] * a + ["b"] * b for a, b in [(300, 200), (150, 150)])
    from scipy import stats

    table = [[300, 200], [150, 150]]
    right = (stats.chi2_contingency(table, lambda_="log-likelihood", correction=False), stats.fisher_exact(table))
    found = [statistic(name, x, y).pvalue for name in ("g_test", "fisher_exact")]
    assert all(math.isclose(a, b.pvalue, rel_tol=1e-9) for a, b in zip(found, right, strict=True))
    return f"scipy's, {number(found[0])} and {number(found[1])}"


def scaled() -> str:
    x, y = normal(2000, 3), normal(2000, 4, 0.1)
    both = " and ".join(number(value("energy_scaled", k * x, k * y)) for k in (1, 1000))
    constant = np.full(500, 1.0)
    return f"scaled {both}; constant reference: {value('wasserstein_scaled', constant, constant + 0.01)}, and says why"


def skewed() -> str:
    x, y = np.exp(3 * normal(20_000, 4)), np.exp(3 * normal(20_000, 5, 0.1))
    found = of(rows(x, y), "ks")
    return f"{value('ks', x, y):.4f} exact; profile {found['bound_low']:.4f} to {found['bound_high']:.4f}"


def no_drift() -> str:
    out = []
    for n in (2000, 200):
        found = [statistic("psi", normal(n, seed), normal(n, seed + 1)) for seed in range(0, 600, 2)]
        mean = np.mean([pair.statistic for pair in found])
        held = np.mean([pair.ci.low == 0 for pair in found])
        out.append(
            f"n = {n}: {number(mean)} in the mean, {number(found[0].value_if_no_change)} expected; {held:.1%} of 300 "
            "intervals hold 0"
        )
    return "; ".join(out)


def emptied() -> str:
    cells = list("abcdefghij")
    found = statistic("psi", cells * 1000, cells[:9] * 1111)
    return f"{number(found.statistic)} with `{str(found.message).split(':')[0]}` and the mass; does not decide alone"


def kuiper() -> str:
    x, y = normal(1500, 5), 2 * normal(1500, 6)
    return f"V = {number(value('kuiper', x, y))}, D = {number(value('ks', x, y))}"


def five_names() -> str:
    x, y = ["a"] * 6 + ["b"] * 4, ["a"] * 3 + ["b"] * 7
    named = ", ".join(
        f"`{name}` {theirs(name, x, y)}"
        for name in ("evidently.jensenshannon", "nannyml.jensen_shannon", "tfdv.jensen_shannon")
    )
    return f"{number(value('jensen_shannon', x, y))}; {named}"


def disjoint() -> str:
    return number(value("psi", normal(1000, 12), normal(1000, 13, 100)))


def fraud() -> str:
    n = 1_000_000
    return number(value("psi", np.arange(n) < 0.001 * n, np.arange(n) < 0.009 * n))


def totals() -> str:
    words = ["a"] * 500 + ["b"] * 300 + ["c"] * 200
    return (
        f"Jensen-Shannon {value('jensen_shannon', words, words * 10):g}, PSI {number(value('psi', words, words * 10))}"
    )


def missing() -> str:
    x = normal(2000, 14)
    x[:100] = np.nan
    more = x.copy()
    more[:200] = np.nan
    found = rows(x, more)
    return (
        f"{value('jensen_shannon', x, x):g}; with 10 % NaN missing_rate {number(of(found, 'missing_rate')['value'])}, "
        f"ks {of(found, 'ks')['verdict']}"
    )


def constant() -> str:
    same = np.full(1000, 7.5)
    return f"KS {value('ks', same, same):g}, p = {statistic('ks', same, same).pvalue:g}"


def both_sizes() -> str:
    rng = np.random.default_rng(7)
    p = [statistic("psi", *(rng.integers(0, 10, 5000).astype(str) for _ in range(2))).pvalue for _ in range(1000)]
    return share(p)


def thirty() -> str:
    found = rows(normal(5000, 23), normal(30, 24))
    seen = of(found, "ks")["minimum_detectable"]
    return f"{of(found, 'verdict')['verdict']}; a shift of {number(seen)} could have been seen"


def cells() -> str:
    return number(value("psi", normal(5000, 21), normal(5000, 22)))


def ties() -> str:
    x, y = (np.repeat([0.0, 1.0], [a, b]) for a, b in [(400, 600), (300, 450)])
    found = statistic("cramer_von_mises", x, y)
    assert math.isclose(found.statistic, 0, abs_tol=1e-12)
    return f"T = {found.statistic:g}, p = {number(found.pvalue)}"


def joint_level() -> str:
    from tidegauge import stats

    rng = np.random.default_rng(61)
    draw = lambda n: rng.normal(size=(n, 3))  # noqa: E731
    p = [stats.mmd(draw(40), draw(25), permutations=59, features=64, random_state=i).pvalue or 0 for i in range(400)]
    return f"{100 * np.mean(np.array(p) <= 0.05):.1f} % of {len(p)} runs"


def never_zero() -> str:
    from tidegauge import stats

    found = stats.mmd(normal(100, 1)[:, None], normal(100, 2, 5)[:, None], permutations=99)
    return f"p = {found.pvalue} of 99 permutations; the caller's random state stays"


def options() -> str:
    text = (ROOT / "tests" / "scoreboard" / "test_options.py").read_text(encoding="utf-8")
    assert "is not read" in text
    return "a sweep over the signatures: an option without a case fails"


def one_nan() -> str:
    import pyarrow as pa
    import tidegauge as tg

    hole = normal(1000, 6)
    hole[17] = np.nan
    reference = pa.table({"a": normal(1000, 7), "b": normal(1000, 8)})
    found = tg.drift(reference, pa.table({"a": hole, "b": normal(1000, 9, 5)})).rows
    verdict = {r["feature"]: r["verdict"] for r in found if r["statistic"] == "verdict"}
    rate = next(r["value"] for r in found if r["statistic"] == "missing_rate" and r["feature"] == "a")
    return f"b {verdict['b']}, a {verdict['a']} with missing_rate {number(rate)}"


def one_count() -> str:
    import pyarrow as pa
    import tidegauge as tg

    holed = tg.profile(pa.table({"a": np.append(normal(1000, 15), np.nan), "b": normal(1001, 16)}))
    plain = tg.profile(pa.table({"a": normal(1001, 15), "b": normal(1001, 16)}))
    same = [c for c in holed.info["columns"] if c in plain.info["columns"]]
    return f"one NaN counted in a; column {same[0]['name']} as it was"


def many_rows() -> str:
    import pyarrow as pa
    import tidegauge as tg

    part = pa.table({"x": pa.array(np.ones(100_000_000, bool))})
    first = tg.profile(part, source_id="0")
    whole = tg.merge([first, *(tg.profile(part, like=first, source_id=str(i)) for i in range(1, 23))])
    return f"{whole.rows:,} rows counted"


def one_more_row() -> str:
    decided = []
    for n in (1000, 1001):
        found = rows(normal(n, 17), normal(50, 18))
        decided.append([r["definition"] for r in found if r["decides"]])
    assert decided[0] == decided[1]
    return f"the same {len(decided[0])} definitions decide"


def ten_times() -> str:
    x, y = normal(20_000, 19), normal(20_000, 20, 0.02)
    answers = {repr(statistic("ks", x, y)) for _ in range(10)}
    return f"{len(answers)} answer in 10 runs"


def families() -> str:
    import pyarrow as pa
    import tidegauge as tg

    rng = np.random.default_rng(8)
    draw = lambda n: pa.table({f"c{i}": np.round(rng.normal(size=n), 3) for i in range(100)})  # noqa: E731
    reference = tg.profile(draw(5000))
    raised = raw = 0
    for _ in range(30):
        found = tg.compare(reference, tg.profile(draw(1000), like=reference)).rows
        raised += sum(r["statistic"] == "verdict" and r["verdict"] in ("warn", "fail") for r in found)
        raw += sum(r["statistic"] == "ks" and r["pvalue"] < 0.05 for r in found)
    return f"{raised} alarms in 30 windows, where {raw} raw p-values are below 5 %"


def harmless() -> str:
    import pyarrow as pa
    import tidegauge as tg
    from scipy import stats

    grid = stats.norm.ppf((np.arange(500_000) + 0.5) / 500_000)
    tables = [pa.table({"x": grid}), pa.table({"x": grid + 0.002})]
    first = tg.profile(tables[0])
    both = [
        tg.merge([tg.profile(t, like=first, source_id=f"{k} {i}") for i in range(40)]) for k, t in enumerate(tables)
    ]
    found = list(tg.compare(both[0], both[1]).rows)
    ks = of(found, "ks")
    told = f"p = {ks['pvalue']:.0e}, KS {number(ks['value'])}, {of(found, 'verdict')['verdict']}"
    return f"20 million rows, made here: {told}; [a billion, measured once](choosing.md)"


def single_precision() -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import tidegauge as tg

    wide = pq.read_table(ROOT / "examples" / "nycflights13" / "reference.parquet", columns=["temp", "wind_speed"])
    narrow = wide.cast(pa.schema([(name, pa.float32()) for name in wide.column_names]))
    found = [r for r in tg.drift(wide, narrow).rows if r["statistic"] == "psi"]
    return ", ".join(f"{r['feature']} PSI {r['value']:g}" for r in found)


def half_days() -> str:
    text = (ROOT / "docs" / "calibration" / "split_halves.md").read_text(encoding="utf-8")
    shares = sorted(float(x) for x in re.findall(r"\| (\d+\.\d) % \|", text))
    return f"{shares[0]} to {shares[-1]} % over {len(shares)} columns, 400 splits"


def heavy() -> str:
    import pyarrow as pa
    import tidegauge as tg

    rng = np.random.default_rng(25)
    mass = 1 / np.arange(1, 200_001) ** 1.1
    drawn = rng.choice(200_000, 400_000, p=mass / mass.sum())
    made = tg.profile(pa.table({"x": pa.array(drawn).cast(pa.string())}), exclude=[])
    needed = int((np.bincount(drawn) * 1024 >= len(drawn)).sum())
    held = next(c["cells"] for c in made.info["columns"] if c["name"] == "x")
    return f"{held} values counted on their own, {needed} hold 1 / 1,024 or more"


def frames() -> str:
    import pandas as pd
    import tidegauge as tg

    frame = pd.DataFrame({"x": normal(500, 26), "mixed": ["a"] * 499 + [7]})
    found = tg.drift(frame.assign(mixed="a"), frame.sample(frac=1, random_state=1)).rows
    errors = [r["feature"] for r in found if r["verdict"] == "error"]
    assert not [r for r in found if "index" in r["feature"]]
    return f"no index column; one error row, {errors[0]}, names the value"


def frozen() -> str:
    import pyarrow as pa
    import tidegauge as tg

    def days(count: int, shifted: int) -> pa.Table:
        rng = np.random.default_rng(9)
        ts = np.datetime64("2024-01-01", "us") + np.arange(count * 144) * np.timedelta64(10, "m")
        data: dict[str, Any] = {"ts": ts}
        for i in range(100):
            data[f"c{i}"] = rng.normal(size=count * 144) + 3 * ((np.arange(count * 144) < 144) & (i < shifted))
        return pa.table(data)

    reference = tg.profile(days(30, 0), time="ts")
    raised = []
    for count in (1, 30):
        found = tg.compare(reference, tg.profile(days(count, 3), like=reference, window="1d")).rows
        first = [r for r in found if str(r["window_start"]).startswith("2024-01-01") and r["statistic"] == "verdict"]
        raised.append({r["feature"] for r in first if r["verdict"] == "fail"})
    return f"{len(raised[0])} alarms on day 1, {len(raised[0] - raised[1])} withdrawn by day 30"


def attributions() -> str:
    import tidegauge as tg

    def importances(scale: np.ndarray, rows: int, seed: int) -> Any:
        """Of the model that knows the labels but for noise: in proportion to the squared scales."""
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(rows, len(scale))) * scale
        y = x.sum(axis=1) + rng.normal(size=rows)
        return tg.permutation_importance(lambda x: x.sum(axis=1), x, y, scoring="neg_mean_squared_error")

    def told(before: np.ndarray, after: np.ndarray, rows: int) -> str:
        found = tg.importance_drift(importances(before, rows, 1), importances(after, rows, 2))
        ndcg = next(row["value"] for row in found.rows if row["statistic"] == "compatibility_ndcg")
        return f"NDCG {number(ndcg)}, {len(found.changed)} of {len(before)} features changed"

    three, ten = np.array([2.0, 1.0, 0.5]), np.array([1.4**0.5, *np.ones(9)])
    fallen = np.array([0.3, *ten[1:]])
    return f"{told(three, three * 0.1**0.5, 2000)}; {told(ten, fallen, 20_000)}"


def leaning(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels that need the first two of three features."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return x, 2 * x[:, 0] + x[:, 1] + rng.normal(size=rows)


def some_rows() -> str:
    import tidegauge as tg
    from sklearn.linear_model import LinearRegression

    x, y = leaning(20_000, 28)
    model = LinearRegression(fit_intercept=False).fit(np.eye(3), [2.0, 1.0, 0.0])
    found = [
        tg.permutation_importance(model, x, y, scoring="neg_mean_squared_error", max_rows=500, random_state=k)
        for k in range(20)
    ]
    return f"{sum(f.importances_mean[2] == 0.0 for f in found)} of 20 samples of 500 give 0"


def grouped() -> str:
    import tidegauge as tg

    x, y = leaning(400, 29)
    before = x.copy()
    groups: dict[str, list[str | int]] = {"all": [0, 1, 2], "used": [0, 1], "unused": [2]}
    model = lambda x: 2 * x[:, 0] + x[:, 1]  # noqa: E731
    found = tg.permutation_importance(model, x, y, scoring="neg_mean_squared_error", groups=groups)
    assert np.array_equal(before, x)
    told = ", ".join(f"{name} {number(v)}" for name, v in zip(groups, found.importances_mean, strict=True))
    return f"{told}; the caller's rows as they were"


def intervals() -> str:
    import tidegauge as tg
    from sklearn.linear_model import LinearRegression

    model = LinearRegression(fit_intercept=False).fit(np.eye(3), [2.0, 1.0, 0.4])
    held = rejected = 0
    for seed in range(500):
        found = tg.permutation_importance(model, *leaning(300, 30_000 + seed), scoring="neg_mean_squared_error")
        held += found.interval[0, 0] <= 8.0 <= found.interval[0, 1]
        rejected += found.pvalue[2] < 0.05
    return f"holds {held / 5:.1f} % of 500; a true null rejected in {rejected / 5:.1f} %"


def slice_bound() -> str:
    import tidegauge as tg

    rng = np.random.default_rng(31)
    codes = rng.integers(0, 6, size=(20_000, 12))
    weak = (codes[:, 1] == 2) & (codes[:, 4] == 3)
    errors = rng.exponential(size=20_000) * np.where(weak, 3.0, 1.0)
    found = tg.top_slices(codes, errors, k=4, alpha=0.95, min_support=200)
    counted, admitted = found.counted
    return f"the same {len(found.slices)} slices after {counted:,} of {admitted:,} candidates of three conditions"


def row_groups() -> str:
    import tempfile

    import polars as pl
    import tidegauge as tg
    from sklearn.tree import DecisionTreeRegressor

    x, y = leaning(5000, 33)
    order = np.argsort(x[:, 0])
    x, y = x[order], y[order]
    rows = pl.DataFrame(x, schema=[f"column_{j}" for j in range(3)])
    model = DecisionTreeRegressor(max_leaf_nodes=60, random_state=0).fit(rows, y)
    data = rows.with_columns(y=pl.Series(y))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sorted.parquet"
        data.write_parquet(path, row_group_size=500)
        files = tg.permutation_importance(model, path, "y", scoring="neg_mean_squared_error")
    memory = tg.permutation_importance(model, rows, y, scoring="neg_mean_squared_error")
    return f"{100 * files.importances_mean[0] / memory.importances_mean[0]:.0f} % of the importance in memory"


def windows_of_the_reference() -> str:
    import polars as pl
    import tidegauge as tg

    rng, columns, days = np.random.default_rng(11), 20, 8
    raised, judged = 0, 0
    for _ in range(4):
        moods = [rng.normal(0, 0.3, 39 + days) for _ in range(columns)]

        def log(first: int, last: int, moods: list[np.ndarray] = moods) -> pl.DataFrame:
            day = np.repeat(np.arange(first, last), 100)
            frame = {"ts": pl.Series(day * 86_400_000_000).cast(pl.Datetime("us"))}
            for i, mood in enumerate(moods):
                frame[f"x{i}"] = pl.Series(np.exp(rng.normal(size=len(day)) + mood[day]).round(2))
            return pl.DataFrame(frame)

        reference = tg.profile(log(0, 39), window="1d", time="ts", block="none")
        current = tg.profile(log(39, 39 + days), like=reference, window="1d", time="ts", block="none")
        report = tg.compare(reference, current, decisions={"calibrated": {"warn": 0.2, "fail": 0.05}})
        decided = [row for row in report.rows if row["decides"] and row["statistic"] == "ks"]
        judged += len(decided)
        raised += sum(row["verdict"] == "fail" for row in decided)
    return f"{100 * raised / judged:.1f} % of {judged} windows fail"


MORE = [
    (
        11,
        "thresholds from 39 days of the reference, for 5 % of the days that follow",
        "days are compared with a reference that holds them: 5.8 % false alarms where .3 % is meant (NannyML)",
        "5 %",
        windows_of_the_reference,
    ),
    (
        28,
        "importance of a feature that the model does not use, on a sample of the rows",
        "-.0165 +- 0: the baseline is that of all rows (scikit-learn, max_samples)",
        "0: the same rows on both sides",
        some_rows,
    ),
    (
        29,
        "importance of groups of columns",
        "other columns; 0 for the whole model; the caller's rows left shuffled (mlxtend)",
        "the columns that are named",
        grouped,
    ),
    (
        30,
        "95 % interval of the importance of a strong feature, 300 rows",
        "t over repeats holds 21 %, 1.96 sd of them 82 %; a true null rejected in 38 % (hidimstat)",
        "93 to 97 %; 3 to 7 %",
        intervals,
    ),
    (
        31,
        "the bound of a search for slices, 20,000 rows, 12 features of 6 values",
        "takes columns for rows: right slices after 21 times the candidates (sliceline)",
        "the exact slices, and few candidates",
        slice_bound,
    ),
    (
        33,
        "permuted importance of Parquet sorted by the feature, in ten row groups",
        "within row groups: 4.2 % of it",
        "donors are those of all rows",
        row_groups,
    ),
    (6, "MMD without drift", "30 of 30 fire (Evidently, embeddings)", "5 %", joint_level),
    (
        7,
        "a permutation p-value far from the null",
        "p = 0; the global seed reset (Evidently)",
        "(b + 1) / (m + 1)",
        never_zero,
    ),
    (10, "a documented option", "`computation_params` never read (NannyML)", "every option changes an answer", options),
    (12, "one NaN in 1,000 rows, five standard deviations elsewhere", "p = NaN (alibi-detect)", "drift found", one_nan),
    (21, "one NaN in a frame", "all quantiles of all columns 0 (Scouter)", "one count moves", one_count),
    (23, "2.2e9 rows in one cell", "counts of 32 bits (Scouter)", "64 bits", many_rows),
    (25, "1,000 rows, then 1,001", "another statistic, in silence (Evidently)", "the same", one_more_row),
    (26, "the same data ten times", "p from 2.7e-07 to .74 (whylogs)", "one answer", ten_times),
    (
        32,
        "importances a tenth of what they were; the most important of ten falls to the last place",
        "NDCG < 0.9: 1.0 and above 0.9, no alarm",
        "each feature that changed, at an error rate",
        attributions,
    ),
    (
        34,
        "100 columns x 30 windows, no drift",
        "raw tests: dozens of alarms (most)",
        "the false-discovery rate held",
        families,
    ),
    (35, "a harmless shift in very many rows", "every p-value 0", "effect, interval, and a tolerance", harmless),
    (
        36,
        "float64 against the same rows in float32",
        "PSI 13.5 and 17.0 on isolated values",
        "0, or said why not",
        single_precision,
    ),
    (
        37,
        "random halves of the days of nycflights13",
        "rows as independent: KS rejects 100 %",
        "3 to 8 % by blocks",
        half_days,
    ),
    (40, "200,000 categories, Zipf 1.1", "a sample of values: 1.4 % of the mass", "every heavy value counted", heavy),
    (
        41,
        "a shuffled pandas frame, a column of mixed types",
        "the index as a column; an exception",
        "one error row",
        frames,
    ),
    (
        42,
        "3 of 100 columns move on day 1 of 30",
        "57 % of the alarms withdrawn later",
        "a verdict once given stands",
        frozen,
    ),
]

CASES = [
    Case(
        1,
        "one value of 1e6 among 5,000 on a shift of half a standard deviation",
        "bins over the pooled sample: PSI .270 becomes .00007 (Evidently)",
        "bins frozen on the reference",
        outlier,
    ),
    Case(
        2,
        "chi-square of two samples of 500 from one distribution over 5 categories",
        "reference taken as known: 29.5 % false positives at 5 % (Evidently, whylogs, deequ)",
        "5 %",
        homogeneity,
    ),
    Case(
        3,
        "one row of a new category among 10,000",
        "p = 0 (Evidently, whylogs), or ignored (deequ)",
        "p near one half",
        new_category,
    ),
    Case(
        4,
        "Mann-Whitney on a shift of -0.5",
        "one-sided though documented two-sided: p = 1.0 (Evidently)",
        "two-sided",
        mann_whitney,
    ),
    Case(
        5,
        "G and Fisher on samples of unequal length",
        "an exception (Evidently)",
        "scipy's p",
        unequal_lengths,
    ),
    Case(
        8,
        "one shift in metres and in kilometres; a constant that moves by .01",
        "unscaled: .038 and 1.19; floor under the scale: 10.0 (Evidently)",
        "a distance free of the unit beside the raw one; a declared case",
        scaled,
    ),
    Case(
        9,
        "KS on lognormal(sigma 3), 20,000 rows",
        "equal-width bins: .026 for .048 (NannyML)",
        "exact, or inside stated bounds",
        skewed,
    ),
    Case(
        13,
        "PSI without drift",
        "zero cells as 2.2e-308: 1.07 and 7.32 (Frouros)",
        "small, the expected value beside it, an interval that holds 0",
        no_drift,
    ),
    Case(
        14,
        "a 10 % cell emptied",
        ".21, .69, .92, 2.07, 70.6, infinity, 0 (seven tools)",
        "one documented rule, and a warning that it depends on n",
        emptied,
    ),
    Case(
        15,
        "Kuiper on a sample that spreads without moving",
        "the KS distance: .1255 for .2285 (Frouros)",
        "V = D+ + D-",
        kuiper,
    ),
    Case(
        16,
        "Jensen-Shannon of one pair of samples",
        "five different values under one name",
        "base, root and cells in the definition id",
        five_names,
    ),
    Case(
        17,
        "PSI of samples without a common value",
        "0 (DataProfiler)",
        "large and finite",
        disjoint,
    ),
    Case(
        18,
        "fraud rises from .1 % to .9 %",
        "floor of 1 % a category: 6e-5 (deepchecks)",
        ".0176",
        fraud,
    ),
    Case(
        19,
        "the same shares, ten times the rows",
        "raw counts compared (popmon)",
        "0 up to the prior",
        totals,
    ),
    Case(
        20,
        "a column with 5 % NaN against itself",
        "divergence .05 (TFDV)",
        "exactly 0; NaN drift is a rate",
        missing,
    ),
    Case(
        22,
        "a constant column",
        "histogram of total 0 (Scouter), p = NaN (Evidently)",
        "0, p = 1",
        constant,
    ),
    Case(
        24,
        "PSI without drift, 5,000 rows a side",
        "threshold from one side alone: 48.9 % false alarms at 5 % (Scouter)",
        "5 %",
        both_sizes,
    ),
    Case(
        38,
        "PSI without drift on many cells",
        "1,024 cells: .43, drift by convention",
        "10 cells, in the definition id",
        cells,
    ),
    Case(
        39,
        "30 rows of the same distribution",
        "ok, for want of power",
        "inconclusive, and what could have been seen",
        thirty,
    ),
    Case(
        0,
        "Cramer-von Mises of 0/1 columns with equal shares",
        "T = 3.4, p = 1e-8 (scipy 1.17, which Evidently follows)",
        "T = 0, p = 1",
        ties,
    ),
]


def page() -> str:
    head = ["", "case", "elsewhere", "the packages, run", "right", "tidegauge"]
    lines = [head, ["---"] * len(head)]
    cases = sorted([*CASES, *(Case(*case) for case in MORE)], key=lambda c: c.number or 99)
    lines += [[str(c.number or ""), c.case, c.elsewhere, run(c.number), c.right, c.ours()] for c in cases]
    return (
        "# Correctness scoreboard\n\n<!-- written by tools/generated.py; `make docs` renews it -->\n\n"
        f"Answers of drift tools in use, measured on or read in {TOOLS}; each case is a test under "
        "`tests/scoreboard` or `tests/oracle`. The last column is computed when this page is made; numbers of others "
        "in it follow their documented formula (`tg.stats.parity`). Answers of the packages themselves come from "
        "`tests/oracle/peers`, which runs each in an environment of its own. Row 27 waits for "
        "sequential detectors.\n\n"
        + "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        + "\n"
    )


def ask(name: str, interpreter: str | None, folder: Path) -> dict[str, Any] | str:
    """What one package answers now, or why it cannot be asked."""
    sys.path.insert(0, str(PEERS))
    from generate import ENVIRONMENTS

    if name not in ENVIRONMENTS:
        raise SystemExit(f"peer {name!r}; one of {', '.join(ENVIRONMENTS)} would be accepted")
    steps = []
    if interpreter is None:
        interpreter = str(folder / name / "bin" / "python")
        steps.append([sys.executable, "-m", "venv", str(folder / name)])
        steps.append([interpreter, "-m", "pip", "install", "--quiet", *ENVIRONMENTS[name]])
    steps.append([interpreter, str(PEERS / "generate.py"), name, "--print"])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            return next(
                (line for line in reversed(done.stderr.splitlines()) if line.strip()), f"exit {done.returncode}"
            )
    found: dict[str, Any] = json.loads(done.stdout.rpartition("\f")[2])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers of other packages, beside the right one and ours.")
    parser.add_argument("--peers", nargs="*", metavar="NAME[=INTERPRETER]", help="ask the packages themselves")
    wanted = parser.parse_args().peers
    if wanted is None:
        print(page(), end="")
        return
    recorded = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(PEERS.glob("*.json"))}
    cases = {c.number: c for c in (*CASES, *(Case(*case) for case in MORE))}
    changed = 0
    with tempfile.TemporaryDirectory() as folder:
        for text in wanted or list(recorded):
            name, _, interpreter = text.partition("=")
            found = ask(name, interpreter or None, Path(folder))
            if isinstance(found, str):
                print(f"{name}: not asked: {found}\n")
                continue
            print(f"{name}: {', '.join(f'{package} {v}' for package, v in found['versions'].items())}")
            for number, told in found["scoreboard"].items():
                if int(number) not in cases:
                    continue  # of searches, whose times differ
                case = cases[int(number)]
                before = recorded[name]["scoreboard"].get(number)
                changed += told != before
                print(f"  {number}. {case.case}\n      right      {case.right}\n      tidegauge  {case.ours()}")
                print(f"      {name:<9}  {told}" + ("" if told == before else f"\n      recorded   {before}"))
            values = [
                (definition, sample, found["values"].get(definition, {}).get(sample), x)
                for definition, held in recorded[name]["values"].items()
                for sample, x in held.items()
            ]
            off = [v for v in values if v[2] is None or not math.isclose(v[2], v[3], rel_tol=1e-9, abs_tol=1e-12)]
            changed += len(off)
            print(f"  {len(values) - len(off)} of {len(values)} recorded numbers are those it gives")
            for definition, sample, now, then in off:
                print(f"      {definition} of {sample}: {now}, recorded {then}")
            print()
    raise SystemExit(1 if changed else 0)


if __name__ == "__main__":
    main()
