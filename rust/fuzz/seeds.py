"""Seeds of the fuzz targets: small Parquet files of every encoding and codec, profiles of them, and models.

Without an argument the files beside this script are written anew; with a folder, the
profiles of today's format are written there.
"""

import datetime as dt
import decimal
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SEEDS = Path(__file__).parent / "seeds"


def tables() -> dict[str, tuple[pa.Table, dict[str, Any]]]:
    """Name, rows and how to write them."""
    start = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
    floats = [0.0, -0.0, 1.5, float("nan"), None, float("inf"), 1e308, 5e-324, 0.1, 0.1]
    texts = ["oslo", "", None, "rome", "oslo", "ü", "oslo", "<b>", "rome", "rome"]
    plain = {"use_dictionary": False}
    return {
        "plain": (
            pa.table({"f": floats, "i": pa.array([2**53 + 1, -1, None, *range(7)], pa.int64()), "s": texts}),
            plain | {"compression": "none"},
        ),
        "dictionary": (pa.table({"f": floats, "s": texts}), {"compression": "snappy", "data_page_version": "2.0"}),
        "delta": (
            pa.table({"i": pa.array(range(30), pa.int32()), "s": [f"name{i}" for i in range(30)], "t": ["x"] * 30}),
            plain
            | {
                "compression": "none",
                "column_encoding": {
                    "i": "DELTA_BINARY_PACKED",
                    "s": "DELTA_BYTE_ARRAY",
                    "t": "DELTA_LENGTH_BYTE_ARRAY",
                },
            },
        ),
        "split": (
            pa.table({"f": pa.array(floats, pa.float32()), "g": floats}),
            plain | {"compression": "zstd", "use_byte_stream_split": True},
        ),
        "types": (
            pa.table(
                {
                    "b": [True, None, False],
                    "d": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-3.10")], pa.decimal128(20, 2)),
                    "h": pa.array([1.5, 2.0, None], pa.float16()),
                    "t": pa.array([start, None, start], pa.timestamp("ns", "UTC")),
                    "u": pa.array([2**64 - 1, 0, None], pa.uint64()),
                    "y": pa.array([dt.date(2013, 4, 1), None, dt.date(1960, 1, 1)]),
                    "z": pa.array([b"ab", b"cd", None], pa.binary(2)),
                }
            ),
            plain | {"compression": "lz4"},
        ),
        "nested": (pa.table({"l": [[1, 2], None, []], "x": [1, 2, 3]}), {"compression": "gzip"}),
        "groups": (
            pa.table({"x": pa.array(range(24), pa.int16()), "k": ["a", "b"] * 12}),
            {"compression": "brotli", "row_group_size": 10, "data_page_size": 16, "write_page_checksum": True},
        ),
        "empty": (pa.table({"x": pa.array([], pa.float64())}), {"compression": "none"}),
    }


def models() -> dict[str, bytes]:
    """Files of models of a few leaves, with categories and missing values where the library has them."""
    import catboost
    import lightgbm
    import numpy as np
    import xgboost

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    x[rng.random(300) < 0.1, 1] = np.nan
    x[:, 2] = rng.integers(0, 6, size=300)
    y = (np.nan_to_num(x[:, 1]) + (x[:, 2] > 3) + x[:, 0] > 0.5).astype(int)
    three = np.digitize(x[:, 0], [-0.5, 0.5])

    def trees(label: np.ndarray, **more: Any) -> bytes:
        parameters = {"verbose": -1, "num_leaves": 4, "min_data_per_group": 5, "cat_smooth": 1.0, "num_threads": 1}
        data = lightgbm.Dataset(x, label, categorical_feature=[2])
        text = lightgbm.train(parameters | more, data, 2).model_to_string()
        return str(text[: text.index("end of trees")] + "end of trees\n").encode()

    def boosted(label: np.ndarray, form: str, **more: Any) -> bytes:
        kinds = ["q", "q", "c"]
        data = xgboost.DMatrix(x, label, feature_types=kinds, enable_categorical=True, nthread=1)
        return bytes(xgboost.train({"max_depth": 2, "nthread": 1} | more, data, 2).save_raw(form))

    def oblivious(label: np.ndarray, **more: Any) -> bytes:
        model = catboost.CatBoost(
            {"iterations": 2, "depth": 2, "verbose": 0, "thread_count": 1, "allow_writing_files": False} | more
        )
        path = SEEDS / "models" / "catboost"
        model.fit(x, label).save_model(str(path), format="json")
        document = json.loads(path.read_text())
        # What the reader looks at; the rest holds times and versions.
        document["model_info"] = {"params": {"loss_function": document["model_info"]["params"]["loss_function"]}}
        path.unlink()
        return json.dumps(document).encode()

    # The tests' own writer of ONNX files.
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "importance"))
    import onnx_files

    def forest(outputs: int, leaf: str, **more: Any) -> dict[str, Any]:
        return onnx_files.Forest(np.random.default_rng(0), 3, outputs, **more).attributes(2, 2, leaf)

    three_classes = {"classlabels_int64s": [0, 1, 2], "post_transform": "SOFTMAX"}
    two_classes = {"classlabels_strings": ["a", "b"], "post_transform": "LOGISTIC", "base_values": [0.5]}
    several = {"objective": "multiclass", "num_class": 3}
    return {
        "onnx-number": onnx_files.regressor(forest(1, "target", double=True) | {"n_targets": 1}, 3, element=11),
        "onnx-binary": onnx_files.classifier(forest(2, "class", only=0) | two_classes, 3, 2),
        "onnx-classes": onnx_files.classifier(forest(3, "class") | three_classes, 3, 3),
        "lightgbm-binary": trees(y, objective="binary"),
        "lightgbm-classes": trees(three, **several),
        "xgboost-binary.json": boosted(y, "json", objective="binary:logistic"),
        "xgboost-binary.ubj": boosted(y, "ubj", objective="binary:logistic"),
        "xgboost-classes.ubj": boosted(three, "ubj", objective="multi:softprob", num_class=3),
        "catboost-binary": oblivious(y, loss_function="Logloss"),
        "catboost-classes": oblivious(three, loss_function="MultiClass"),
    }


