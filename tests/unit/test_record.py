"""Rows as a record keeps them."""

import json
from typing import Any

import numpy as np
import pytest
import tidegauge as tg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tidegauge.errors import FormatError
from tidegauge.record import canonical, digest, encode, pack_rows, unpack_rows
from tidegauge.results import ROW_FIELDS, plain_row

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.just("NaN")
)
FEW = st.one_of(st.sampled_from([None, True, 1, 1.0, "1", 0.0, -0.0]), VALUES)
NAMES = ("run_id", "baseline", "value", "bound_low", "bound_high", "ci_low")
ROWS = st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, FEW)), max_size=8)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(ROWS)
def test_packing_loses_nothing(rows: list[dict[str, Any]]) -> None:
    whole = [dict.fromkeys(ROW_FIELDS) | row for row in rows]
    packed = json.loads(json.dumps(pack_rows(whole)))
    # As text: True, 1 and 1.0 are equal to Python.
    assert json.dumps(unpack_rows(packed)) == json.dumps(whole)


def test_a_report_is_packed_and_unpacks() -> None:
    rng = np.random.default_rng(3)
    data = {f"x{i}": rng.normal(size=500) for i in range(20)}
    report = tg.drift(data, data)
    record = json.loads(report.render(".json"))
    assert unpack_rows(record["result"]["rows"]) == [plain_row(row) for row in report.rows]
    assert digest(record["result"]) == record["result_digest"]
    as_list = canonical([plain_row(row) for row in report.rows])
    assert len(canonical(record["result"]["rows"])) < len(as_list) / 4


@pytest.mark.parametrize("column", [
    {"values": [1]}, {"distinct": [1], "index": [0, 1]}, {"distinct": [1], "index": [0, -1]}, {"index": [0, 0]}, {}, 7,
    {"distinct": [1], "index": [0], "times": [3]}, {"distinct": [1], "index": [0, 0], "times": [2]},
    {"distinct": [1], "index": [0, 0, 0], "times": [3, -1, 0]}, {"like": "y", "at": [], "values": []},
    {"like": "value", "at": [2], "values": [1]}, {"like": "value", "at": [-1], "values": [1]},
    {"like": "value", "at": [1], "values": []}, {"like": "x", "at": [], "values": []},
])  # fmt: skip
def test_damaged_rows_are_refused(column: Any) -> None:
    with pytest.raises(FormatError, match=r"rows: "):
        unpack_rows({"count": 2, "columns": {"x": column, "value": {"value": 1}}})


def test_the_record_is_written_table_by_table_as_the_standard_encoder_writes_it() -> None:
    """The twin holds sixty bytes for each byte of a record."""

    values: list[Any] = [
        {"b": {}, "a": [], "é\ud800": {"1": None, "x": {2: 1, 3: {}}}},
        {"deep": {"er": {"and": {"so": {"on": {"z": [1.5, "x"], "a": -0.0}}}}}},
        {2: "a key that is no text", "3": 1},
        [], {}, 1.5, "x", None, True,
    ]  # fmt: skip
    for value in values:
        for sort_keys in (False, True):
            if sort_keys and isinstance(value, dict) and 2 in value:
                continue  # keys of two types have no order
            text = json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False)
            assert encode(value, sort_keys=sort_keys) == text.encode("utf-8", "backslashreplace")
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"a": {"b": float("nan")}})
