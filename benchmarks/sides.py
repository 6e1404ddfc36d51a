"""What is measured, one function a side: it imports, loads and warms up, then returns the work that is timed.

    python benchmarks/sides.py NAME '{"option": 1}' [NUMBER]

does the work NUMBER times and prints one line of JSON: CPU (user and system, children included) and elapsed seconds of
one time, peak of memory in MB while it ran and memory before it, versions, and the answer. Peers with needs of their
own run it with the interpreter of their environment (peers.py), so this file imports nothing at its top.
"""

import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

Work = Callable[[], Any]
SIDES: dict[str, tuple[Callable[..., Work], tuple[str, ...]]] = {}

NUMBERS = [
    "f_norm", "f_lognorm", "f_count", "f_unif", "f_zeromix", "f_null", "f_offset", "f_f32", "f_money", "f_bimodal",
    "f_beta", "f_t3", "score",
]  # fmt: skip
WORDS = ["model_version", "country", "c10", "c100", "c5k"]
DICTIONARIES = [*WORDS, "c200k"]


def side(*packages: str) -> Callable[[Callable[..., Work]], Callable[..., Work]]:
    """Register a side and the packages whose versions its record carries."""

    def register(function: Callable[..., Work]) -> Callable[..., Work]:
        SIDES[function.__name__] = function, packages
        return function

    return register


# --- files ------------------------------------------------------------------------------------------


@side("pyarrow")
def pyarrow_decode(files: list[str], threads: int | None = None, dictionaries: list[str] | None = None) -> Work:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if threads is not None:
        pa.set_cpu_count(threads)
    names = DICTIONARIES if dictionaries is None else dictionaries

    def work() -> Any:
        rows = 0
        for path in files:
            file = pq.ParquetFile(path, read_dictionary=names)
            for i in range(file.num_row_groups):
                rows += file.read_row_group(i, use_threads=threads != 1).num_rows
        return {"rows": rows}

    return work


@side("tidegauge")
def profile_files(
    files: list[str] | str, reference: str, options: dict[str, Any] | None = None, compared: bool = True
) -> Work:
    """Profile against a saved grid, and compare."""
    import tidegauge as tg

    _ = tg.Profile, tg.profile, tg.compare

    def work() -> Any:
        grid = tg.Profile.load(reference)
        made = tg.profile(files, like=grid, **options or {})
        return {"rows": made.rows, "compared": len(tg.compare(grid, made).rows) if compared else None}

    return work


@side("tidegauge")
def profile_details(files: list[str], reference: str) -> Work:
    """As profile_files; for answers, never timed: count, nulls, mean and extremes by column, and PSI."""
    import tidegauge as tg

    def work() -> Any:
        grid = tg.Profile.load(reference)
        made = tg.profile(files, like=grid)
        rows = tg.compare(grid, made).rows
        return {
            "columns": {column["name"]: column for column in made.info["columns"]},
            "psi": {row["feature"]: row["value"] for row in rows if row["statistic"] == "psi"},
        }

    return work


