"""Writes special.json and statistics.json: independent answers for tests/statistics.rs.

Run with scipy, numpy, mpmath and statsmodels installed; the versions used are in the files.
Shares are rational numbers and logarithms have 50 digits, so the tables do not share the rounding
of the code they check.
"""

import json
import math
from fractions import Fraction
from pathlib import Path

import mpmath as mp
import numpy as np
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

HERE = Path(__file__).parent
mp.mp.dps = 50
VERSIONS = {"scipy": scipy.__version__, "mpmath": mp.__version__, "numpy": np.__version__,
            "statsmodels": statsmodels.__version__}


def spell(x):
    return x if isinstance(x, str) else float(x)


def digits(content):
    """Floats as strings: readers of JSON numbers are not all correctly rounded."""
    if isinstance(content, float):
        return repr(content)
    if isinstance(content, dict):
        return {k: digits(v) for k, v in content.items()}
    return [digits(v) for v in content] if isinstance(content, list) else content


# --- special functions ---------------------------------------------------------------------------
def kolmogorov(x):
    x = mp.mpf(x)
    if x < mp.mpf("0.5"):
        return 1 - mp.sqrt(2 * mp.pi) / x * mp.nsum(lambda k: mp.exp(-((2 * k - 1) ** 2) * mp.pi**2 / (8 * x * x)), [1, 40])
    return 2 * mp.fsum((-1) ** (k - 1) * mp.exp(-2 * k * k * x * x) for k in range(1, 200))


def student(t, df):
    t, df = mp.mpf(t), mp.mpf(df)
    if df <= 100:
        return mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + t * t), regularized=True)
    with mp.workdps(30):  # hypergeometric sums are slow here: integrate the density
        log_c = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2

        def density(u):
            return mp.exp(log_c - (df + 1) / 2 * mp.log1p(u * u / df))

        if t < 3:
            return 1 - 2 * mp.quad(density, [0, t / 2, t])
        scale = df / (t * (df + 1)) + t / (df + 1)  # decay length of the density at t
        return 2 * mp.quad(density, [t + scale * i for i in (0, 2, 5, 10, 18, 30, 50, 80)])


def gamma_q(a, x):
    a, x = mp.mpf(a), mp.mpf(x)
    if a < 100:
        return mp.gammainc(a, x, mp.inf, regularized=True)
    prefix = mp.exp(a * mp.log(x) - x - mp.loggamma(a + 1))
    if x < a + 1:  # P by its series
        term = total = mp.mpf(1)
        n = a
        while term > total * mp.mpf("1e-40"):
            n += 1
            term *= x / n
            total += term
        return 1 - prefix * total
    depth = int(40 * mp.sqrt(a)) + 400  # Legendre's fraction from the far end
    tail = x + 2 * depth + 1 - a
    for i in range(depth, 0, -1):
        tail = x + 2 * i - 1 - a - i * (i - a) / tail
    return prefix * a / tail


