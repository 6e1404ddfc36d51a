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


def kuiper(x):
    x = mp.mpf(x)
    return 2 * mp.nsum(lambda j: (4 * j * j * x * x - 1) * mp.exp(-2 * j * j * x * x), [1, mp.inf])


def omega_squared(x):
    """One minus the series of Csorgo and Faraway (1996), equation 1.2, with digits to spare: not the integrals of the code."""
    with mp.workdps(360 if x > 4 else 60):  # the tail is e^(-x pi^2 / 2)
        x = mp.mpf(x)
        terms = []
        for k in range(400):
            u = (4 * k + 1) ** 2 / (16 * x)
            term = (-1) ** k * mp.binomial(-mp.mpf(1) / 2, k) * mp.sqrt(4 * k + 1) * mp.exp(-u) * mp.besselk(mp.mpf(1) / 4, u)
            terms.append(term)
            if abs(term) < mp.mpf("1e-340"):
                break
        return 1 - mp.fsum(terms) / (mp.pi * mp.sqrt(x))


def a_squared(x):
    """Anderson and Darling (1954) for the body, the integrals between the poles freed of their singular ends, for the tail."""
    x = mp.mpf(x)
    if x < 3:  # equation for F(x): sums of integrals over [0, inf)
        with mp.workdps(30):
            total = mp.mpf(0)
            for j in range(60):
                t = (4 * j + 1) ** 2 * mp.pi**2 / (8 * x)
                inner = mp.quad(lambda w: mp.exp(x / (8 * (w * w + 1)) - t * w * w), [0, 1 / mp.sqrt(t), 4 / mp.sqrt(t), 14 / mp.sqrt(t)])
                term = mp.binomial(-mp.mpf(1) / 2, j) * (4 * j + 1) * mp.exp(-t) * inner
                total += term
                if abs(term) < mp.mpf("1e-28"):
                    break
            return 1 - mp.sqrt(2 * mp.pi) / x * total
    with mp.workdps(30):
        total = mp.mpf(0)
        for j in range(1, 40):
            k = 2 * j - 1

            def f(d, root, k=k):  # d from either pole, root of it taken out of the singular end
                v = k + d
                return 2 * root * mp.exp(-x * (v * (v + 1) - k * (k + 1)) / 2) * (2 * v + 1) * mp.sqrt(mp.pi / (v * (v + 1) * mp.sin(mp.pi * root * root)))

            ends = [mp.sqrt(mp.mpf(e)) for e in (0, *(min(mp.mpf(1) / 2, c / x) for c in (2, 8, 20, 60)), mp.mpf(1) / 2)]
            ends = sorted(set(ends))
            piece = (mp.quad(lambda s: f(s * s, s), ends, method="gauss-legendre") + mp.quad(lambda s: f(1 - s * s, s), [0, mp.sqrt(mp.mpf(1) / 2)], method="gauss-legendre"))
            piece *= mp.exp(-x * k * (k + 1) / 2) / mp.pi  # quad stops at an absolute error
            total += piece if j % 2 else -piece
            if piece < total * mp.mpf("1e-22"):
                return total
    raise ArithmeticError(x)


def fisher(a, b, c, d):
    """Every table with the same margins, in integers."""
    row, column, n = a + b, a + c, a + b + c + d
    ways = {k: math.comb(column, k) * math.comb(n - column, row - k) for k in range(max(0, row + column - n), min(row, column) + 1)}
    return mp.mpf(sum(w for w in ways.values() if w <= ways[a])) / math.comb(n, row)


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
    out["kuiper_sf"] = [[x, spell(kuiper(x))] for x in [0.3, 0.5, 0.7, 1, 1.1999, 1.2, 1.2001, 1.5, 2, 3, 5, 8, 12, 15, 18]]
    out["cramer_von_mises_sf"] = [[x, spell(omega_squared(x))] for x in
                                  [0.001, 0.005, 0.01, 0.02, 0.05, 1 / 6, 0.3, 0.46136, 1, 2, 5, 10, 20, 40, 80, 120, 134]]
    out["anderson_darling_sf"] = [[x, spell(a_squared(x))] for x in
                                  [0.02, 0.05, 0.1, 0.2, 0.5, 1, 1.933, 2.492, 2.999, 3, 3.857, 8, 20, 60, 150, 300, 500, 660]]
    tables = [(8, 2, 1, 5), (1, 9, 11, 3), (0, 10, 10, 0), (5, 5, 5, 5), (3, 0, 0, 4), (1, 0, 0, 1), (100, 200, 150, 250), (7, 93, 93, 7),
              (0, 1000, 12, 800), (400, 600, 600, 400), (2000, 3000, 2999, 2000), (480, 20, 20, 480), (1, 10**5, 9, 10**5), (5000, 5001, 5000, 4999)]
    out["fisher_two_sided"] = [[*t, spell(fisher(*t))] for t in tables]
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


def blocks(x, y):
    """Distinct values in ascending order with the rows of both sides that hold them."""
    return [(float(v), int((x == v).sum()), int((y == v).sum())) for v in np.unique(np.concatenate([x, y]))]


