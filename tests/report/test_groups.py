"""Sentences on groups that are not the same everywhere, against counts made by Polars."""

import datetime as dt
from pathlib import Path

import polars as pl
import tidegauge as tg
from tidegauge._groups import differing_groups
from tidegauge._profile import make_options, scan

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "nycflights13"


def days(*cities: dict[str, int], start: str = "2024-03-01") -> pl.DataFrame:
    """A day for each dictionary, with so many rows of each city."""
    rows = []
    for i, counts in enumerate(cities):
        day = dt.datetime.fromisoformat(start) + dt.timedelta(days=i)
        rows += [
            {"ts": day + dt.timedelta(minutes=j), "city": city or None, "x": j}
            for city, n in counts.items()
            for j in range(n)
        ]
    return pl.DataFrame(rows)


def told(reference: pl.DataFrame, current: pl.DataFrame) -> list[str]:
    options = make_options(time="ts", by=["city"], window="1d")
    made = scan(reference, make_options(time="ts", by=["city"]))
    return differing_groups(made.info, scan(current, options, like=made).info)


def test_real_carriers() -> None:
    common = {"by": ["carrier"], "exclude": ["row_id"]}
    reference = scan(EXAMPLE / "reference.parquet", make_options(time="ts", **common))
    options = make_options(time="ts", window="1mo", time_zone="America/New_York", **common)
    current = scan(EXAMPLE / "current.parquet", options, like=reference)
    known = set(pl.read_parquet(EXAMPLE / "reference.parquet")["carrier"])
    rows = pl.read_parquet(EXAMPLE / "current.parquet").filter(~pl.col("carrier").is_in(sorted(known)))
    months = rows["ts"].dt.convert_time_zone("America/New_York").dt.truncate("1mo").n_unique()
    assert differing_groups(reference.info, current.info) == [
        f"Groups by carrier are not the same everywhere: {len(rows)} rows have a value that the reference never has"
        f" in {months} of 7 windows."
    ]


def test_missing_and_new_and_few() -> None:
    reference = days({"Oslo": 40, "Rome": 30, "Lima": 12, "Bonn": 3, "": 5})
    assert told(reference, days({"Oslo": 9, "Rome": 9, "Lima": 2, "Bonn": 1, "": 1}, start="2024-04-01")) == []
    assert told(reference, days({"Oslo": 9}, {"Oslo": 9, "Rome": 3, "Pisa": 1, "": 1}, start="2024-04-01")) == [
        "Groups by city are not the same everywhere: 1 row has a value that the reference never has in 1 of 2 windows;"
        " 4 of 5 groups of the reference have no row in some of 2 windows (Lima in 2, Rome in 1, 2 more)."
    ]
    # One window, and one group of few rows, which is not named.
    assert told(reference, days({"Oslo": 9, "Rome": 9, "Lima": 2, "": 1}, start="2024-04-01")) == [
        "Groups by city are not the same everywhere: 1 of 5 groups of the reference has no row in the current data"
        " (of fewer than 10 rows)."
    ]


def test_the_sentence_is_a_limitation_of_the_report() -> None:
    reference = days({"Oslo": 40, "Rome": 30})
    report = tg.drift(reference, days({"Oslo": 30, "Pisa": 12}, start="2024-04-01"), by=["city"])
    (sentence,) = (text for text in report.record["result"]["limitations"] if "Groups by city" in text)
    assert sentence.endswith(
        "12 rows have a value that the reference never has; 1 of 2 groups of the reference has no row in the current"
        " data (Rome)."
    )
    assert sentence in report.render(".html").decode()
