"""Numbers of other packages on the samples beside this file; run with the interpreter of an environment that has one.

    python -m venv PEER && PEER/bin/pip install evidently==0.7.23 "pandas<3"
    PEER/bin/python tests/oracle/peers/generate.py evidently

writes evidently.json here (``--print`` prints it instead): numbers for tests/oracle/test_parity.py, and the
package's own answers to cases of the scoreboard, which docs/scoreboard.md shows. ENVIRONMENTS below has what to
install for each; `python tools/scoreboard.py --peers` makes the environments, asks anew and shows what differs. No
code is copied: each is called.
"""

import json
import platform
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from samples import NUMBERS, WORDS

#: What `pip install` takes for each package.
ENVIRONMENTS = {
    "evidently": ["evidently==0.7.23", "pandas<3"],
    "scouter": ["scouter-ml==0.25.0", "numpy", "polars"],
    "popmon": ["popmon==1.4.11", "setuptools<80"],
    "whylogs": ["whylogs==1.6.4", "pandas<3", "scipy", "ipython"],
    "alibi_detect": ["alibi-detect==0.13.0"],
    "deepchecks": [
        "deepchecks==0.19.1", "scikit-learn==1.4.2", "numpy<2", "category-encoders<2.7", "setuptools<80",
    ],
    "sliceline": ["sliceline==0.3.0"],
    "nannyml": ["nannyml==0.13.1", "numpy<2", "scipy<1.12", "statsmodels"],
    "frouros": ["frouros==0.9.0"],
}  # fmt: skip

Answer = tuple[str, str, float]  # definition, sample, number


def evidently() -> Iterator[Answer]:
    import pandas as pd
    from evidently.legacy.calculations.stattests import registry
    from evidently.legacy.core import ColumnType

    names = ("psi", "kl_div", "jensenshannon", "hellinger", "wasserstein")
    for kind, samples in ((ColumnType.Numerical, NUMBERS), (ColumnType.Categorical, WORDS)):
        for case, (x, y) in samples.items():
            for name in names:
                if name == "wasserstein" and kind is ColumnType.Categorical:
                    continue
                test = registry.get_stattest(pd.Series(x), pd.Series(y), kind, name)
                score = test.func(pd.Series(x), pd.Series(y), kind, test.default_threshold)[0]
                yield f"evidently.{name}", case, float(score)


def scouter() -> Iterator[Answer]:
    import numpy as np
    from scouter.drift import Drifter, PsiDriftConfig

    for case, (x, y) in NUMBERS.items():
        drifter = Drifter()
        profile = drifter.create_drift_profile(np.column_stack([x, x]), PsiDriftConfig())
        found = drifter.compute_drift(np.column_stack([y, y]), profile)
        yield "scouter.psi", case, float(found.features["feature_0"])


def popmon() -> Iterator[Answer]:
    import numpy as np
    from popmon.analysis.comparison import comparisons

    for case, (x, y) in WORDS.items():
        cells = sorted({*x, *y})
        p, q = (np.array([float(Counter(side)[c]) for c in cells]) for side in (x, y))
        yield "popmon.psi", case, float(comparisons.population_stability_index(p, q))
        yield "popmon.jensen_shannon", case, float(comparisons.jensen_shannon_divergence(p, q))


def whylogs() -> Iterator[Answer]:
    import pandas as pd
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import Hellinger

    for case, (x, y) in NUMBERS.items():
        if len(x) > 200 or case == "ties":
            continue  # beyond, its sketch draws at random
        a, b = (why.log(pd.DataFrame({"x": side})).view().get_column("x") for side in (x, y))
        yield "whylogs.hellinger", case, float(Hellinger().calculate(b, a).statistic)