def ratio(x):
    return mp.mpf(x.numerator) / x.denominator


def limit_variance(weights, places, spreads):
    """Variance of sum w_i Z_i^2 for normal Z_i with covariance a_i (1 - a_j) and the variances given."""
    total = mp.mpf(0)
    for i, (w, a) in enumerate(zip(weights, places)):
        total += 2 * w * w * spreads[i] ** 2
        for v, b in zip(weights[i + 1 :], places[i + 1 :]):
            total += 4 * w * v * (a * (1 - b)) ** 2
    return total


def on_ranks(x, y):
    """Statistics of ordered values, infinities among them, in rational numbers from their definitions."""
    table, n, m = blocks(x, y), len(x), len(y)
    N = n + m
    up = down = cvm = ad = pairs = Fraction(0)
    mean, a, b, ties = Fraction(0), 0, 0, Fraction(0)
    places, middles, shares, spreads = [], [], [], []
    for _, i, j in table:
        pairs += i * b + Fraction(i * j, 2)
        l = i + j
        middle = Fraction(2 * a + i, 2 * n) - Fraction(2 * b + j, 2 * m)
        B = a + b + Fraction(l, 2)
        weight = B * (N - B) - Fraction(N * l, 4)
        if weight:
            ad += l * middle**2 / weight
        a, b = a + i, b + j
        gap = Fraction(a, n) - Fraction(b, m)
        up, down = max(up, gap), max(down, -gap)
        cvm += l * gap**2
        mean += Fraction(l * (a + b) * (N - a - b), N * N * (N - 1))
        ties += Fraction(l**3 - l)
        places.append(Fraction(a + b, N)), shares.append(Fraction(l, N)), middles.append(B / N), spreads.append(weight / N**2)
    T = cvm * n * m / N**2
    rec = {"cramer_von_mises": spell(T), "cramer_von_mises_if_no_change": spell(mean), "mann_whitney": spell(pairs),
           "probability_of_superiority": spell(1 - pairs / (n * m)), "kuiper": spell(up + down)}
    rec["kuiper_pvalue"] = spell(kuiper(mp.sqrt(mp.mpf(n) * m / N) * ratio(up + down))) if up + down else 1.0
    p, w = [ratio(v) for v in places], [ratio(v) for v in shares]
    tied = limit_variance(w, p, [v * (1 - v) for v in p])
    untied = limit_variance([mp.mpf(1) / N] * N, [mp.mpf(k) / N for k in range(1, N + 1)], [mp.mpf(k) * (N - k) / N**2 for k in range(1, N + 1)])
    k = n * m
    anderson = mp.mpf((N + 1) * (4 * k * N - 3 * (n * n + m * m) - 2 * k)) / (45 * N * N * 4 * k)
    variance = anderson * tied / untied if untied else mp.mpf(0)
    rec["cramer_von_mises_pvalue"] = spell(omega_squared(mp.mpf(1) / 6 + ratio(T - mean) / mp.sqrt(45 * variance))) if variance and T else 1.0
    variance = Fraction(n * m, 12) * (N + 1 - ties / (N * (N - 1)))
    z = (abs(ratio(pairs) - mp.mpf(n * m) / 2) - mp.mpf(1) / 2) / mp.sqrt(ratio(variance)) if variance else None
    rec["mann_whitney_pvalue"] = spell(min(mp.mpf(1), mp.erfc(z / mp.sqrt(2)))) if variance else 1.0
    if N >= 4:
        A2 = ratio(ad * n * m * (N - 1) / N)
        h = sum(Fraction(1, i) for i in range(1, N))
        g = sum(Fraction(1, (N - i) * j) for i in range(1, N - 1) for j in range(i + 1, N))
        H = Fraction(1, n) + Fraction(1, m)
        c3, c2 = (4 * g - 6) + (10 - 6 * g) * H, 4 * (2 * g - 4) + 16 * h + (2 * g - 14 * h - 4) * H - 8 * h + 4 * g - 6
        c1, c0 = 4 * (6 * h + 2 * g - 2) + 2 * (4 * h - 4 * g + 6) + (2 * h - 6) * H + 4 * h, 4 * (2 * h + 6) - 8 * h
        sigma = mp.sqrt(ratio((c3 * N**3 + c2 * N**2 + c1 * N + c0) / ((N - 1) * (N - 2) * (N - 3))))
        rec["anderson_darling"] = spell((A2 - 1) / sigma)
        kept = [i for i, s in enumerate(spreads) if s]
        s = [ratio(spreads[i]) for i in kept]
        tied = limit_variance([w[i] / v for i, v in zip(kept, s)], [ratio(middles[i]) for i in kept], s)
        limit = 2 * (mp.pi**2 - 9) / 3
        rec["anderson_darling_pvalue"] = spell(a_squared(1 + (A2 - 1) * mp.sqrt(limit / tied))) if tied and A2 else 1.0
        if np.isfinite(x).all() and np.isfinite(y).all() and len(table) > 1:
            assert math.isclose(stats.anderson_ksamp([x, y], variant="midrank").statistic, rec["anderson_darling"], rel_tol=1e-9, abs_tol=1e-9)
    u = stats.mannwhitneyu(x, y, method="asymptotic")
    assert math.isclose(u.statistic, rec["mann_whitney"]) and (math.isnan(u.pvalue) or math.isclose(u.pvalue, rec["mann_whitney_pvalue"], rel_tol=1e-9))
    if len(table) == N and min(n, m) > 1 and np.isfinite(x).all() and np.isfinite(y).all():
        c = stats.cramervonmises_2samp(x, y, method="asymptotic")
        assert math.isclose(c.statistic, rec["cramer_von_mises"], rel_tol=1e-9), (c, rec)
        assert math.isclose(c.pvalue, rec["cramer_von_mises_pvalue"], rel_tol=1e-6, abs_tol=1e-7), (c, rec)  # scipy's series ends early
    return rec


