"""The source of `python/tidegauge/stats.py`: one function per statistic of the registry.

What a docstring says of missing values and the example it shows are found by running the statistic.
"""

import json
import textwrap
from math import inf, nan
from typing import Any

HEAD = '''\
"""One statistic of two samples at a time; the same definitions, hence numbers, as in a report.

Each function takes two one-dimensional samples: numpy arrays, lists, Polars and pandas Series, or
anything with the Arrow capsule. The first is the reference.
"""

# Written by tools/generated.py from the registry; `make docs` renews it.

from typing import Any

from tidegauge._classifier import classifier_test
from tidegauge._joint import JointResult, energy_multivariate, mmd, pca_reconstruction
from tidegauge._statistic import Interval, TestResult, evaluate, parity

__all__ = [
{names}
]
'''

FUNCTION = '''

def {name}(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """{summary}

    Parameters
    ----------
    x, y : array-like of {values}, shape (n,) and (m,)
        Reference and current sample. {missing}
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
{returns}

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
{notes}

    References
    ----------
{source}

    Examples
    --------
    >>> from tidegauge import stats
{example}
    """
    return evaluate("{name}", x, y, alpha, categorical, weights)
'''

ALIAS = """

csi = psi  # the characteristic stability index is the same number of a feature
"""

VALUES = {
    "numeric": "numbers or times",
    "categorical": "text, booleans, or numbers with ``categorical=True``",
    "any": "one type",
}

# Samples as a docstring shows them, the shortest first; the names they use.
NUMBERS = [
    ("[1.0, 2.0, 3.0, 4.0]", "[2.0, 3.0, 4.0, 5.0]"),
    ("[1.0, 2.0, 3.0, 4.0]", "[2.0, 3.0, None, None]"),
    ("[1.0, 2.0, 3.0, 4.0]", '[2.0, 3.0, float("nan"), float("nan")]'),
    ("list(range(20))", "list(range(5, 30))"),
    ("[1.0, 2.0, 3.0, 4.0]", '[2.0, 3.0, float("inf"), 4.0]'),
]
TEXTS = [
    ('["a", "a", "b", "b"]', '["a", "b", "b", "c"]'),
    ('["a"] * 8 + ["b"] * 2', '["a"] * 2 + ["b"] * 8'),
    ('["a", "a", "b", "b"]', '["a", "a", "a"]'),
]
SAMPLES = {"numeric": NUMBERS, "categorical": TEXTS, "any": [*TEXTS, *NUMBERS]}
# A long sample, for statistics that refuse a short one.
LONG = [float(i * i % 37) for i in range(60)]


def value(name: str, x: list[Any], y: list[Any]) -> float | None:
    """The statistic, or none where it does not apply."""
    from tidegauge._statistic import evaluate
    from tidegauge.errors import TidegaugeError

    try:
        return evaluate(name, x, y, 0.05, False).statistic
    except TidegaugeError:
        return None


def example(name: str, kinds: str) -> tuple[str, str]:
    """The first call whose value differs from that of no change, and what it prints."""
    for x, y in SAMPLES[kinds]:
        before, after = eval(x), eval(y)
        found = value(name, before, after)
        if found is None or found in (inf, -inf) or found != found:
            continue
        if abs(found - (value(name, before, before) or 0.0)) > 1e-6:
            return f"round(stats.{name}({x}, {y}).statistic, 6)", repr(round(found, 6))
    raise SystemExit(f"{name}: add samples to SAMPLES in tools/functions.py that move this statistic")


def changes(name: str, kinds: str, missing: object) -> bool:
    """Whether `missing` in the current sample changes the value."""
    numbers = [(LONG, LONG[:40])]
    texts = [(list("aabbccdd") * 8, list("aaabbbbcd") * 8), (list("aabb") * 8, list("aaabbbb") * 8)]
    if missing is not None:
        texts = []
    pairs = [(value(name, x, y), x, y) for x, y in ([] if kinds == "numeric" else texts)]
    pairs += [(value(name, x, y), x, y) for x, y in ([] if kinds == "categorical" else numbers)]
    found = [pair for pair in pairs if pair[0] is not None]
    if not found:
        raise SystemExit(f"{name}: does not apply to the samples of `changes` in tools/functions.py")
    return any(value(name, x, [*y, missing, missing, missing]) != full for full, x, y in found)


def missing_values(name: str, kinds: str) -> str:
    """What happens to null and NaN, as a sentence."""
    null = changes(name, kinds, None)
    if kinds == "categorical":
        return "Nulls take part." if null else "Nulls are left out."
    not_a_number = changes(name, kinds, nan)
    if null == not_a_number:
        return "Nulls and NaN take part." if null else "Nulls and NaN are left out."
    return "Nulls take part, NaN are left out." if null else "NaN take part, nulls are left out."


def interval(low: float | None, high: float | None) -> str:
    """A range, open where it is unbounded."""
    left = "(-inf" if low is None else f"[{low:g}"
    right = "inf)" if high is None else f"{high:g}]"
    return f"{left}, {right}"


def paragraph(text: str, indent: int, hanging: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()),
        width=116,
        initial_indent=" " * indent + hanging,
        subsequent_indent=" " * (indent + len(hanging)),
        break_long_words=False,
        break_on_hyphens=False,
    )


def function(entry: dict[str, Any]) -> str:
    name, kinds, null = entry["name"], entry["kinds"], entry["null"]
    summary = entry["summary"][0].upper() + entry["summary"][1:] + "."
    if len(summary) > 112 or "\n" in summary:
        raise SystemExit(f"{name}: the summary is longer than one line of 112 characters: {summary}")
    call, answer = example(name, kinds)
    pvalue = f"under the null ``{null}``" if null else "is None"
    shown = f"    >>> {call}"
    if len(shown) > 120:
        raise SystemExit(f"{name}: the example is longer than a line: {shown}")
    return FUNCTION.format(
        name=name,
        summary=summary,
        values=VALUES[kinds],
        missing=missing_values(name, kinds),
        returns=paragraph(
            f"``statistic`` in {interval(*entry['range'])}, unit: {entry['unit']}. ``pvalue`` {pvalue}.", 8
        ),
        notes=paragraph(f"Definition ``{entry['definition']}``: {entry['notes']}. Reports give the same number.", 4),
        source=paragraph(entry["reference"], 4, ".. [1] "),
        example=f"{shown}\n    {answer}",
    )


def source() -> str:
    from tidegauge import _core

    registry = json.loads(_core.registry())
    joint = json.loads(_core.joint_registry())
    names = ["Interval", "JointResult", "TestResult", "csi", "parity"]
    names = sorted([*names, *(entry["name"] for entry in registry + joint)])
    head = HEAD.format(names="\n".join(f'    "{name}",' for name in names))
    return head + "".join(map(function, registry)) + ALIAS