def alibi_detect() -> Iterator[Answer]:
    import numpy as np
    from alibi_detect.cd import ChiSquareDrift, KSDrift

    for case, (x, y) in NUMBERS.items():
        found = KSDrift(np.array(x)[:, None]).predict(np.array(y)[:, None])
        yield "alibi_detect.ks", case, float(found["data"]["distance"][0])
    for case, (a, b) in WORDS.items():
        levels = {0: sorted({*a, *b})}
        test = ChiSquareDrift(np.array(a)[:, None], categories_per_feature=levels)
        yield "alibi_detect.chi_square", case, float(test.predict(np.array(b)[:, None])["data"]["distance"][0])


def deepchecks() -> Iterator[Answer]:
    import numpy as np
    from deepchecks.utils.distribution import drift

    for case, (x, y) in NUMBERS.items():
        a, b = np.array(x), np.array(y)
        yield "deepchecks.ks", case, float(drift.kolmogorov_smirnov(a, b))
        yield "deepchecks.earth_movers_distance", case, float(drift.earth_movers_distance(a, b, 0.025))
    for case, (first, second) in WORDS.items():
        c, d = np.array(first), np.array(second)
        yield "deepchecks.psi", case, float(drift.psi(c, d, 0.01, None))
        yield "deepchecks.cramers_v", case, float(drift.cramers_v(c, d, False, 0.01, None))


def nannyml_method(name: str, kind: str, x: Any, y: Any) -> float:
    import pandas as pd
    from nannyml.chunk import DefaultChunker
    from nannyml.drift.univariate.methods import FeatureType, MethodFactory
    from nannyml.thresholds import StandardDeviationThreshold

    method = MethodFactory.create(
        name,
        FeatureType(kind),
        chunker=DefaultChunker(),
        threshold=StandardDeviationThreshold(),
        computation_params={},
    )
    return float(method.fit(pd.Series(x, name="x")).calculate(pd.Series(y, name="x")))


def nannyml() -> Iterator[Answer]:
    for case, (x, y) in NUMBERS.items():
        for name in ("jensen_shannon", "hellinger"):
            yield f"nannyml.{name}", case, nannyml_method(name, "continuous", x, y)
    for case, (a, b) in WORDS.items():
        yield "nannyml.l_infinity", case, nannyml_method("l_infinity", "categorical", a, b)


def frouros() -> Iterator[Answer]:
    import numpy as np
    from frouros.detectors.data_drift import PSI

    for case, (x, y) in NUMBERS.items():
        detector = PSI()
        detector.fit(X=np.array(x))
        yield "frouros.psi", case, float(detector.compare(X=np.array(y))[0].distance)


# --- cases of the scoreboard ------------------------------------------------------------------------


def drawn(n: int, seed: int, shift: float = 0.0) -> Any:
    import numpy as np

    return np.random.default_rng(seed).normal(shift, size=n)