@side("polars")
def polars_psi(files: list[str], reference: str) -> Work:
    """PSI of 13 numbers on deciles and of six categories, hand-tuned: comparisons summed in one lazy pass."""
    import numpy as np
    import polars as pl

    frame = pl.read_parquet(reference, columns=[*NUMBERS, *DICTIONARIES])
    edges, before = {}, {}
    for name in NUMBERS:
        known = frame[name].drop_nulls().to_numpy()
        edges[name] = np.unique(np.quantile(known, np.arange(1, 10) / 10, method="higher"))
        before[name] = np.diff([0, *np.searchsorted(np.sort(known), edges[name]), len(known)]).tolist()
        before[name].append(frame[name].null_count())
    categories = {name: dict(frame[name].cast(pl.String).value_counts().iter_rows()) for name in DICTIONARIES}

    def index(p: Any, q: Any) -> float:
        p, q = np.asarray(p) + 0.5, np.asarray(q) + 0.5
        p, q = p / p.sum(), q / q.sum()
        return float(((q - p) * np.log(q / p)).sum())

    def work() -> Any:
        scanned = pl.scan_parquet(files)
        below = [
            (pl.col(name) < edge).sum().alias(f"{name}/{i}") for name in NUMBERS for i, edge in enumerate(edges[name])
        ]
        nulls = [pl.col(name).null_count().alias(f"{name}/null") for name in NUMBERS]
        plans = [scanned.select(pl.len().alias("rows"), *below, *nulls)]
        plans += [scanned.group_by(name).len() for name in DICTIONARIES]
        numbers, *words = pl.collect_all(plans)
        counts = numbers.row(0, named=True)
        found = {}
        for name in NUMBERS:
            null = counts[f"{name}/null"]
            steps = [0, *(counts[f"{name}/{i}"] for i in range(len(edges[name]))), counts["rows"] - null]
            found[name] = index(before[name], [*np.diff(steps), null])
        for name, table in zip(DICTIONARIES, words, strict=True):
            after = {str(key): count for key, count in table.iter_rows()}
            cells = sorted({*after, *categories[name]})
            found[name] = index([categories[name].get(c, 0) for c in cells], [after.get(c, 0) for c in cells])
        return {"rows": counts["rows"], "psi": found}

    return work


@side("polars")
def polars_describe(files: list[str]) -> Work:
    import polars as pl

    def work() -> Any:
        told = pl.scan_parquet(files).describe()
        rows = {row[0]: dict(zip(told.columns[1:], row[1:], strict=True)) for row in told.iter_rows()}
        return {name: {s: float(rows[s][name]) for s in ("count", "mean", "min", "max")} for name in NUMBERS}

    return work


@side("duckdb")
def duckdb_summarize(files: list[str]) -> Work:
    import duckdb

    def work() -> Any:
        with duckdb.connect() as connection:
            connection.execute(f"SET threads = {os.cpu_count() or 1}")
            told = connection.execute("SUMMARIZE SELECT * FROM read_parquet($files)", {"files": files})
            names = [column[0] for column in told.description]
            rows = [dict(zip(names, row, strict=True)) for row in told.fetchall()]
        return {
            row["column_name"]: {"rows": row["count"], "mean": float(row["avg"]), "min": row["min"], "max": row["max"]}
            for row in rows
            if row["column_name"] in NUMBERS
        }

    return work


# --- frames in memory -------------------------------------------------------------------------------


