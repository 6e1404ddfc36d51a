"""Row 10: every documented option of a public function changes its answer, or is named as one that must not.

Elsewhere an option is documented and never read (NannyML's `computation_params`). The signatures are read here: an
option without a case fails.
"""

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from engine import EXAMPLES
from sklearn.linear_model import LogisticRegression
from tidegauge import metrics, stats

RNG = np.random.default_rng(10)
N = 480


class Case(NamedTuple):
    """An option, and what it is tried on where that is not the plain call."""

    value: Any
    data: tuple[Any, ...] | None = None
    beside: dict[str, Any] = {}  # noqa: RUF012 - never written to


#: Options that must change nothing: how the work is done.
SILENT = {"threads": 1, "n_threads": 1}


def table(seed: int, shift: float) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "ts": np.datetime64("2024-01-01", "us") + np.arange(N) * np.timedelta64(3, "h"),
            "a": rng.normal(shift, 1, N).round(2),
            "b": rng.integers(0, 4, N),
            "c": rng.choice(["u", "v"], N),
            "w": rng.integers(1, 4, N).astype(float),
            "key": np.arange(N) // 8,
            "y": rng.integers(0, 2, N),
            "s": rng.random(N),
            "version": rng.choice(["1", "2"], N),
        }
    )


X, Y = table(1, 0.0), table(2, 0.4)


def swept(function: Callable[..., Any], cases: dict[str, Case], answer: Callable[[Any], Any], data: Any) -> None:
    """Call with each option changed, alone."""
    documented = {
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY and not p.name.startswith("_")
    }
    name = function.__name__
    assert documented == {*cases, *(documented & set(SILENT))}, f"{name}: options without a case, or cases without one"
    for option, case in cases.items():
        given = data if case.data is None else case.data
        plain = answer(function(*given, **case.beside))
        assert answer(function(*given, **{**case.beside, option: case.value})) != plain, f"{name}: {option} is not read"
    for option in documented & set(SILENT):
        assert answer(function(*data, **{option: SILENT[option]})) == answer(function(*data)), f"{name}: {option}"


def text(found: Any) -> str:
    return repr(found)


# --- statistics -------------------------------------------------------------------------------------

NUMBERS = tuple(RNG.normal(shift, 1, 400).round(1) for shift in (0.0, 0.2))
FLAGS = [0, 1, 1] * 40, [0, 0, 1] * 40
WORDS = ["a", "b", "b"] * 40, ["a", "a", "b", "c"] * 30
COUNTS = tuple(RNG.binomial(90, p, 500) for p in (0.5, 0.52))
JOINT = {"mmd", "energy_multivariate", "pca_reconstruction", "classifier_test"}
OTHER = {"Interval", "JointResult", "TestResult", "csi", "parity"}
#: Statistics of any type, from counts of rows or values alone.
WEIGHTLESS = {"constant", "distinct_count", "duplicate_keys", "volume"}
OF_ANY_TYPE = {"constant", "distinct_count", "duplicate_keys", "missing_rate", "nan_rate", "null_rate", "volume"}


@pytest.mark.parametrize("name", sorted(set(stats.__all__) - OTHER - JOINT))
def test_options_of_statistics(name: str) -> None:
    function = getattr(stats, name)
    assert set(inspect.signature(function).parameters) == {"x", "y", "alpha", "categorical", "weights"}
    asked = weighed = 0
    for samples in (NUMBERS, FLAGS, WORDS, (["a", "b"] * 40, ["b"] * 60)):
        try:
            found, wide = function(*samples), function(*samples, alpha=0.2)
        except tg.errors.TidegaugeError:
            continue
        asked += 1
        assert (found.ci is None) == (wide.ci is None)
        weights = np.arange(len(samples[0])) % 5 + 1.0
        other = function(*samples, weights=(weights, None))
        weighed += (other.statistic, other.pvalue, other.ci) != (found.statistic, found.pvalue, found.ci)
        if samples is NUMBERS or samples is WORDS:
            assert found.ci is None or found.ci != wide.ci, "alpha is not read"
    assert asked
    assert (weighed > 0) == (name not in WEIGHTLESS), "weights"
    # Numbers as categories: another number, or a refusal either way.
    answers = []
    for categorical in (False, True):
        try:
            answers.append(text(function(*COUNTS, categorical=categorical)))
        except tg.errors.TidegaugeError as error:
            answers.append(str(error))
    assert (answers[0] != answers[1]) == (name not in OF_ANY_TYPE)


