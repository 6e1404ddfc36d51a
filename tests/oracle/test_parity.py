"""Definitions of other tools: the numbers their packages gave, and their formulas written again with numpy.

The packages' answers (evidently 0.7.23, NannyML 0.13.1) on the real logs lie beside the data sets; the formulas
here follow the documentation of each tool, not its code.
"""

import importlib.util
import itertools
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine import ROOT, Json, compare, data_folder, statistic
from scipy import stats
from scipy.spatial import distance
from tidegauge import _core
from tidegauge.errors import TidegaugeError
from tidegauge.stats import parity

ORACLES = ROOT.parent / "shared" / "oracles"
DATA_SETS = ["nycflights13", "bike_2011", "bike_sharing", "adult"]
EVIDENTLY = ["psi", "kl_div", "jensenshannon", "hellinger", "wasserstein"]
NANNYML = {"numeric": ["jensen_shannon", "hellinger"], "categorical": ["jensen_shannon", "hellinger", "l_infinity"]}
ROWS = 20_000  # that the oracle of evidently took of each set


def answers(name: str, tool: str) -> Any:
    path: Path = ORACLES / name / f"{tool}.json"
    if not path.is_file():
        message = f"the answers of {tool} are not beside the checkout"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return json.loads(path.read_text())["values"]["reference_vs_current"]


def table(name: str, side: str) -> pa.Table:
    return pq.read_table(data_folder(name) / f"{side}.parquet")


