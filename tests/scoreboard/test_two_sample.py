"""Measured defects of tools in use today: two-sample tests, their scales, sizes, levels and families."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tidegauge as tg
from engine import column, profile, row, rows, statistic
from scipy import stats
from scipy.spatial import distance
from tidegauge.stats import parity


def normal(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, size=n)


def test_04_mann_whitney_has_two_sides() -> None:
    """A shift of -0.5.

    One-sided in secret: p = 1.0. Right: both directions found, scipy's two-sided p.
    """
    x = normal(800, 1)
    for shift in (-0.5, 0.5):
        y = normal(700, 2, shift)
        found = statistic("mann_whitney", x, y)
        theirs = stats.mannwhitneyu(x, y, alternative="two-sided", method="asymptotic")
        assert found["statistic"] == theirs.statistic
        assert found["pvalue"] == pytest.approx(theirs.pvalue, rel=1e-9)
        assert found["pvalue"] < 1e-15
        superiority = statistic("probability_of_superiority", x, y)
        assert (superiority["ci_low"] > 0.5) == (shift > 0)


def test_05_samples_of_unequal_length() -> None:
    """G and Fisher on 500 against 300 rows.

    An exception. Right: scipy's numbers.
    """
    table = np.array([[300, 200], [150, 150]])
    x, y = (["a"] * a + ["b"] * b for a, b in table)
    g = stats.chi2_contingency(table, lambda_="log-likelihood", correction=False)
    found = statistic("g_test", x, y)
    assert found["statistic"] == pytest.approx(g.statistic, rel=1e-12)
    assert found["pvalue"] == pytest.approx(g.pvalue, rel=1e-9)
    fisher = stats.fisher_exact(table)
    found = statistic("fisher_exact", x, y)
    assert found["statistic"] == pytest.approx(fisher.statistic, rel=1e-12)
    assert found["pvalue"] == pytest.approx(fisher.pvalue, rel=1e-9)


@pytest.mark.parametrize(("raw", "power"), [("wasserstein", 1.0), ("energy", 0.5)])
def test_08_distances_have_a_unit_and_a_scale(raw: str, power: float) -> None:
    """The same shift in metres and kilometres; then a constant that moves from 1.00 to 1.01.

    Unscaled, one threshold for both: .038 and 1.19; a floor of .001 under the scale: 10.0. Right: the raw distance in
    its unit, the scaled one free of it; a constant reference is a declared case.
    """
    x, y = normal(2000, 3), normal(2000, 4, 0.1)
    metres, kilometres = statistic(raw, 1000 * x, 1000 * y), statistic(raw, x, y)
    assert metres["statistic"] == pytest.approx(1000**power * kilometres["statistic"], rel=1e-9)
    scaled = [statistic(f"{raw}_scaled", k * x, k * y)["statistic"] for k in (1, 1000)]
    assert scaled[0] == pytest.approx(scaled[1], rel=1e-9)
    constant = np.full(500, 1.0)
    moved = statistic(f"{raw}_scaled", constant, constant + 0.01)
    assert moved["statistic"] == math.inf
    assert "no spread" in moved["message"]
    assert statistic(raw, constant, constant + 0.01)["statistic"] == pytest.approx((0.01**power) * 2 ** (1 - power))
    assert parity("evidently.wasserstein", constant, constant + 0.01).statistic == pytest.approx(10.0)


def test_15_kuiper_is_not_ks() -> None:
    """A sample that spreads without moving.

    The largest difference on one side: .1255. Right: the sum of both sides, .2285 there.
    """
    x, y = normal(1500, 5), 2 * normal(1500, 6)
    values = np.sort(np.concatenate([x, y]))
    gap = np.searchsorted(np.sort(x), values, "right") / 1500 - np.searchsorted(np.sort(y), values, "right") / 1500
    found = statistic("kuiper", x, y)["statistic"]
    assert found == pytest.approx(gap.max() - gap.min(), rel=1e-12)
    assert found > 1.7 * statistic("ks", x, y)["statistic"]


def test_16_one_name_one_number() -> None:
    """Kullback-Leibler and Jensen-Shannon.

    Nine bins where ten were asked for, opposite directions, five different "JS". Right: base, root, direction and
    cells are in the definition; each of the others is a definition of its own.
    """
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    x, y = (np.repeat(["a", "b", "c"], (1000 * s).astype(int)) for s in (p, q))
    found = statistic("jensen_shannon", x, y)
    assert found["definition"] == "jensen_shannon/distance-nats-10q-special/v1"
    assert found["statistic"] == pytest.approx(distance.jensenshannon(p, q), rel=1e-9)
    others = [parity(f"{tool}", x, y) for tool in ("nannyml.jensen_shannon", "tfdv.jensen_shannon")]
    assert [o.statistic for o in others] == pytest.approx(
        [distance.jensenshannon(p, q, base=2), distance.jensenshannon(p, q, base=2) ** 2], rel=1e-9
    )
    assert len({found["definition"], *(o.definition for o in others)}) == 3
    skewed = np.repeat(["a", "b", "c"], [600, 300, 100])
    forth, back = statistic("kullback_leibler", x, skewed), statistic("kullback_leibler", skewed, x)
    r = np.array([0.6, 0.3, 0.1])
    assert forth["statistic"] == pytest.approx(stats.entropy(p, r), rel=2e-2)  # the prior of 1/2
    assert back["statistic"] == pytest.approx(stats.entropy(r, p), rel=2e-2)
    assert "reference-to-current" in forth["definition"]


def test_24_psi_knows_both_sample_sizes() -> None:
    """No drift, 5,000 rows on each side.

    A threshold from the current rows alone: 48.9 % false alarms at 5 %. Right: 5 %.
    """
    rng, runs, level = np.random.default_rng(7), 1500, 0.05
    words = pa.array([str(i) for i in range(10)])
    false = one_sample = 0
    for _ in range(runs):
        x, y = (words.take(pa.array(rng.integers(0, 10, 5000))) for _ in range(2))
        found = statistic("psi", x, y)
        false += found["pvalue"] < level
        one_sample += found["statistic"] > stats.chi2.isf(level, 9) / 5000
    assert abs(false / runs - level) < 4 * math.sqrt(level * (1 - level) / runs)
    assert one_sample / runs > 0.4


def test_34_many_columns_and_windows_without_drift() -> None:
    """100 columns, 30 windows, no drift.

    Raw tests: dozens of alarms. Right: none, for verdicts are tests against a tolerance with the false-discovery rate
    held over the window.
    """
    rng = np.random.default_rng(8)

    def drawn(n: int) -> pa.Table:
        return pa.table({f"c{i}": np.round(rng.normal(size=n), 3) for i in range(100)})

    reference = profile(drawn(5000))
    raised = raw = 0
    for _ in range(30):
        found = rows(reference, profile(drawn(1000), reference))
        raised += sum(r["statistic"] == "verdict" and r["verdict"] in ("warn", "fail") for r in found)
        raw += sum(r["statistic"] == "ks" and r["pvalue"] < 0.05 for r in found)
    assert raw > 100
    assert raised == 0


def days(columns: int, count: int, shifted: int) -> pa.Table:
    """Ten minutes a row; `shifted` columns move on the first day."""
    rng = np.random.default_rng(9)
    per_day = 144
    ts = np.datetime64("2024-01-01", "us") + np.arange(count * per_day) * np.timedelta64(10, "m")
    data: dict[str, Any] = {"ts": ts}
    for i in range(columns):
        values = rng.normal(size=count * per_day)
        if i < shifted:
            values[:per_day] += 3
        data[f"c{i}"] = values
    return pa.table(data)


def test_42_a_verdict_once_given_stands() -> None:
    """Three of 100 columns move on day 1 of 30.

    Benjamini and Hochberg over all days together: later days withdraw alarms. Right: the family is one window, so day
    1 reads the same on day 30.
    """
    reference = tg.profile(days(100, 30, 0), time="ts")
    verdicts = []
    for count in (1, 30):
        current = tg.profile(days(100, count, 3), like=reference, window="1d")
        first = [r for r in tg.compare(reference, current).rows if str(r["window_start"]).startswith("2024-01-01")]
        verdicts.append({(r["feature"], r["statistic"]): (r["verdict"], r["qvalue"]) for r in first if r["decides"]})
    assert {f for (f, _), (v, _) in verdicts[0].items() if v == "fail"} >= {"c0", "c1", "c2"}
    assert {k: v[0] for k, v in verdicts[0].items()} == {k: v[0] for k, v in verdicts[1].items()}


def test_23_more_rows_than_32_bits_count() -> None:
    """2.2e9 rows in one cell.

    Counts in 32 bits overflow. Right: 64 bits, found by merging profiles.
    """
    n = 100_000_000
    part = pa.table({"x": pa.array(np.ones(n, bool))})
    reference = profile(part, source_id="0")
    merged = reference.merge([profile(part, reference, source_id=str(i)) for i in range(1, 23)])
    assert column(merged)["rows"] == 23 * n > 2**31
    found = rows(merged, merged)
    assert row(found, "total_variation")["value"] == 0
    assert row(found, "total_variation")["n_reference"] == 23 * n
    assert row(found, "verdict")["verdict"] == "ok"