def evidently_cases() -> Iterator[tuple[int, str]]:
    import numpy as np
    import pandas as pd
    from evidently.legacy.calculations.stattests import registry
    from evidently.legacy.core import ColumnType

    def score(name: str, x: Any, y: Any, kind: Any = ColumnType.Numerical) -> float:
        test = registry.get_stattest(pd.Series(x), pd.Series(y), kind, name)
        return float(test.func(pd.Series(x), pd.Series(y), kind, test.default_threshold)[0])

    x, y = drawn(5000, 1), drawn(5000, 2, 0.5)
    yield 1, f"PSI {score('psi', x, y):.3g}, with the value {score('psi', x, np.append(y[1:], 1e6)):.3g}"
    rng, letters, shares = np.random.default_rng(3), np.array(list("abcde")), [0.4, 0.25, 0.2, 0.1, 0.05]
    draw = lambda: rng.choice(letters, 500, p=shares)  # noqa: E731
    p = [score("chisquare", draw(), draw(), ColumnType.Categorical) for _ in range(500)]
    yield 2, f"{100 * np.mean(np.array(p) < 0.05):.1f} % of 500 runs"
    known = ["a", "b", "c", "d"] * 2500
    yield 3, f"p = {score('chisquare', known, [*known[1:], 'z'], ColumnType.Categorical):.3g}"
    yield 4, f"p = {score('mannw', drawn(800, 1), drawn(700, 2, -0.5)):.3g}"
    told = []
    for name in ("g_test", "fisher_exact"):
        try:
            found = score(name, [0] * 300 + [1] * 200, [0] * 150 + [1] * 150, ColumnType.Categorical)
            told.append(f"{name} {found:.3g}")
        except Exception as error:
            told.append(f"{name}: {type(error).__name__}")
    yield 5, "; ".join(told)
    from evidently.legacy.metrics.data_drift.embedding_drift_methods import mmd

    frames = [[pd.DataFrame(np.random.default_rng(2 * i + k).normal(size=(150, 3))) for k in (0, 1)] for i in range(30)]
    fired = [bool(mmd(bootstrap=True)(b, a)[1]) for a, b in frames]
    yield 6, f"{sum(fired)} of 30 without drift, embeddings with bootstrap"
    yield 7, f"p = {score('empirical_mmd', drawn(100, 1), drawn(100, 2, 5)):.3g}"
    x, y = drawn(2000, 3), drawn(2000, 4, 0.1)
    moved = score("wasserstein", np.full(500, 1.0), np.full(500, 1.01))
    yield 8, f"energy {score('ed', x, y):.3g} and {score('ed', 1000 * x, 1000 * y):.3g}; constant {moved:.3g}"


def scouter_cases() -> Iterator[tuple[int, str]]:
    import numpy as np
    from scouter.drift import Drifter, PsiDriftConfig

    limit, fired = 16.918977604620448 / 5000, 0  # chi-square with 9 degrees of freedom, 95 %, over the current rows
    for i in range(200):
        x, y = (np.column_stack([drawn(5000, 2 * i + k)] * 2) for k in (0, 1))
        drifter = Drifter()
        found = drifter.compute_drift(y, drifter.create_drift_profile(x, PsiDriftConfig()))
        fired += found.features["feature_0"] > limit
    yield 24, f"{fired / 2:.1f} % of 200 runs"


def popmon_cases() -> Iterator[tuple[int, str]]:
    import numpy as np
    from popmon.analysis.comparison import comparisons

    p = np.array([500.0, 300, 200])
    js, psi = comparisons.jensen_shannon_divergence, comparisons.population_stability_index
    yield 19, f"Jensen-Shannon {js(p, 10 * p):.3g}, PSI {psi(p, 10 * p):.3g}"


def alibi_detect_cases() -> Iterator[tuple[int, str]]:
    import numpy as np
    from alibi_detect.cd import KSDrift

    x = np.column_stack([drawn(1000, 7), drawn(1000, 8)])
    y = np.column_stack([drawn(1000, 6), drawn(1000, 9, 5)])
    y[17, 0] = np.nan
    found = KSDrift(x).predict(y)["data"]
    yield 12, f"is_drift {found['is_drift']}, p = {', '.join(f'{p:.3g}' for p in found['p_val'])}"


def deepchecks_cases() -> Iterator[tuple[int, str]]:
    import numpy as np
    from deepchecks.utils.distribution import drift

    n = 1_000_000
    x, y = (np.where(np.arange(n) < share * n, "yes", "no") for share in (0.001, 0.009))
    yield 18, f"PSI {drift.psi(x, y, 0.01, None):.3g}"
    a, b = ([str(i % 10) for i in range(1000)], [str(i % 9) for i in range(999)])
    yield 14, f"PSI {drift.psi(np.array(a), np.array(b), 0.01, None):.3g}"


def sliceline() -> Iterator[Answer]:
    """No parity definition: slices are kept whole, for tests/scoreboard."""
    yield from ()


