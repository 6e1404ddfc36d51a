"""Writes v1.tgp and v1.json; run once per format version, from this folder, never again after its release.

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
    options = {"window": "1d", "by": ["city"], "roles": {"ts": "time"}, "block": "6h", "source_id": "golden"}
    profile = _core.profile_batches(rows(), json.dumps(options), None)
    info = json.loads(profile.info_json())
    recorded = {"digest": profile.digest, "rows": profile.rows, "columns": info["columns"], "groups": info["groups"]}
    (HERE / "v1.tgp").write_bytes(profile.to_bytes())
    (HERE / "v1.json").write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