def evenly(values: pa.ChunkedArray) -> pa.ChunkedArray:
    n = len(values)
    k = min(n, ROWS)
    return values.take(pa.array(np.arange(k) * n // k)).drop_null()


def is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


@pytest.mark.parametrize("name", DATA_SETS)
def test_what_evidently_gave(name: str) -> None:
    found = answers(name, "evidently")
    reference, current = table(name, "reference"), table(name, "current")
    checked = 0
    for group in ("numeric", "categorical"):
        for column, scores in found[group].items():
            kind = reference.schema.field(column).type
            if group == "numeric" and not is_number(kind):
                continue  # booleans, which it takes as numbers there
            if group == "categorical" and is_number(kind):
                continue
            x, y = evenly(reference[column]), evenly(current[column])
            for which in EVIDENTLY:
                if which in scores and isinstance(scores[which].get("score"), float):
                    # States name the first five new values; the formula needs each of them.
                    if len(set(y.to_pylist()) - set(x.to_pylist())) > 5 and group == "categorical":
                        with pytest.raises(TidegaugeError, match="new values are held together"):
                            statistic(f"evidently.{which}", x, y)
                        continue
                    ours = statistic(f"evidently.{which}", x, y)["statistic"]
                    assert ours == pytest.approx(scores[which]["score"], rel=1e-9, abs=1e-9), (column, which)
                    checked += 1
    assert checked >= 15


@pytest.mark.parametrize("name", DATA_SETS)
def test_what_nannyml_gave(name: str) -> None:
    reference, current = table(name, "reference"), table(name, "current")
    checked = 0
    for chunk in answers(name, "nannyml")["univariate"][:12]:
        side = reference if chunk["chunk.chunk.period"] == "reference" else current
        start, end = chunk["chunk.chunk.start_index"], chunk["chunk.chunk.end_index"]
        for key, value in chunk.items():
            column, _, rest = key.rpartition(".")[0].rpartition(".")
            if not key.endswith(".value") or value is None or column not in reference.column_names:
                continue
            kind = reference.schema.field(column).type
            group = "numeric" if is_number(kind) else "categorical"
            if rest not in NANNYML[group] or pa.types.is_boolean(kind):
                continue
            x = reference[column].drop_null()
            y = side[column].slice(start, end - start + 1).drop_null()
            ours = statistic(f"nannyml.{rest}", x, y)["statistic"]
            assert ours == pytest.approx(value, rel=1e-9, abs=2e-8), (column, rest, start)
            checked += 1
    assert checked >= 50


# --- formulas ---------------------------------------------------------------------------------------


def fill(p: np.ndarray) -> np.ndarray:
    least = p[p > 0].min()
    return np.where(p == 0, least / 1e6 if least <= 1e-4 else 1e-4, p)


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    return float(((p - q) * np.log(p / q)).sum())


def shares(x: np.ndarray, y: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.histogram(x, edges)[0] / len(x), np.histogram(y, edges)[0] / len(y)


def scouter(x: np.ndarray, y: np.ndarray) -> float:
    edges = np.concatenate([[-np.inf], np.quantile(x, np.arange(1, 10) / 10), [np.inf]])
    counted = [np.array([((v > a) & (v <= b)).mean() for a, b in itertools.pairwise(edges)]) for v in (x, y)]
    p, q = (c + 1e-10 for c in counted)
    return divergence(p, q)


def frouros(x: np.ndarray, y: np.ndarray) -> float:
    both = np.concatenate([x, y])
    p, q = shares(x, y, np.linspace(both.min(), both.max(), 11))
    tiny = np.finfo(float).tiny
    return divergence(np.where(p == 0, tiny, p), np.where(q == 0, tiny, q))


def evidently(x: np.ndarray, y: np.ndarray) -> Json:
    both = np.concatenate([x, y])
    if len(np.unique(x)) > 20:
        p, q = shares(x, y, np.histogram_bin_edges(both, "sturges"))
    else:
        values = np.unique(both)
        p, q = (np.array([(v == k).mean() for k in values]) for v in (x, y))
    a, b = shares(x, y, np.histogram_bin_edges(np.unique(both), "sturges"))
    return {
        "psi": divergence(fill(p), fill(q)),
        "kl_div": stats.entropy(fill(p), fill(q)),
        "jensenshannon": distance.jensenshannon(p, q),
        "hellinger": math.sqrt(max(0.0, 1 - np.sqrt(a * b).sum())),
        "wasserstein": stats.wasserstein_distance(x, y) / max(np.std(x), 0.001),
    }


def nannyml(x: np.ndarray, y: np.ndarray) -> Json:
    p, q = shares(x, y, np.histogram_bin_edges(x, "doane"))
    p, q = np.append(p, 0), np.append(q, max(0.0, 1 - q.sum()))
    root = np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / math.sqrt(2)
    return {"jensen_shannon": distance.jensenshannon(p, q, base=2), "hellinger": root}


# --- the packages themselves ------------------------------------------------------------------------

PEERS = Path(__file__).parent / "peers"


def asked() -> Any:
    """The samples that the packages were asked about."""
    spec = importlib.util.spec_from_file_location("peer_samples", PEERS / "samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PACKAGES = ["alibi_detect", "deepchecks", "evidently", "frouros", "nannyml", "popmon", "scouter", "whylogs"]


@pytest.mark.parametrize("name", PACKAGES)
def test_what_the_package_gave(name: str) -> None:
    """tests/oracle/peers/generate.py called it; the versions lie beside its numbers."""
    samples, given = asked(), json.loads((PEERS / f"{name}.json").read_text())
    assert set(given["versions"]) == {given["package"], "numpy", "python"}
    checked = 0
    for definition, numbers in given["values"].items():
        version = given["versions"][given["package"]]
        assert f"/{version}" in parity(definition, *sample_for(samples, definition)).definition
        for case, number in numbers.items():
            x, y = (samples.WORDS if case not in samples.NUMBERS or definition in OF_WORDS else samples.NUMBERS)[case]
            if case == "no change" and definition.split(".")[0] == "evidently":
                continue  # of numbers and of words under one name
            ours = parity(definition, x, y).statistic
            single = 1e-6 if name == "alibi_detect" else 1e-9
            assert ours == pytest.approx(number, rel=single, abs=2e-8), (definition, case)
            checked += 1
    assert checked >= 2


OF_WORDS = {
    "alibi_detect.chi_square",
    "deepchecks.cramers_v",
    "deepchecks.psi",
    "nannyml.l_infinity",
    "popmon.jensen_shannon",
    "popmon.psi",
}


def sample_for(samples: Any, definition: str) -> tuple[Any, Any]:
    found: tuple[Any, Any] = samples.WORDS["three values"] if definition in OF_WORDS else samples.NUMBERS["small"]
    return found


def test_every_definition_is_checked() -> None:
    """By the package or by its formula below."""
    run = {d for file in PEERS.glob("*.json") for d in json.loads(file.read_text())["values"]}
    formulas = {d for d in run if d} | {"tfdv.jensen_shannon", "tfdv.jensen_shannon_numeric", "tfdv.l_infinity"}
    formulas |= {"databricks.l_infinity_distance", "databricks.tv_distance"}
    assert formulas == {entry["name"] for entry in json.loads(_core.parity())}


def tfdv(x: np.ndarray, y: np.ndarray) -> float:
    """Two histograms of ten equal cells cut at the edges of both, mass even within a cell."""
    made = [np.histogram(v, np.linspace(v.min(), v.max(), 11)) for v in (x, y)]
    edges = np.unique(np.concatenate([e for _, e in made]))
    cumulated = [np.interp(edges, e, np.append(0, np.cumsum(c)) / c.sum()) for c, e in made]
    p, q = (np.diff(c) for c in cumulated)
    return float(distance.jensenshannon(p, q, base=2) ** 2)


RNG = np.random.default_rng(7)
SAMPLES = {
    "normal": (RNG.normal(size=1000), RNG.normal(0.3, 1.2, 800)),
    "an outlier": (RNG.normal(size=5000), np.append(RNG.normal(0.5, 1, 4999), 1e6)),
    "skewed": (np.exp(RNG.normal(size=3000)), np.exp(RNG.normal(0.2, 1, 2000))),
    "few values": (RNG.integers(0, 8, 500).astype(float), RNG.integers(1, 10, 400).astype(float)),
    "ties": (RNG.integers(0, 60, 900).astype(float), RNG.integers(0, 80, 700).astype(float)),
    "disjoint": (RNG.normal(size=400), RNG.normal(30, 1, 300)),
    "constant reference": (np.full(100, 2.0), RNG.normal(2, 1, 100)),
    "tiny share": (RNG.normal(size=60_000), RNG.normal(0, 0.7, 40_000)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_formulas(name: str) -> None:
    x, y = SAMPLES[name]
    expected = {f"evidently.{k}": v for k, v in evidently(x, y).items()}
    expected |= {f"nannyml.{k}": v for k, v in nannyml(x, y).items()}
    expected |= {"scouter.psi": scouter(x, y), "frouros.psi": frouros(x, y)}
    if min(np.ptp(x), np.ptp(y)) > 0:
        expected["tfdv.jensen_shannon_numeric"] = tfdv(x, y)
    for which, value in expected.items():
        found = statistic(which, x, y)
        # A root turns the rounding of numpy's sums, 1e-16, into 1e-8.
        assert found["statistic"] == pytest.approx(value, rel=1e-9, abs=2e-8), which
        assert found["pvalue"] is None
        assert found["ci_low"] is None


def test_formulas_of_categories() -> None:
    x, y = ["a"] * 60 + ["b"] * 39 + ["c"], ["a"] * 20 + ["b"] * 25 + ["d"] * 3 + ["e"] * 2
    p, q = np.array([0.6, 0.39, 0.01, 0, 0]), np.array([0.4, 0.5, 0, 0.06, 0.04])
    expected = {
        "evidently.psi": divergence(fill(p), fill(q)),
        "evidently.jensenshannon": distance.jensenshannon(p, q),
        "evidently.hellinger": math.sqrt(1 - np.sqrt(p * q).sum()),
        "nannyml.jensen_shannon": distance.jensenshannon([*p[:3], 0], [*q[:3], 0.1], base=2),
        "nannyml.l_infinity": 0.2,
        "tfdv.l_infinity": 0.2,
        "databricks.l_infinity_distance": 0.2,
        "databricks.tv_distance": 0.21,
        "tfdv.jensen_shannon": distance.jensenshannon(p, q, base=2) ** 2,
    }
    for which, value in expected.items():
        assert parity(which, x, y).statistic == pytest.approx(value, rel=1e-12), which


def test_parity_never_decides_and_is_asked_for_by_name() -> None:
    names = {entry["name"] for entry in json.loads(_core.parity())}
    found = compare(pa.table({"x": RNG.normal(size=500)}), pa.table({"x": RNG.normal(size=500)}))
    assert not names & {r["statistic"] for r in found}
    with pytest.raises(TidegaugeError, match=r"evidently\.mmd.*evidently\.psi"):
        parity("evidently.mmd", [1.0], [2.0])
