"""Records as the engine writes them, with made-up numbers, for the tests of the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

VERDICTS = ("ok", "warn", "fail", "inconclusive", "error", "not_evaluated")

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</title></style><script src=https://evil.example/x.js></script>",
    "\u202egnp.exe\u2066",
    "\u0627\u0644\u0639\u0645\u0631 \u05d2\u05d9\u05dc",
    "n" * 5000,
    "",
    "   ",
    "two\nlines\r\n\ttab",
    "\x1b[31mred\x1b[0m\x00\x07",
    "lone \ud800 surrogate",
    "{{ 7 * 7 }}{% raw %}",
    "a|b `c` ``` [x](https://evil.example) ![y](https://evil.example/y.png) @team #1 <!-- -->",
    "]]></desc></svg><svg onload=alert(1)>",
    "url(https://evil.example/) expression(alert(1))",
    "&lt;b&gt; &amp; &#x3c;script&#x3e;",
]


def sealed(record: dict[str, Any]) -> dict[str, Any]:
    """A record with digests that hold."""
    from tidegauge.record import seal

    return record | seal(record)


MONTHS = [(f"2013-{m:02d}-01T00:00:00Z", f"{2013 + m // 12}-{m % 12 + 1:02d}-01T00:00:00Z") for m in range(6, 13)]

NYC = [
    ("temp", "numeric", "feature", 0.34),
    ("dewp", "numeric", "feature", 0.29),
    ("carrier", "categorical", "feature", 0.03),
    ("score", "numeric", "score", 0.13),
    ("wind_gust", "numeric", "feature", 0.05),
]


def season(i: int, w: int, size: float) -> tuple[float, float]:
    """Value against the reference, and against the previous window, of feature `i` in window `w`."""
    return (
        size * (1 + 0.35 * math.cos(w + i)),
        0.18 * size * (1 + math.sin(1.7 * w + i)),
    )


@dataclass
class Builder:
    """Build a record from features, windows and a rule for the values."""

    features: list[tuple[str, str, str, float]]
    windows: list[tuple[str | None, str | None]]
    values: Callable[[int, int, float], tuple[float, float]] = season
    baselines: tuple[str, ...] = ("reference", "previous")
    segments: tuple[tuple[str, str | None], ...] = ()
    forced: dict[tuple[int, int], str] | None = None
    text: Callable[[str], str] = str

    def build(self) -> dict[str, Any]:
        """Make the record."""
        rows = [
            row
            for s in [(None, None), *self.segments]
            for b, baseline in enumerate(self.baselines)
            for w in range(len(self.windows))
            if not (baseline == "previous" and w == 0)
            for i in range(len(self.features))
            for row in self._rows(i, w, b, s)
        ]
        verdicts = [r["verdict"] for r in rows if r["statistic"] == "verdict" and r["segment_by"] is None]
        order = ("error", "fail", "warn", "inconclusive", "ok")
        rows += self._shares(rows)
        text = self.text
        columns = [
            {
                "name": name,
                "logical": "float" if kind == "numeric" else "string",
                "kind": kind,
                "role": role,
                "nulls": i,
            }
            for i, (name, kind, role, _) in enumerate(self.features)
        ] + [{"name": "row_id", "logical": "int", "kind": "numeric", "role": "id", "nulls": 0}]
        side = {"rows": 57126, "columns": columns, "profile_digest": "b3:" + "1f" * 32}
        return {
            "schema": "tidegauge.report/1",
            "result": {
                "verdict": next((v for v in order if v in verdicts), "not_evaluated"),
                "title": text("late-arrival, June to December 2013"),
                "model": {"name": text("late-arrival"), "version": "2013.04"},
                "windows": [
                    {"start": a, "end": b, "rows": 28000 + 311 * w, "verdict": self._window(rows, a)}
                    for w, (a, b) in enumerate(self.windows)
                ],
                "reference": side,
                "current": side | {"rows": 198861, "profile_digest": "b3:" + "2e" * 32},
                "engine": {"version": "0.1.0", "definitions": ["ks/v1"], "grids": {}},
                "configuration": {"model": {"name": text("late-arrival")}, "window": "1mo"},
                "rows": rows,
                "histograms": {"features": [self._histogram(i) for i in range(len(self.features))]},
                "limitations": [text("wind_gust is missing in three rows of four, in the reference as well.")],
            },
            "result_digest": "b3:" + "9a" * 32,
            "inputs": {
                side: {
                    "paths": [text(f"data/{side}.parquet")],
                    "files": [{"path": text(f"data/{side}.parquet"), "bytes": 2085803, "rows": 57126, "row_groups": 1}],
                }
                for side in ("reference", "current")
            }
            | {"configuration_as_written": text('[model]\nname = "late-arrival"\n')},
            "record_digest": "b3:" + "7c" * 32,
            "envelope": {
                "started": "2014-01-02T06:00:00Z",
                "finished": "2014-01-02T06:00:01Z",
                "duration_seconds": 0.84,
                "host": text("runner"),
                "threads": 2,
                "command": text("tidegauge run tidegauge.toml"),
            },
        }

    def _rows(self, i: int, w: int, b: int, segment: tuple[str | None, str | None]) -> list[dict[str, Any]]:
        name, kind, role, size = self.features[i]
        value = self.values(i, w, size)[b]
        by, held = segment
        if by is not None:
            value *= 1 + 0.4 * math.sin(len(str(held)) + i)
        value = min(abs(value), 0.97)
        half = 0.012 if by is None else 0.05
        low, high = max(value - half, 0.0), min(value + half, 1.0)
        verdict = "fail" if low > 0.1 else "warn" if low > 0.05 else "ok" if high < 0.1 else "inconclusive"
        forced = (self.forced or {}).get((i, w))
        verdict = forced or verdict
        known = verdict not in ("error", "not_evaluated")
        base: dict[str, Any] = {
            "run_id": "b3:9a9a", "model": "late-arrival", "model_version": "2013.04",
            "window_start": self.windows[w][0], "window_end": self.windows[w][1], "as_of": None,
            "baseline": self.baselines[b], "segment_by": by, "segment_value": held,
            "role": role, "feature": name, "kind": kind, "unit": None, "variance": "block:1d", "null": "two_sample",
            "n_reference": 57126, "n_current": 28000, "n_eff_reference": 61.4, "n_eff_current": 30.2,
            "minimum_detectable": 0.031, "threshold_source": "default", "message": None,
        }  # fmt: skip
        statistic = "ks" if kind == "numeric" else "total_variation"
        main = base | {
            "statistic": statistic, "definition": f"{statistic}/v1", "decides": True,
            "value": value if known else None, "bound_low": value - 1e-4 if known else None,
            "bound_high": value + 1e-4 if known else None,
            "exactness": "certified" if kind == "numeric" else "exact",
            "ci_low": low if known else None, "ci_high": high if known else None,
            "value_if_no_change": 0.0087, "pvalue": 0.0004, "qvalue": 0.0011,
            "warn_at": 0.05, "fail_at": 0.1, "verdict": verdict, "rank": i,
            "message": self.text(f"column {name}: first value 'x' is not a number") if verdict == "error" else None,
        }  # fmt: skip
        missing = base | {
            "statistic": "missing_rate", "definition": "missing_rate/v1", "decides": True, "value": 0.0004 * (w + 1),
            "bound_low": None, "bound_high": None, "exactness": "exact", "ci_low": 0.0, "ci_high": 0.004,
            "value_if_no_change": 0.0, "pvalue": 0.6, "qvalue": 0.9, "warn_at": 0.01, "fail_at": 0.05,
            "verdict": "ok", "rank": None,
        }  # fmt: skip
        psi = main | {"statistic": "psi", "definition": "psi/v1/cells=10", "decides": False, "verdict": None}
        psi |= {"value": "Infinity" if i == 1 else 0.21, "warn_at": None, "fail_at": None, "exactness": "exact"}
        judged = base | {
            "statistic": "verdict", "definition": "verdict/v1", "decides": False,
            "value": value / 0.1 if known else None, "bound_low": None, "bound_high": None, "exactness": "exact",
            "ci_low": None, "ci_high": None, "value_if_no_change": None, "pvalue": None, "qvalue": None,
            "warn_at": None, "fail_at": None, "verdict": verdict, "rank": i, "message": main["message"],
        }  # fmt: skip
        return [judged, main, missing, psi]

    def _shares(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for baseline in self.baselines:
            for a, b in self.windows:
                judged = [
                    r["verdict"] for r in rows
                    if r["statistic"] == "verdict" and r["segment_by"] is None
                    and (r["baseline"], r["window_start"]) == (baseline, a)
                ]  # fmt: skip
                if judged:
                    found.append(
                        dict.fromkeys(rows[0])
                        | {"baseline": baseline, "window_start": a, "window_end": b, "feature": "*", "decides": False}
                        | {"statistic": "share_drifted", "definition": "share_drifted/v1", "exactness": "exact"}
                        | {"value": judged.count("fail") / len(judged)}
                    )
        return found

    def _window(self, rows: list[dict[str, Any]], start: str | None) -> str:
        found = {r["verdict"] for r in rows if r["statistic"] == "verdict" and r["window_start"] == start}
        return next((v for v in ("error", "fail", "warn", "inconclusive") if v in found), "ok")

    def _histogram(self, i: int) -> dict[str, Any]:
        name, kind, role, size = self.features[i]
        if kind == "numeric":
            cells: list[dict[str, Any]] = [
                {"label": f"{10 + 4 * k} to {14 + 4 * k}", "kind": "range", "low": 10.0 + 4 * k, "high": 14.0 + 4 * k}
                for k in range(20)
            ]
            cells[0]["low"] = cells[-1]["high"] = None
            special = [("missing", "missing"), ("NaN", "nan"), ("new", "new"), ("+inf", "pos_inf"), ("-inf", "neg_inf")]
        else:
            names = ["UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "FL", "AS", "F9", "YV"]
            cells = [{"label": self.text(v), "kind": "value", "low": None, "high": None} for v in names]
            special = [("other", "other"), ("new", "new"), ("missing", "missing")]

        def counts(shift: float, extra: int) -> list[int]:
            shape = [int(4000 * math.exp(-(((k - 8 - shift) / 4) ** 2))) for k in range(len(cells))]
            return shape + [extra if k < 3 else 0 for k in range(len(special))]

        def curve(shift: float) -> list[int]:
            return [int(2000 * math.exp(-(((k - 20 - 2.5 * shift) / 10) ** 2))) for k in range(51)]

        ordered = {
            "curve": {"edges": [10.0 + 1.6 * k for k in range(50)], "points": [7, 30], "reference": curve(0)},
            "quantiles": {"percent": [5, 25, 50, 75, 95], "reference": [20.0, 32.0, 41.0, 51.0, 66.0]},
        }
        return (ordered if kind == "numeric" else {}) | {
            "feature": name,
            "kind": kind,
            "role": role,
            "cells": cells + [{"label": a, "kind": b, "low": None, "high": None} for a, b in special],
            "reference": counts(0, 300),
            "windows": [
                {
                    "window_start": a,
                    "window_end": b,
                    "counts": counts(12 * self.values(i, w, size)[0], 900 if i % 2 else 40),
                    "curve": curve(12 * self.values(i, w, size)[0]),
                    "quantiles": [x + 50 * self.values(i, w, size)[0] for x in (20.0, 32.0, 41.0, 51.0, 66.0)],
                }
                for w, (a, b) in enumerate(self.windows)
            ],
        }


def small() -> dict[str, Any]:
    """Five columns, seven months, carrier cuts."""
    return Builder(NYC, MONTHS, segments=(("carrier", "UA"), ("carrier", "B6"), ("carrier", None))).build()


def large() -> dict[str, Any]:
    """Fifty columns, seven months, two segments."""
    features = [
        (f"feature_{i:02d}", "categorical" if i % 5 == 4 else "numeric", "feature", 0.4 * math.exp(-i / 9))
        for i in range(50)
    ]
    return Builder(features, MONTHS, segments=(("carrier", "UA"), ("carrier", "B6"))).build()


def calm() -> dict[str, Any]:
    """Nothing wrong."""
    return Builder([(*f[:3], 0.01) for f in NYC], MONTHS).build()


def alarming() -> dict[str, Any]:
    """Everything wrong."""
    return Builder([(*f[:3], 0.8) for f in NYC], MONTHS, values=lambda i, w, size: (size, size / 2)).build()


def unwindowed() -> dict[str, Any]:
    """No windows, one baseline."""
    return Builder(NYC, [(None, None)], baselines=("reference",)).build()


def every_verdict() -> dict[str, Any]:
    """Each verdict once, in one window."""
    features = [(f"is_{verdict}", "numeric", "feature", 0.1) for verdict in VERDICTS]
    forced = {(i, 0): verdict for i, verdict in enumerate(VERDICTS)}
    return Builder(features, [(None, None)], baselines=("reference",), forced=forced).build()


def hostile() -> dict[str, Any]:
    """Every name, value and message an attack string."""
    attack = "".join(HOSTILE[:4]) + "\u202e\x1b[2J\ud800"
    features = [(name, "categorical" if i % 2 else "numeric", "feature", 0.3) for i, name in enumerate(HOSTILE)]
    forced = {(i, 1): "error" for i in range(0, len(HOSTILE), 3)}
    segments = tuple((HOSTILE[i], HOSTILE[-i]) for i in range(4))
    record = Builder(features, MONTHS[:2], segments=segments, forced=forced, text=lambda t: t + attack).build()
    record["result_digest"] = '"}</style><script>alert(1)</script>'
    record["result"]["engine"]["version"] = attack
    for row in record["result"]["rows"]:
        if row["statistic"] == "psi":
            row["definition"] = row["threshold_source"] = row["statistic"] = attack
    return record


def empty() -> dict[str, Any]:
    """Nothing but the cover."""
    return {"result": {"verdict": "not_evaluated", "title": "empty", "rows": []}}
