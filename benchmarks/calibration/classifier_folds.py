"""How often does an out-of-fold area reject without drift: cross-validation against progressive folds.

Equal normal samples, LightGBM with 50 trees of 15 leaves, areas standardised by the variance of ranks. In
cross-validation each fold also trains the models of the others; `tg.stats.classifier_test` scores a fold by a model of
the folds before it.

Usage: python benchmarks/calibration/classifier_folds.py [--runs 300] [--rows 200] [--seed 1]
"""

import argparse
import math

import lightgbm
import numpy as np
from scipy import stats
from tidegauge.stats import classifier_test

FOLDS = 5
PARAMETERS = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 20,
    "num_threads": 1,
    "deterministic": True,
    "verbose": -1,
}


def area(score: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Area under the ROC curve and its variance without change."""
    n, m = (label == 0).sum(), (label == 1).sum()
    u = stats.rankdata(score)[label == 1].sum() - m * (m + 1) / 2
    ties = np.unique(score, return_counts=True)[1].astype(float)
    tied = (ties**3 - ties).sum() / ((n + m) * (n + m - 1))
    return u / (n * m), (n + m + 1 - tied) / (12 * n * m)


def cross_validated(data: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> float:
    """Standardised mean area of the usual folds."""
    fold = np.empty(len(label), int)
    for side in (0, 1):
        fold[label == side] = rng.permutation((label == side).sum()) % FOLDS
    found = []
    for k in range(FOLDS):
        train = lightgbm.Dataset(data[fold != k], label[fold != k], params={"verbose": -1})
        model = lightgbm.train(PARAMETERS, train, 50)
        found.append(area(model.predict(data[fold == k]), label[fold == k]))
    areas, variances = np.array(found).T
    return float((areas.mean() - 0.5) * FOLDS / math.sqrt(variances.sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng, n = np.random.default_rng(arguments.seed), arguments.rows
    usual, ours, covered = [], 0, 0
    for _ in range(arguments.runs):
        data, label = rng.normal(size=(2 * n, 5)), np.repeat([0, 1], n)
        usual.append(cross_validated(data, label, rng))
        found = classifier_test(data[:n], data[n:], classifier="lightgbm")
        ours += found.pvalue is not None and found.pvalue < 0.05
        covered += found.ci is not None and found.ci.low <= 0.5 <= found.ci.high
    z = np.array(usual)
    print(f"cross-validation: standard deviation of z {z.std():.2f}, two-sided {(abs(z) > 1.96).mean():.1%}")
    print(f"classifier_test: {ours / arguments.runs:.1%} reject, interval covers 1/2 in {covered / arguments.runs:.1%}")


if __name__ == "__main__":
    main()