def performance() -> dict[str, bytes]:
    """States of label and prediction of a few rows: every task, windows, blocks, weights, groups."""
    import tidegauge as tg
    from tidegauge._performance import Settings, measure_side, plan_of
    from tidegauge._profile import make_options

    n = 24
    rows = pa.table({
        "ts": [dt.datetime(2024, 1, 1 + i // 6, i % 24) for i in range(n)],
        "y": [i % 2 for i in range(n)],
        "p": [(i * 7 % 11) / 11 for i in range(n)],
        "k": [f"k{i * 5 % 3}" for i in range(n)],
        "q": [f"k{i * 7 % 3}" for i in range(n)],
        "z": [i * 3.5 - 7 for i in range(n)],
        "e": [i * 3.0 for i in range(n)],
        "g": ["ab"[i % 2] for i in range(n)],
        "w": [1.0 + i % 3 for i in range(n)],
    })  # fmt: skip

    def states(settings: Settings, window: str | None = None, **roles: Any) -> bytes:
        columns = ["ts", *(name for name in roles.values() if isinstance(name, str))]
        chosen = {"columns": columns, "time": "ts", **roles}
        profile = tg.profile(rows, window=window, **chosen)
        options = make_options(window=window, **chosen)
        plan = plan_of(profile, profile, {**profile.info["roles"], **options.roles}, settings)
        assert isinstance(plan, dict), plan
        return measure_side(rows, options, plan, profile, profile, None).to_bytes()

    classes = Settings(classes=("k0", "k1", "k2"))
    return {
        "binary": states(Settings(), label="y", score="p"),
        "binary-days": states(Settings(threshold=0.5, protected=("g",)), "1d", label="y", score="p"),
        "binary-weights": states(Settings(), label="y", score="p", weight="w"),
        "classes": states(classes, label="k", prediction="q"),
        "number": states(Settings(), "1d", label="z", prediction="e"),
    }


def main() -> None:
    """Write the seeds."""
    if len(sys.argv) == 1:
        (SEEDS / "models").mkdir(parents=True, exist_ok=True)
        for name, data in models().items():
            (SEEDS / "models" / name).write_bytes(data)
        (SEEDS / "performance").mkdir(exist_ok=True)
        for name, data in performance().items():
            (SEEDS / "performance" / name).write_bytes(data)
        for name, (table, options) in tables().items():
            pq.write_table(table, SEEDS / f"{name}.parquet", store_schema=False, write_statistics=False, **options)
        return
    from tidegauge import _core

    for path in sorted(SEEDS.glob("*.parquet")):
        cuts = [name for name in ("s", "k") if name in pq.read_schema(path).names]
        for by in ([], cuts) if cuts else ([],):
            profile = _core.profile_paths([str(path)], json.dumps({"by": by}), None, None)
            (Path(sys.argv[1]) / f"{path.stem}{'-cut' if by else ''}.tgp").write_bytes(profile.to_bytes())


if __name__ == "__main__":
    main()