def special():
    normal = [-8, -1, 0, 1e-9, 0.3, 1, 1.959963984540054, 5, 10, 20, 30, 36.4, 37]
    out = {"normal_sf": [[x, spell(mp.erfc(mp.mpf(x) / mp.sqrt(2)) / 2)] for x in normal]}
    ps = [1e-300, 1e-290, 1e-200, 1e-100, 1e-30, 1e-12, 1e-6, 0.001, 0.024999, 0.05, 0.0750001, 0.2, 0.49, 0.5, 0.51, 0.9, 0.999, 0.9999999]
    out["normal_isf"] = []
    for p in ps:
        guess = stats.norm.isf(p)
        root = mp.findroot(lambda x: mp.log(mp.erfc(x / mp.sqrt(2)) / 2) - mp.log(mp.mpf(p)), guess)
        out["normal_isf"].append([p, spell(root)])
    out["kolmogorov_sf"] = [[x, spell(kolmogorov(x))] for x in
                            [0.05, 0.1, 0.3, 0.5, 0.7, 0.7999, 0.8, 0.8001, 1, 1.36, 2, 3, 5, 8, 12, 15, 18.2]]
    out["chi_square_sf"] = []
    for df in [1, 2, 3, 9, 20, 39, 40, 41, 100, 999, 20000, 200000]:
        for z in [-3, -1, 0, 0.5, 1, 2, 4, 8, 15, 25, 34]:
            x = df * max(1e-6, 1 - 2 / (9 * df) + z * math.sqrt(2 / (9 * df))) ** 3
            out["chi_square_sf"].append([x, df, spell(gamma_q(mp.mpf(df) / 2, mp.mpf(x) / 2))])
    for x, df in [(1300, 1), (1320, 2), (1400, 30), (1e-12, 5), (3.84, 1)]:
        out["chi_square_sf"].append([x, df, spell(gamma_q(mp.mpf(df) / 2, mp.mpf(x) / 2))])
    out["student_two_sided"] = []
    for df in [1, 1.7, 2, 5, 10.3, 57, 63, 200, 1999.5, 20000, 49999, 50001, 3e5, 1e7, 1e12]:
        for t in [1e-6, 0.1, 1, 2, 5, 12, 30, 36]:
            p = student(t, df)
            if p > mp.mpf("1e-290"):
                out["student_two_sided"].append([t, df, spell(p)])
    out["binomial_sf"] = []
    for k, n, p in [(1, 1, 0.5), (3, 10, 0.2), (10, 10, 0.3), (0, 5, 0.1), (500, 1000, 0.5), (900, 1000, 0.5), (30, 1000, 0.5),
                    (510_000, 1_000_000, 0.5), (5, 1_000_000, 1e-6)]:
        q = mp.mpf(p)  # terms upwards from k, by their ratio
        term = mp.binomial(n, k) * q**k * (1 - q) ** (n - k)
        total, i = mp.mpf(0), k
        while i <= n and (i <= n * p or term > total * mp.mpf("1e-30")):
            total += term
            term *= mp.mpf(n - i) / (i + 1) * q / (1 - q)
            i += 1
        out["binomial_sf"].append([k, n, p, spell(total)])
    return out


# --- statistics on numbers --------------------------------------------------------------------------
def exact_ks(x, y):
    xs, ys = np.sort(x), np.sort(y)
    best = Fraction(0)
    for v in np.unique(np.concatenate([xs, ys])):
        f = Fraction(int(np.searchsorted(xs, v, side="right")), len(xs))
        g = Fraction(int(np.searchsorted(ys, v, side="right")), len(ys))
        best = max(best, abs(f - g))
    return best


def exact_w1(x, y):
    xs, ys = np.sort(x), np.sort(y)
    points = np.unique(np.concatenate([xs, ys]))
    area = Fraction(0)
    for a, b in zip(points[:-1], points[1:]):
        f = Fraction(int(np.searchsorted(xs, a, side="right")), len(xs))
        g = Fraction(int(np.searchsorted(ys, a, side="right")), len(ys))
        area += abs(f - g) * (Fraction(float(b)) - Fraction(float(a)))
    return area


def numeric(name, x, y):
    x, y = np.asarray(x, float), np.asarray(y, float)
    rec = {"name": name, "x": [spell(v) for v in x], "y": [spell(v) for v in y]}
    d = exact_ks(x, y)
    rec["ks"] = float(d)
    assert abs(stats.ks_2samp(x, y, method="asymp").statistic - float(d)) < 1e-14
    en = mp.mpf(len(x)) * len(y) / (len(x) + len(y))
    rec["ks_pvalue"] = spell(kolmogorov(mp.sqrt(en) * mp.mpf(d.numerator) / d.denominator)) if d else 1.0
    fx, fy = x[np.isfinite(x)], y[np.isfinite(y)]
    if len(fx) and len(fy):
        rec["wasserstein"] = spell(exact_w1(fx, fy))
        if np.abs(fx).max() < 1e300:
            assert math.isclose(stats.wasserstein_distance(fx, fy), rec["wasserstein"], rel_tol=1e-9, abs_tol=1e-12)
        qs = [Fraction(k, 20) for k in (1, 5, 10, 15, 19)]
        inv = lambda s, q: np.sort(s)[max(math.ceil(q * len(s)), 1) - 1]
        rec["quantile_shift"] = spell(max(abs(inv(fx, q) - inv(fy, q)) for q in qs))
        mean = lambda s: sum(Fraction(float(v)) for v in s) / len(s)
        var = lambda s: sum((Fraction(float(v)) - mean(s)) ** 2 for v in s) / (len(s) - 1) if len(s) > 1 else math.nan
        for side, s in (("x", fx), ("y", fy)):
            rec[f"mean_{side}"] = spell(mean(s))
            try:
                rec[f"variance_{side}"] = spell(var(s))
            except OverflowError:
                rec[f"variance_{side}"] = math.inf
        if len(fx) > 1 and len(fy) > 1 and fx.std() + fy.std() > 0 and np.abs(fx).max() < 1e150:
            t = stats.ttest_ind(fy, fx, equal_var=False)
            ci = t.confidence_interval(0.95)
            rec["mean_shift"] = spell(mean(fy) - mean(fx))
            rec["mean_shift_pvalue"] = spell(t.pvalue)
            rec["mean_shift_ci"] = [spell(ci.low), spell(ci.high)]
    return rec


