"""Epps and Singleton's test against scipy."""

import numpy as np
import pyarrow as pa
import pytest
from engine import compare, statistic
from scipy import stats

pytestmark = pytest.mark.filterwarnings("ignore:Estimated covariance matrix:UserWarning")

RNG = np.random.default_rng(31)
SAMPLES = {
    "normal": (RNG.normal(size=300), RNG.normal(0.2, 1.3, 200)),
    "small": (RNG.normal(size=9), RNG.normal(size=6)),
    "small on one side": (RNG.normal(size=24), RNG.normal(size=25)),
    "heavy tails": (RNG.standard_cauchy(400), RNG.standard_cauchy(300) + 0.3),
    "ties": (RNG.integers(0, 9, 500).astype(float), RNG.integers(1, 10, 300).astype(float)),
    "tiny unit": (1e-9 * RNG.normal(size=90), 1.1e-9 * RNG.normal(size=90)),
    "no change": (np.arange(50.0), np.arange(50.0)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_is_scipys(name: str) -> None:
    x, y = SAMPLES[name]
    right = stats.epps_singleton_2samp(x, y)
    found = statistic("epps_singleton", x, y)
    assert found["statistic"] == pytest.approx(right.statistic, rel=1e-9, abs=1e-12)
    assert found["pvalue"] == pytest.approx(right.pvalue, rel=1e-6, abs=1e-290)
    assert found["value_if_no_change"] == 4


def test_far_from_zero_it_keeps_its_digits() -> None:
    """A shift changes nothing; scipy's cosines of 1e12 lose theirs."""
    x, y = np.round(SAMPLES["normal"][0] * 2**12), np.round(SAMPLES["normal"][1] * 2**12)
    near, far = (statistic("epps_singleton", x + k, y + k) for k in (0.0, 2.0**48))
    assert far["statistic"] == pytest.approx(near["statistic"], rel=1e-9)


def test_few_values_have_few_directions() -> None:
    """Two values make one direction: the chi-square of the 2 x 2 table with both samples' own variances."""
    x, y = np.repeat([0.0, 1.0], [60, 40]), np.repeat([0.0, 1.0], [50, 50])
    found = statistic("epps_singleton", x, y)
    assert found["value_if_no_change"] == 1
    assert found["statistic"] == pytest.approx(0.1**2 / (0.4 * 0.6 / 100 + 0.25 / 100), rel=1e-9)
    assert found["pvalue"] == pytest.approx(stats.chi2.sf(found["statistic"], 1), rel=1e-9)


def test_what_it_does_not_answer() -> None:
    with pytest.raises(Exception, match="4 and 9 values; 5 or more"):
        statistic("epps_singleton", np.arange(4.0), np.arange(9.0))
    with pytest.raises(Exception, match="middle half of both samples spans 0"):
        statistic("epps_singleton", np.r_[np.zeros(50), 1.0], np.zeros(50))
    # Cells of several values: a row that says why it has no value.
    wide = compare(pa.table({"x": RNG.normal(size=9000)}), pa.table({"x": RNG.normal(size=9000)}))
    few = compare(pa.table({"x": np.arange(900.0)}), pa.table({"x": np.arange(900.0)}))
    (none,), (some,) = ([r for r in found if r["statistic"] == "epps_singleton"] for found in (wide, few))
    assert none["value"] is None
    assert none["message"]
    assert some["value"] is not None