def sliceline_slices() -> dict[str, Any]:
    """Scores of the top 4 of the scoreboard's case, the candidates that were evaluated, and seconds of CPU."""
    import time

    import numpy as np
    from sliceline.slicefinder import Slicefinder

    rng = np.random.default_rng(31)
    codes = rng.integers(0, 6, size=(20_000, 12))
    weak = (codes[:, 1] == 2) & (codes[:, 4] == 3)
    errors = rng.exponential(size=20_000) * np.where(weak, 3.0, 1.0)
    counts: list[int] = []

    class Counted(Slicefinder):  # type: ignore[misc]
        def _eval_slice(self, x_encoded: Any, errors: Any, slices: Any, level: int) -> Any:
            counts.append(int(slices.shape[0]))
            return super()._eval_slice(x_encoded, errors, slices, level)

    began = time.process_time()
    found = Counted(alpha=0.95, k=4, max_l=3, min_sup=200, verbose=False).fit(codes, errors)
    seconds = time.process_time() - began
    scores = [float(s["slice_score"]) for s in found.top_slices_statistics_]
    return {"top": scores, "candidates": sum(counts), "seconds": round(seconds, 1)}


def nannyml_cases() -> Iterator[tuple[int, str]]:
    import numpy as np

    x, y = np.exp(3 * drawn(20_000, 4)), np.exp(3 * drawn(20_000, 5, 0.1))
    yield 9, f"{nannyml_method('kolmogorov_smirnov', 'continuous', x, y):.3g}"
    a, b = ["a"] * 6 + ["b"] * 4, ["a"] * 3 + ["b"] * 7
    yield 16, f"{nannyml_method('jensen_shannon', 'categorical', a, b):.3g}"


def frouros_cases() -> Iterator[tuple[int, str]]:
    from frouros.detectors.data_drift import PSI, KuiperTest

    told = []
    for n, bins in ((2000, 10), (200, 20)):
        found = []
        for seed in range(0, 600, 2):
            detector = PSI(num_bins=bins)
            detector.fit(X=drawn(n, seed))
            found.append(float(detector.compare(X=drawn(n, seed + 1))[0].distance))
        told.append(f"n = {n}, {bins} cells: {sum(found) / len(found):.3g} in the mean")
    yield 13, "; ".join(told)
    test = KuiperTest()
    test.fit(X=drawn(1500, 5))
    yield 15, f"{float(test.compare(X=2 * drawn(1500, 6))[0].statistic):.3g}"


def no_cases() -> Iterator[tuple[int, str]]:
    yield from ()


PEERS: dict[str, tuple[Callable[[], Iterator[Answer]], Callable[[], Iterator[tuple[int, str]]], str]] = {
    "evidently": (evidently, evidently_cases, "evidently"),
    "scouter": (scouter, scouter_cases, "scouter-ml"),
    "popmon": (popmon, popmon_cases, "popmon"),
    "whylogs": (whylogs, no_cases, "whylogs"),
    "alibi_detect": (alibi_detect, alibi_detect_cases, "alibi-detect"),
    "deepchecks": (deepchecks, deepchecks_cases, "deepchecks"),
    "sliceline": (sliceline, no_cases, "sliceline"),
    "nannyml": (nannyml, nannyml_cases, "nannyml"),
    "frouros": (frouros, frouros_cases, "frouros"),
}


def main() -> None:
    warnings.simplefilter("ignore")
    name, show = sys.argv[1], "--print" in sys.argv[2:]
    run, cases, distribution = PEERS[name]
    values: dict[str, dict[str, float]] = {}
    for definition, case, number in run():
        values.setdefault(definition, {})[case] = number
    versions = {p: version(p) for p in (distribution, "numpy")} | {"python": platform.python_version()}
    made: dict[str, Any] = {"package": distribution, "versions": versions, "values": values}
    made["scoreboard"] = {str(number): told for number, told in cases()}
    if name == "sliceline":
        found = sliceline_slices()
        made |= found
        made["scoreboard"] = {"31": f"{found['candidates']:,} candidates, {found['seconds']} s of CPU"}
    text = json.dumps(made, indent=1) + "\n"
    if show:
        # Packages print too: the answer is the last document.
        print("\f" + text)
    else:
        Path(__file__).with_name(f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