# --- statistics on tables ---------------------------------------------------------------------------
def table(name, a, b):
    rec = {"name": name, "a": a, "b": b}
    pairs = [(i, j) for i, j in zip(a, b) if i or j]
    n, m, k = sum(a), sum(b), len(pairs)
    P = [mp.mpf(i) / n for i, _ in pairs]
    Q = [mp.mpf(j) / m for _, j in pairs]
    rec["total_variation"] = spell(mp.fsum(abs(p - q) for p, q in zip(P, Q)) / 2)
    rec["l_infinity"] = spell(max(abs(p - q) for p, q in zip(P, Q)))
    xlog = lambda p, r: p * mp.log(p / r) if p else mp.mpf(0)
    jsd = mp.fsum(xlog(p, (p + q) / 2) + xlog(q, (p + q) / 2) for p, q in zip(P, Q)) / 2
    rec["jensen_shannon"] = spell(mp.sqrt(max(jsd, 0)))
    rec["hellinger"] = spell(mp.sqrt(mp.fsum((mp.sqrt(p) - mp.sqrt(q)) ** 2 for p, q in zip(P, Q)) / 2))
    half = mp.mpf(1) / 2
    p2 = [(i + half) / (n + half * k) for i, _ in pairs]
    q2 = [(j + half) / (m + half * k) for _, j in pairs]
    psi = mp.fsum((q - p) * mp.log(q / p) for p, q in zip(p2, q2))
    rec["psi"] = spell(psi)
    c = mp.mpf(1) / n + mp.mpf(1) / m
    rec["psi_if_no_change"] = spell((k - 1) * c)
    rec["psi_pvalue"] = spell(gamma_q(mp.mpf(k - 1) / 2, psi / c / 2)) if k > 1 and psi / c < 1400 else (1.0 if k == 1 else None)
    N = n + m
    chi = mp.fsum((mp.mpf(i) * m - mp.mpf(j) * n) ** 2 / (mp.mpf(n) * m * (i + j)) for i, j in pairs)
    rec["chi_square"] = spell(chi)
    if k > 1 and max(n, m) < 1e9:
        ref = stats.chi2_contingency(np.array(pairs).T, correction=False)
        assert math.isclose(ref.statistic, float(chi), rel_tol=1e-9, abs_tol=1e-12)
    rec["chi_square_pvalue"] = spell(gamma_q(mp.mpf(k - 1) / 2, chi / 2)) if k > 1 and chi < 1400 else (1.0 if k == 1 else None)
    phi = max(mp.mpf(0), chi / N - mp.mpf(k - 1) / (N - 1))  # Bergsma (2013)
    kt, rt = k - mp.mpf(k - 1) ** 2 / (N - 1), 2 - mp.mpf(1) / (N - 1)
    low = min(kt - 1, rt - 1)
    rec["cramers_v"] = spell(min(mp.mpf(1), mp.sqrt(phi / low))) if low > 0 else 0.0
    return rec