def read(path: str, columns: list[str], rows: int | None = None) -> Any:
    """A pyarrow table of whole columns; categories are dictionaries."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=columns, read_dictionary=[name for name in columns if name in DICTIONARIES])
    return (table if rows is None else table.slice(0, rows)).unify_dictionaries()


def in_form(table: Any, form: str) -> Any:
    """The same table as pyarrow, Polars or pandas frame, or as a mapping of numpy arrays."""
    if form == "pyarrow":
        return table
    if form == "pandas":
        return table.to_pandas()
    import polars as pl

    if form == "polars":
        return pl.from_arrow(table)
    return {name: table[name].to_numpy() for name in table.column_names}


@side("tidegauge", "pyarrow")
def drift_in_memory(
    reference: str, current: str, columns: list[str] | None = None, form: str = "pyarrow", rows: int | None = None
) -> Work:
    import tidegauge as tg

    sides = [in_form(read(path, columns or NUMBERS + WORDS, rows), form) for path in (reference, current)]
    tg.drift(*({"x": [1.0, 2.0]} for _ in range(2)))

    def work() -> Any:
        rows = tg.drift(*sides).rows
        kept = ("wasserstein", "ks", "missing_rate", "total_variation")
        return {
            f"{row['statistic']}/{row['feature']}": [row["value"], row["bound_low"], row["bound_high"]]
            for row in rows
            if row["statistic"] in kept and row["feature"] != "*"
        }

    return work


@side("evidently", "pandas", "numpy")
def evidently_drift(reference: str, current: str, rows: int | None = None) -> Work:
    import warnings

    warnings.simplefilter("ignore")
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(numerical_columns=NUMBERS, categorical_columns=WORDS)

    def dataset(table: Any) -> Any:
        frame = table.to_pandas()
        frame[WORDS] = frame[WORDS].astype(str)
        return Dataset.from_pandas(frame, data_definition=definition)

    frames = [read(path, NUMBERS + WORDS, rows) for path in (reference, current)]
    small = [dataset(table.slice(0, 2000)) for table in frames]
    Report([DataDriftPreset()]).run(small[1], small[0])
    before, after = (dataset(table) for table in frames)
    deviation = {name: float(frames[0][name].to_pandas().std(ddof=0)) for name in NUMBERS}
    del frames

    def work() -> Any:
        told = Report([DataDriftPreset()]).run(after, before).dict()
        found = {}
        for metric in told["metrics"]:
            column = metric.get("config", {}).get("column")
            if column in NUMBERS:
                found[column] = float(metric["value"]) * max(deviation[column], 0.001)
        return found

    return work


#: Midnight; days of a log a third as long as they were, so that thirty days are ten windows.
_MIDNIGHT = 1_700_006_400_000_000


def _ten_days(path: str, names: list[str]) -> Any:
    import pyarrow as pa

    table = read(path, ["ts", *names])
    days = [pa.array(_MIDNIGHT + (c.to_numpy(zero_copy_only=False).astype("int64") - 1_700_000_000_000_000) // 3)
            for c in table["ts"].chunks]  # fmt: skip
    return table.set_column(0, "ts", pa.chunked_array(days).cast(pa.timestamp("us")))


@side("tidegauge", "pyarrow")
def drift_by_day(reference: str, current: str) -> Work:
    import tidegauge as tg

    names = NUMBERS + WORDS[1:]
    before, after = (_ten_days(path, names) for path in (reference, current))
    tg.drift(*({"x": [1.0, 2.0]} for _ in range(2)))

    def work() -> Any:
        rows = tg.drift(before, after, time="ts", window="1d").rows
        return {
            f"{str(row['window_start'])[:10]}/{row['feature']}": row["value"]
            for row in rows
            if row["statistic"] == "l_infinity" and row["feature"] in WORDS
        }

    return work


@side("nannyml", "pandas", "numpy")
def nannyml_by_day(reference: str, current: str, statistic: str = "jensen_shannon") -> Work:
    """Univariate drift; `statistic` l_infinity takes the categories alone, for the answers."""
    import warnings

    warnings.simplefilter("ignore")
    import nannyml

    names = NUMBERS + WORDS[1:]
    before, after = (_ten_days(path, names).to_pandas() for path in (reference, current))
    chosen = names if statistic == "jensen_shannon" else WORDS[1:]

    def calculate(first: Any, second: Any) -> Any:
        calculator = nannyml.UnivariateDriftCalculator(
            column_names=chosen,
            timestamp_column_name="ts",
            continuous_methods=["jensen_shannon"],
            categorical_methods=[statistic],
            chunk_period="D",
        )
        return calculator.fit(first).calculate(second)

    calculate(before.iloc[::500], after.iloc[::500])

    def work() -> Any:
        told = calculate(before, after).filter(period="analysis").to_df()
        starts = told[("chunk", "chunk", "start_date")].astype(str).str[:10]
        return {
            f"{start}/{name}": float(value)
            for name in WORDS[1:]
            for start, value in zip(starts, told[(name, statistic, "value")], strict=True)
        }

    return work


# --- one column -------------------------------------------------------------------------------------


def array(path: str, name: str, rows: int | None = None) -> Any:
    """Values of a column without its nulls."""
    import numpy as np
    import pyarrow.parquet as pq

    values = pq.read_table(path, columns=[name])[name].drop_null().to_numpy()
    return np.ascontiguousarray(values if rows is None else values[:rows])


@side("tidegauge")
def profile_column(current: str, rows: int, reference: str | None = None, name: str = "f_norm") -> Work:
    """One column in memory, against the grid of another sample or with none."""
    import tidegauge as tg

    values = array(current, name, rows)
    grid = None if reference is None else tg.profile({name: array(reference, name)})
    tg.profile({name: values[:100]}, like=grid)

    def work() -> Any:
        made = tg.profile({name: values}, like=grid)
        return {key: made.info["columns"][0][key] for key in ("rows", "min", "max", "mean")}

    return work


@side("whylogs", "pandas", "numpy")
def whylogs_column(current: str, rows: int, name: str = "f_norm") -> Work:
    import warnings

    warnings.simplefilter("ignore")
    import pandas as pd
    import whylogs as why

    frame = pd.DataFrame({name: array(current, name, rows)})
    why.log(frame.head(100))

    def work() -> Any:
        told = why.log(frame).view().get_column(name).to_summary_dict()
        return {
            "rows": told["counts/n"],
            "min": told["distribution/min"],
            "max": told["distribution/max"],
            "mean": told["distribution/mean"],
        }

    return work


@side("datasketches", "numpy")
def datasketches_column(current: str, rows: int, name: str = "f_norm") -> Work:
    """Quantiles and distinct values: KLL takes the array, HLL one value at a time, as its binding allows."""
    import datasketches

    values = array(current, name, rows).copy()

    def work() -> Any:
        quantiles = datasketches.kll_doubles_sketch(200)
        quantiles.update(values)
        distinct = datasketches.hll_sketch(12)
        for value in values.tolist():
            distinct.update(value)
        return {
            "rows": quantiles.n, "min": quantiles.get_min_value(), "max": quantiles.get_max_value(),
            "distinct": distinct.get_estimate(),
        }  # fmt: skip

    return work


@side("numpy")
def numpy_histogram(current: str, reference: str, cells: int, name: str = "f_norm") -> Work:
    import numpy as np

    values, known = array(current, name), array(reference, name)
    edges = np.array([-np.inf, *np.quantile(known, np.arange(1, cells) / cells), np.inf])

    def work() -> Any:
        counts, _ = np.histogram(values, edges)
        return {"rows": int(counts.sum())}

    return work


# --- exact statistics of two arrays -----------------------------------------------------------------


@side("tidegauge", "numpy")
def exact_statistic(statistic: str, reference: str, current: str, name: str = "f_norm") -> Work:
    from tidegauge import stats

    x, y = array(reference, name), array(current, name)
    function = getattr(stats, statistic)
    function(x[:100], y[:100])
    return lambda: {"statistic": function(x, y).statistic}


@side("scipy", "numpy")
def scipy_statistic(statistic: str, reference: str, current: str, name: str = "f_norm") -> Work:
    import warnings

    warnings.simplefilter("ignore")
    from scipy import stats

    x, y = array(reference, name), array(current, name)
    functions = {
        "ks": lambda: stats.ks_2samp(x, y, method="asymp").statistic,
        "wasserstein": lambda: stats.wasserstein_distance(x, y),
        "cramer_von_mises": lambda: stats.cramervonmises_2samp(x, y, method="asymptotic").statistic,
        "anderson_darling": lambda: stats.anderson_ksamp([x, y]).statistic,
        "mann_whitney": lambda: stats.mannwhitneyu(x, y, method="asymptotic").statistic,
    }
    return lambda: {"statistic": float(functions[statistic]())}


# --- importance -------------------------------------------------------------------------------------


def _model(path: str) -> tuple[Any, Any, Any]:
    import joblib

    model, x, y = joblib.load(path)
    return model, x, y


@side("tidegauge", "lightgbm")
def importance_exact(path: str) -> Work:
    import tidegauge as tg

    model, x, y = _model(path)
    tg.permutation_importance(model, x[:200], y[:200], method="exact", scoring="neg_log_loss", n_threads=1)

    def work() -> Any:
        found = tg.permutation_importance(model, x, y, method="exact", scoring="neg_log_loss", n_threads=1)
        return {"mean": found.expected_permutation.tolist(), "standard_error": found.standard_error.tolist()}

    return work


@side("tidegauge", "lightgbm")
def importance_permuted(path: str, generator: str | None = None) -> Work:
    import tidegauge as tg

    model, x, y = _model(path)
    ask: dict[str, Any] = {"scoring": "neg_log_loss", "n_repeats": 5, "random_state": 0}
    ask |= {"method": "permutation"} | ({} if generator is None else {"generator": generator})
    tg.permutation_importance(model, x[:200], y[:200], **ask)

    def work() -> Any:
        found = tg.permutation_importance(model, x, y, **ask)
        return {"mean": found.importances_mean.tolist(), "all": found.importances.tolist()}

    return work


@side("scikit-learn", "lightgbm")
def importance_sklearn(path: str) -> Work:
    from sklearn.inspection import permutation_importance

    model, x, y = _model(path)
    ask: dict[str, Any] = {"scoring": "neg_log_loss", "n_repeats": 5, "random_state": 0}
    permutation_importance(model, x[:200], y[:200], **ask)

    def work() -> Any:
        found = permutation_importance(model, x, y, **ask)
        return {"mean": found.importances_mean.tolist(), "all": found.importances.tolist()}

    return work


# --- service, comparison, page, start ---------------------------------------------------------------


@side("tidegauge", "numpy")
def service_batch(rows: int, columns: int) -> Work:
    """One batch of a service: profiled against a grid that is held, and compared."""
    import numpy as np
    import tidegauge as tg

    rng = np.random.default_rng(3)
    before, after = ({f"x{j}": rng.normal(size=n) for j in range(columns)} for n in (100_000, rows))
    grid = tg.profile(before)
    tg.compare(grid, tg.profile(after, like=grid))

    def work() -> Any:
        rows = tg.compare(grid, tg.profile(after, like=grid)).rows
        return {row["feature"]: row["value"] for row in rows if row["statistic"] == "ks"}

    return work


@side("scipy", "numpy")
def scipy_batch(rows: int, columns: int) -> Work:
    import numpy as np
    from scipy import stats

    rng = np.random.default_rng(3)
    before, after = ({f"x{j}": rng.normal(size=n) for j in range(columns)} for n in (100_000, rows))
    stats.ks_2samp(before["x0"][:10], after["x0"][:10])
    return lambda: {name: float(stats.ks_2samp(before[name], after[name], method="asymp").statistic) for name in before}


@side("tidegauge")
def compare_profiles(reference: str, current: str) -> Work:
    import tidegauge as tg

    sides = [tg.Profile.load(path) for path in (reference, current)]

    def work() -> Any:
        rows = tg.compare(*sides).rows
        return {"features": len({row["feature"] for row in rows} - {"*"}), "rows": len(rows)}

    return work


@side("tidegauge")
def report_page(reference: str, current: str, folder: str) -> Work:
    import tidegauge as tg

    report = tg.compare(tg.Profile.load(reference), tg.Profile.load(current))
    target = Path(folder, "report.html")
    report.to_html(target)

    def work() -> Any:
        report.to_html(target)
        return {
            "bytes": target.stat().st_size,
            "whole": target.read_text(encoding="utf-8").rstrip().endswith("</html>"),
        }

    return work


@side("tidegauge")
def start(statement: str) -> Work:
    """An interpreter that runs the statement, over one that runs nothing (`statement` empty)."""
    import subprocess

    def work() -> Any:
        done = subprocess.run([sys.executable, "-c", statement], capture_output=True, check=True)
        return {"printed": len(done.stdout)}

    return work


# --- measuring --------------------------------------------------------------------------------------


def _memory(field: str) -> float:
    """VmRSS or VmHWM in MB; 0 where the system has no /proc."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0


def _seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main(name: str, number: str = "1") -> None:
    """Do the work of a side; its options are the JSON on standard input."""
    function, packages = SIDES[name]
    work = function(**json.loads(sys.stdin.read() or "{}"))
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # VmHWM begins anew
    base = _memory("VmRSS")
    cpu, wall = _seconds(), time.perf_counter()
    for _ in range(int(number)):
        answer = work()
    cpu, wall = (_seconds() - cpu) / int(number), (time.perf_counter() - wall) / int(number)
    told = {
        "cpu": cpu,
        "wall": wall,
        "peak": _memory("VmHWM"),
        "base": base,
        "versions": {package: version(package) for package in packages},
        "answer": answer,
    }
    print("\n" + json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