def on_values(x, y):
    """Statistics of finite values in rational numbers."""
    table, n, m = blocks(x, y), len(x), len(y)
    a = b = area = Fraction(0)
    for (v, i, j), (after, _, _) in zip(table[:-1], table[1:]):
        a, b = a + Fraction(i, n), b + Fraction(j, m)
        area += (a - b) ** 2 * (Fraction(after) - Fraction(v))
    rec = {"energy": spell(mp.sqrt(2 * ratio(area)))}
    if n + m > 2:
        z, sides = [], (sorted(map(Fraction, map(float, x))), sorted(map(Fraction, map(float, y))))
        for side in sides:
            k = len(side)
            median = (side[(k - 1) // 2] + side[k // 2]) / 2
            z.append([abs(v - median) for v in side])
        means = [sum(v) / len(v) for v in z]
        within = sum((v - mu) ** 2 for group, mu in zip(z, means) for v in group)
        between = Fraction(n * m, n + m) * (means[0] - means[1]) ** 2
        if within:
            W = (n + m - 2) * between / within
            rec["brown_forsythe"] = spell(ratio(W))
            rec["brown_forsythe_pvalue"] = spell(student(mp.sqrt(ratio(W)), n + m - 2)) if W else 1.0
    return rec


def numeric(name, x, y):
    x, y = np.asarray(x, float), np.asarray(y, float)
    rec = {"name": name, "x": [spell(v) for v in x], "y": [spell(v) for v in y]}
    d = exact_ks(x, y)
    rec["ks"] = float(d)
    assert abs(stats.ks_2samp(x, y, method="asymp").statistic - float(d)) < 1e-14
    en = mp.mpf(len(x)) * len(y) / (len(x) + len(y))
    rec["ks_pvalue"] = spell(kolmogorov(mp.sqrt(en) * mp.mpf(d.numerator) / d.denominator)) if d else 1.0
    rec |= on_ranks(x, y)
    fx, fy = x[np.isfinite(x)], y[np.isfinite(y)]
    if len(fx) and len(fy):
        rec |= on_values(fx, fy)
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
            rec["welch_t"] = spell(stats.ttest_ind(fx, fy, equal_var=False).statistic)
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
    G = 2 * mp.fsum(o * mp.log(mp.mpf(o) * N / (mp.mpf(t) * (i + j))) for i, j in pairs for o, t in ((i, n), (j, m)) if o)
    rec["g_test"] = spell(max(G, mp.mpf(0)))
    rec["g_test_pvalue"] = spell(gamma_q(mp.mpf(k - 1) / 2, G / 2)) if k > 1 and 0 <= G < 1400 else (1.0 if k == 1 else None)
    kl = mp.fsum(p * mp.log(p / q) for p, q in zip(p2, q2))
    rec["kullback_leibler"] = spell(kl)
    rec["kullback_leibler_pvalue"] = spell(gamma_q(mp.mpf(k - 1) / 2, kl / c)) if k > 1 and kl / c < 700 else (1.0 if k == 1 else None)
    if k == 2 and sum(a) + sum(b) < 10**6:  # the code orders new values last
        (x1, y1), (x2, y2) = pairs
        rec["fisher_exact"] = math.inf if x2 * y1 == 0 else float(Fraction(x1 * y2, x2 * y1))
        rec["fisher_exact_pvalue"] = spell(fisher(x1, x2, y1, y2))
        assert math.isclose(stats.fisher_exact([[x1, x2], [y1, y2]]).pvalue, rec["fisher_exact_pvalue"], rel_tol=1e-9)
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
        numeric("far apart", rng.normal(size=250).round(6), rng.normal(4, 1, size=220).round(6)),
        numeric("binary", rng.integers(0, 2, 90), (rng.random(70) < 0.7).astype(int)),
        numeric("wider", rng.normal(size=150).round(5), rng.normal(0, 2, size=131).round(5)),
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
        table("two", [812, 188], [790, 255]),
        table("two and new", [40, 0], [35, 9]),
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