def rate(a, n, b, m):
    rec = {"a": a, "n": n, "b": b, "m": m, "value": abs(float(Fraction(b, m) - Fraction(a, n)))}
    low, high = confint_proportions_2indep(b, m, a, n, method="newcomb", compare="diff", alpha=0.05)
    low, high = float(low), float(high)
    rec["ci"] = [0.0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high))]
    rec["pvalue"] = 1.0 if rec["value"] == 0 else float(proportions_ztest([b, a], [m, n])[1])
    return rec


def main():
    rng = np.random.default_rng(20260101)
    inf = math.inf
    nums = [
        numeric("normal", rng.normal(size=60).round(6), rng.normal(0.4, 1.2, size=83).round(6)),
        numeric("ties", rng.integers(0, 5, 50), rng.integers(1, 7, 41)),
        numeric("one row each", [1.5], [2.5]),
        numeric("one row equal", [3.0], [3.0]),
        numeric("constant reference", [1.0] * 20, [1.0] * 10 + [1.01] * 10),
        numeric("both constant", [2.0] * 9, [2.0] * 7),
        numeric("disjoint", rng.normal(size=30).round(4), rng.normal(100, 1, size=20).round(4)),
        numeric("infinities", [-inf, -inf, 0.0, 1.0, inf], [-inf, 0.5, inf, inf, inf, 2.0]),
        numeric("huge", [-1e308, 0.0, 1e308], [1e308, 1e308, -1e308, 5.0]),
        numeric("offset", 1e6 + 1e-3 * rng.normal(size=70), 1e6 + 1e-3 * rng.normal(0.5, 1, size=70)),
        numeric("cauchy", rng.standard_cauchy(100), rng.standard_cauchy(90) + 0.2),
        numeric("subnormal", [5e-324, 0.0, 1e-320], [0.0, 0.0, 5e-324, 1e-310]),
        numeric("one against many", [0.0], rng.normal(size=50).round(5)),
        numeric("twenty ranks", np.arange(20.0), np.arange(20.0) * 1.5),
    ]
    big = 2_200_000_000 * 1000
    tables = [
        table("plain", [25, 25, 25, 25], [10, 20, 30, 40]),
        table("identical", [10, 20, 70], [10, 20, 70]),
        table("proportional", [10, 20, 70], [1, 2, 7]),
        table("new cell", [5000, 5000, 0], [4999, 5000, 1]),
        table("emptied tenth", [1000] * 10, [0] + [1111] * 9),
        table("disjoint", [30, 20, 0, 0], [0, 0, 10, 5]),
        table("one cell", [100], [7]),
        table("empty on both sides", [50, 0, 50], [40, 0, 70]),
        table("one row each", [1, 0], [0, 1]),
        table("unequal sizes", [900, 90, 10], [3, 2, 1]),
        table("tiny shift", [10**9, 10**9], [10**9 + 1, 10**9 - 1]),
        table("counts beyond 32 bits", [big, big + 12345, 5], [big + 999, big, 7]),
        table("rare and many", [10**12, 1000, 9000], [10**11, 900, 100]),
        table("random", [int(v) for v in rng.integers(0, 200, 40)], [int(v) for v in rng.integers(0, 150, 40)]),
    ]
    rates = [rate(*r) for r in [(0, 100, 0, 80), (48, 80, 56, 70), (0, 1000, 30, 900), (1000, 1000, 20, 30), (5, 10**12, 900, 10**6),
                                (10**6, 10**9, 10**6 + 3000, 10**9), (1, 1, 0, 1), (30, 30, 0, 3552), (197, 3515, 203, 3552)]]
    p = [0.0, 1e-9, 0.001, 0.001, 0.02, 0.04, 0.3, 0.9, 1.0]
    adjust = {"pvalues": p, "bh": list(map(float, multipletests(p, method="fdr_bh")[1])),
              "by": list(map(float, multipletests(p, method="fdr_by")[1]))}
    for path, content in (("special.json", {"versions": VERSIONS, **special()}),
                          ("statistics.json", {"versions": VERSIONS, "numeric": nums, "tables": tables, "rates": rates, "adjust": adjust})):
        (HERE / path).write_text(json.dumps(digits(content), indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