def test_options_of_parity() -> None:
    swept(stats.parity, {"categorical": Case(True)}, text, ("evidently.hellinger", [1, 2, 2, 9] * 9, [1, 1, 2, 9] * 9))


def common(**own: Any) -> dict[str, Case]:
    """Options that joint statistics share."""
    days = (
        pl.DataFrame(X).with_columns(key="x" + pl.col("key").cast(str)),
        Y.with_columns(key="y" + pl.col("key").cast(str)),
    )
    return {
        "columns": Case(["a"]),
        "exclude": Case(["a"]),
        "categorical": Case(["b"]),
        "block": Case("key", days, {"columns": ["a", "b"]}),
        "random_state": Case(5),
    } | own


ROWS = X.select("a", "b", "c", "key"), Y.select("a", "b", "c", "key")


def test_options_of_joint_statistics() -> None:
    drawn = common(permutations=Case(7), scale=Case("none"))
    swept(stats.mmd, drawn | common(features=Case(8), bandwidth=Case(0.5)), text, ROWS)
    swept(stats.energy_multivariate, drawn, text, ROWS)
    swept(
        stats.pca_reconstruction,
        common(explained=Case(0.3), components=Case(1), alpha=Case(0.2)),
        text,
        (ROWS[0].with_columns(d=pl.col("a") + pl.col("b")), ROWS[1].with_columns(d=pl.col("a") + pl.col("b"))),
    )
    own = common(folds=Case(3), classifier=Case(LogisticRegression()), alpha=Case(0.2))
    # A line takes no missing values; the other cases take trees.
    swept(stats.classifier_test, own, text, (X.select("a", "b", "c", "key"), Y.select("a", "b", "c", "key")))


def test_options_of_row_samples() -> None:
    cases = {
        "k": Case(3),
        "row_key": Case("key"),
        "columns": Case(["a"]),
        "exclude": Case(["a"]),
        "random_state": Case(4),
    }
    swept(tg.row_sample, cases, lambda found: found.to_polars().rows(), (X.head(40),))


# --- drift ------------------------------------------------------------------------------------------


def told(report: tg.Report) -> str:
    """What a report says, without its times."""
    named = [report.verdict, report.record["result"].get("model"), report.record["result"].get("roles")]
    return repr([{k: v for k, v in r.items() if k not in ("run_id", "as_of")} for r in report.rows]) + repr(named)


