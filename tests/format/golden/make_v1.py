"""Writes v1.tgp, v1.json and their like with weights; run once per format version, never again after its release.

Later versions of tidegauge must load the bytes and give the recorded numbers, whatever they write themselves.
"""

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
from tidegauge import _core

HERE = Path(__file__).parent


def rows() -> pa.Table:
    start = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
    return pa.table(
        {
            "amount": [0.0, -0.0, 1.5, -2.25, float("nan"), float("inf"), 1e308, 5e-324, None, 0.1, 0.1, 7.0],
            "count": pa.array([2**53 + 1, -1, 0, 3, 3, 3, None, 9, 8, 7, 6, 5], pa.int64()),
            "city": ["oslo", "rome", "oslo", None, "", "<b>", "oslo", "lima", "rome", "ü", "oslo", "oslo"],
            "ts": pa.array([start + dt.timedelta(hours=5 * i) for i in range(12)], pa.timestamp("us", "UTC")),
        }
    )


def main() -> None:
    write("v1", rows(), {"ts": "time"})
    weights = pa.array([1.0, 0.1, 2.5, 1e-3, 3.0, 0.0, 7.0, 1e5, None, 1.0, 1.0, -1.0])
    write("v1_weights", rows().append_column("w", weights), {"ts": "time", "w": "weight"})


def write(name: str, table: pa.Table, roles: dict[str, str]) -> None:
    options = {"window": "1d", "by": ["city"], "roles": roles, "block": "6h", "source_id": "golden"}
    profile = _core.profile_batches(table, json.dumps(options), None)
    info = json.loads(profile.info_json())
    recorded = {"digest": profile.digest, "rows": profile.rows, "columns": info["columns"], "groups": info["groups"]}
    (HERE / f"{name}.tgp").write_bytes(profile.to_bytes())
    (HERE / f"{name}.json").write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