def test_options_of_drift(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    shutil.copy(EXAMPLES / "bike_2011" / "reference.parquet", good)
    broken = bytearray(good.read_bytes())
    broken[2000:2005] = b"\xff" * 5
    bad.write_bytes(broken)
    words = tmp_path / "words.csv"
    X.select("a", "b").write_csv(words)
    windows = {"window": "1w", "time": "ts"}
    cases = {
        "columns": Case(["a"]),
        "exclude": Case(["a"]),
        "categorical": Case(["b"]),
        "time": Case("seen", tuple(t.with_columns(seen=pl.col("ts").dt.offset_by("40d")) for t in (X, Y))),
        "id": Case("b"),
        "sensitive": Case(["c"]),
        "label": Case("b"),
        "prediction": Case("y"),
        "score": Case("s"),
        "weight": Case("w"),
        "frequency": Case("w"),
        "model": Case("late"),
        "model_version": Case("version"),
        "block": Case("none"),
        "schema": Case({"b": "string"}, (words, words)),
        "window": Case("1w", None, {"time": "ts"}),
        "time_zone": Case("America/New_York", None, windows),
        "by": Case(["c"]),
        "where": Case("a > 0"),
        "since": Case("2024-02-01", None, {"time": "ts"}),
        "until": Case("2024-02-01", None, {"time": "ts"}),
        "alpha": Case(0.2),
        "tolerances": Case({"a": {"warn": 0.5, "fail": 0.9}}),
        "statistics": Case({"a": "wasserstein"}),
        "baselines": Case(["previous"], None, windows),
        "decided_by": Case(
            ["previous"], (X, Y.with_columns(pl.col("a") + 3)), {**windows, "baselines": ["reference", "previous"]}
        ),
        "decisions": Case({"minimum_n": {"current": N + 1}}),
        "joint": Case(["mmd"]),
        "as_of": Case("2024-12-31", None, {"time": "ts"}),
        "segment_baselines": Case(
            ["reference", "previous"], None, {**windows, "by": ["c"], "baselines": ["reference", "previous"]}
        ),
    }
    given = set(inspect.signature(tg.drift).parameters) - {"reference", "current", "max_bad_units", "title", "threads"}
    assert given == set(cases), "options of tg.drift without a case, or cases without one"
    for option, case in cases.items():
        data = case.data or (X, Y)
        plain = told(tg.drift(*data, **case.beside))
        assert told(tg.drift(*data, **{**case.beside, option: case.value})) != plain, option
    assert told(tg.drift(X, Y, threads=1)) == told(tg.drift(X, Y, threads=3))
    assert b"A title" in tg.drift(X, Y, title="A title").render(".html")
    with pytest.raises(tg.errors.InputError):
        tg.drift(good, bad, block="none")
    assert tg.drift(good, [good, bad], max_bad_units=1, block="none").incomplete
    # The other entrances share these options.
    shared = set(inspect.signature(tg.profile).parameters) - {"data", "like", "source_id"}
    compared = set(inspect.signature(tg.compare).parameters) - {"reference", "current", "checks"}
    # Profiles hold no rows for joint statistics.
    assert shared | compared == {*cases, "max_bad_units", "title", "threads"} - {"joint"}
    before = tg.profile(X)
    after = tg.profile(Y, like=before)
    limit = {"feature": "a", "statistic": "ks", "max": 0.01}
    assert told(tg.compare(before, after, checks=[limit])) != told(tg.compare(before, after))


# --- metrics and importance -------------------------------------------------------------------------

LABEL = RNG.integers(0, 2, N)
SCORE = np.clip(0.3 * LABEL + 0.7 * RNG.random(N), 0.01, 0.99)
AMOUNT = RNG.gamma(2.0, size=N) + 0.1
GUESS = AMOUNT * RNG.uniform(0.5, 1.5, N)
GROUP = RNG.choice(["f", "m", "n"], N)
OPTIONS: dict[str, Any] = {
    "pos_label": 0,
    "threshold": 0.3,
    "sample_weight": RNG.integers(1, 5, N).astype(float),
    "alpha": 0.2,
    "design_effect": 4.0,
    "block": np.arange(N) // 24,
    "bins": 4,
    "strategy": "quantile",
    "share": 0.3,
    "shares": [0.2, 0.7],
    "edges": [0.0, 0.2, 1.0],
    "level": 0.9,
    "reference": "m",
    "average": "macro",
    "costs": [[0, 5], [1, 1]],
}
NUMERIC = {"gamma_deviance", "mae", "mape", "mse", "pinball", "poisson_deviance", "r2", "rmse"}
FUNCTIONS = [n for n in metrics.__all__ if inspect.isfunction(getattr(metrics, n))]


#: Exchanging the classes leaves these as they are.
SYMMETRIC = {("score_ks", "pos_label")}


def answered(function: Callable[..., Any], *given: Any, **options: Any) -> str:
    """The answer, or the refusal."""
    try:
        return text(function(*given, **options))
    except tg.errors.UsageError as error:
        return str(error)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_of_metrics(name: str) -> None:
    function = getattr(metrics, name)
    parameters = inspect.signature(function).parameters
    data = {
        "y": AMOUNT if name in NUMERIC else LABEL,
        "score": SCORE,
        "predicted": (SCORE > 0.5).astype(int),
        "prediction": GUESS if name in NUMERIC else SCORE,
        "group": GROUP,
    }
    beside = {"costs": [[0, 1], [1, 0]]} if "costs" in parameters else {}
    for option in set(parameters) - set(data):
        given, rest = dict(data), dict(beside)
        if option == "threshold" or (option == "pos_label" and {"threshold", "y"} <= set(parameters)):
            # A score is that of the positive class.
            given["predicted"], rest["threshold"] = SCORE, 0.5
        elif option in ("labels", "average"):
            # Classes and averages over them matter where there are more than two.
            given["y"], given["predicted"] = RNG.integers(0, 3, N), RNG.integers(0, 3, N)
            given["score"] = RNG.dirichlet(np.ones(3), N)
            if "average" in parameters and "predicted" in parameters:
                rest["average"] = "micro"
            if "costs" in parameters:
                rest["costs"] = [[0, 1, 2], [1, 0, 3], [4, 5, 0]]
        value = [0, 1] if option == "labels" else OPTIONS[option]
        if option == "average" and name == "roc_auc":
            value = "weighted"
        arguments = [given[p] for p in parameters if p in given]
        plain = answered(function, *arguments, **rest)
        changed = answered(function, *arguments, **{**rest, option: value})
        assert (changed != plain) == ((name, option) not in SYMMETRIC), f"{name}: {option} is not read"


def test_options_of_permutation_importance() -> None:
    x = pl.DataFrame({"a": RNG.normal(size=N), "b": RNG.normal(size=N), "c": RNG.normal(size=N)})
    y = (x["a"].to_numpy() + 0.5 * RNG.normal(size=N) > 0).astype(int)
    model = LogisticRegression().fit(x.to_numpy(), y)

    def predict(data: Any) -> Any:
        return model.predict_proba(np.asarray(data))[:, 1]

    base = {"scoring": "neg_log_loss"}
    cases = {
        "method": Case("permutation", (model, x.to_numpy(), y), base),
        "scoring": Case("neg_brier_score", None, base),
        "n_repeats": Case(3, None, base),
        "random_state": Case(9, None, base),
        "generator": Case("scikit-learn", None, {**base, "random_state": 1}),
        "sample_weight": Case(RNG.integers(1, 4, N).astype(float), None, base),
        "max_rows": Case(200, None, base),
        "groups": Case({"ab": ["a", "b"]}, None, base),
        "conditional_on": Case(np.arange(N) % 3, None, base),
        "block": Case(np.arange(N) % 20, None, base),
        "alpha": Case(0.3, None, base),
    }
    documented = set(inspect.signature(tg.permutation_importance).parameters) - {"model", "X", "y"}
    # `allow_pickle` is about files of models, `predictions` about who computes the same: tests/importance. `n_threads`
    # and `memory` change nothing.
    rest = {"n_threads", "memory", "allow_pickle", "predictions"}
    assert documented == {*cases, *rest}, "options without a case, or cases without one"
    for option, case in cases.items():
        data = case.data or (predict, x, y)
        plain = text(tg.permutation_importance(*data, **case.beside))
        assert text(tg.permutation_importance(*data, **{**case.beside, option: case.value})) != plain, option


def test_options_of_slices() -> None:
    rng = np.random.default_rng(5)
    data = rng.integers(0, 3, size=(300, 4))
    losses = rng.exponential(size=300) * (1 + 4 * (data[:, 0] == 1) * (data[:, 1] == 2) * (data[:, 2] == 0))
    cases = {"k": 3, "alpha": 0.9, "min_support": 60, "max_level": 1}
    documented = set(inspect.signature(tg.top_slices).parameters) - {"data", "losses"}
    assert documented == {*cases, "n_threads"}, "options without a case, or cases without one"
    beside = {"k": 2, "alpha": 0.98, "min_support": 5}
    plain = tg.top_slices(data, losses, **beside)
    assert tg.top_slices(data, losses, **beside, n_threads=3) == plain
    for option, value in cases.items():
        assert tg.top_slices(data, losses, **{**beside, option: value}) != plain, option
