"""What a reader is told first, in which order, and what stands beside it: checks, importance, segments, sign-off."""

from __future__ import annotations

import copy
import json
import re
from html import unescape
from typing import Any

import pytest
import records
from records import MONTHS
from tidegauge.report import render_html, render_markdown, render_text
from tidegauge.report._text import between, decimals, fixed
from tidegauge.report._words import variance
from tidegauge.report.curves import edge_text
from tidegauge.report.sections.provenance import _compact


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def section(record: dict[str, Any], name: str) -> str:
    found = re.search(rf'<section aria-labelledby="{name}">.*?</section>', render_html(record), flags=re.DOTALL)
    return words(found[0]) if found else ""


def order(record: dict[str, Any]) -> list[str]:
    """Columns in the order of the findings."""
    found = re.search(r'<ol class="findings">.*?</ol>', render_html(record), flags=re.DOTALL)
    assert found
    return re.findall(r"<b><bdi>([^<]+)</bdi></b>", found[0])


def row(record: dict[str, Any], **values: Any) -> dict[str, Any]:
    whole = dict.fromkeys(record["result"]["rows"][0]) | {"baseline": "reference", "decides": False}
    return whole | {"window_start": MONTHS[0][0], "window_end": MONTHS[0][1], **values}


def importance(record: dict[str, Any], values: dict[str, float]) -> list[dict[str, Any]]:
    told = {"kind": "importance", "statistic": "permutation_importance", "role": "feature", "variance": "block:1d"}
    return [row(record, **told, feature=name, value=x, ci_low=x - 0.01, ci_high=x + 0.01) for name, x in values.items()]


def test_what_the_model_relies_on_is_told_first_among_equals() -> None:
    record = records.alarming()
    assert order(record) == ["temp", "dewp", "carrier", "score", "wind_gust"]
    record["result"]["rows"] += importance(record, {"temp": 0.01, "dewp": 0.02, "wind_gust": 0.07, "carrier": -0.5})
    # The score is no feature, and concerns all of the model; an importance below 0 is none.
    assert order(record) == ["score", "wind_gust", "dewp", "temp", "carrier"]
    for rendered in (words(render_html(record)), render_markdown(record), " ".join(render_text(record, 90).split())):
        assert "Up to 70.0 % of the model's importance in a window." in rendered
        assert "Up to 0 % of the model's importance in a window." in rendered


def test_importance_does_not_come_before_the_verdict() -> None:
    record = records.every_verdict()
    window = {"window_start": None, "window_end": None}
    record["result"]["rows"] += [r | window for r in importance(record, {"is_warn": 0.9, "is_fail": 0.1})]
    assert order(record) == ["is_error", "is_fail", "is_warn", "is_inconclusive"]


def test_a_column_that_is_gone_comes_before_any_that_moved() -> None:
    record = records.alarming()
    for r in record["result"]["rows"]:
        if r["feature"] == "wind_gust" and r["statistic"] in ("ks", "missing_rate") and r["baseline"] == "reference":
            r |= {"statistic": "schema", "warn_at": None, "fail_at": None, "verdict": "fail", "value": 1.0}
            r["message"] = 'column "wind_gust" (float) is missing from the current data'
    assert order(record)[0] == "wind_gust"
    assert 'wind_gust : column "wind_gust" (float) is missing from the current data' in section(record, "findings")


def checks(record: dict[str, Any], verdicts: list[str]) -> dict[str, Any]:
    """The record with a check of the score in its first windows."""
    held = copy.deepcopy(record)
    held["result"]["configuration"]["checks"] = [{"feature": "score", "statistic": "roc_auc", "min": 0.65}]
    for i, verdict in enumerate(verdicts):
        told = "below the minimum of 0.65" if verdict == "fail" else "within its limits"
        value = 0.5 if verdict == "fail" else 0.7
        held["result"]["rows"].append(
            row(
                held,
                window_start=MONTHS[i][0],
                window_end=MONTHS[i][1],
                feature="score",
                statistic="check",
                definition="check/roc_auc/v1",
                decides=True,
                value=value,
                ci_low=value - 0.02,
                ci_high=value + 0.02,
                verdict=verdict,
                message=f"roc_auc is {value}, between {value - 0.02} and {value + 0.02}: {told}",
            )
        )
    return held


def test_checks_are_told_on_the_first_screen() -> None:
    record = records.calm()
    assert section(record, "checks") == ""
    assert "check" not in render_text(record, 300)
    assert "1 check of the configuration holds in all 7 windows." in render_text(checks(record, ["ok"] * 7), 300)
    said = "No check of the configuration fails; not known to hold: score, roc_auc in 1 of 2 windows."
    assert said in render_text(checks(record, ["ok", "inconclusive"]), 300)
    failed = checks(record, ["ok", "fail", "fail"])
    said = "Of 1 check 1 fails: score, roc_auc is 0.5, below the minimum of 0.65 (2013-07, and 1 more window)."
    for rendered in (words(render_html(failed)).replace(" ,", ","), render_text(failed, 300), render_markdown(failed)):
        assert said in rendered.replace("`", "")
    table = section(failed, "checks")
    assert "roc_auc of score at least 0.65" in table
    assert "Fail 0.500 0.480 to 0.520" in table
    assert "OK 0.700 0.680 to 0.720" in table


def test_checks_that_segments_do_not_keep_are_listed() -> None:
    record = checks(records.calm(), ["ok"])
    broken = record["result"]["rows"][-1] | {"segment_by": "carrier", "segment_value": "UA", "verdict": "fail"}
    record["result"]["rows"] += [broken, broken | {"segment_value": "AA", "verdict": "ok"}]
    assert "carrier = UA" in section(record, "checks")
    assert "carrier = AA" not in section(record, "checks")


def test_a_window_that_fails_in_segments_only_says_so() -> None:
    record = records.calm()
    assert "in segments only" not in section(record, "data")
    verdict = next(r for r in record["result"]["rows"] if r["statistic"] == "verdict")
    record["result"]["rows"].append(verdict | {"segment_by": "carrier", "segment_value": "UA", "verdict": "fail"})
    record["result"]["windows"][0]["verdict"] = "fail"
    assert section(record, "data").count("in segments only") == 1
    assert "Of 1 segment: 1 with a failing column." in render_text(record, 300)
    # Where the whole fails as well, it is not the segments alone.
    next(r for r in record["result"]["rows"] if r is verdict)["verdict"] = "fail"
    assert "in segments only" not in section(record, "data")


def test_features_that_go_together_have_a_line_above_their_own() -> None:
    record = records.calm()
    record["result"]["rows"] += importance(record, {"wind_gust": 0.5, "temp": 0.2, "carrier": 0.3, "dewp": 0.1})
    group = {
        "kind": "importance",
        "statistic": "group_importance",
        "feature": "temp+dewp",
        "value": 0.4,
        "variance": "iid",
    }
    record["result"]["rows"].append(row(record, **group, ci_low=0.35, ci_high=0.45))
    sides = [{"side": "current", "groups": [{"name": "temp+dewp", "features": ["temp", "dewp"], "association": 0.9}]}]
    record["result"]["explanations"] = {"model": {"file": "m.txt"}, "scoring": "neg_log_loss", "sides": sides}
    table = section(record, "importance").partition("Importances by window")[2]
    lines = ["wind_gust 0.500", "carrier 0.300", "temp , dewp together 0.400", "temp 0.200", "dewp 0.100"]
    places = [table.index(line) for line in lines]
    assert places == sorted(places)
    # A group is no feature: it takes no part in the shares.
    assert "holds" not in table
    assert order(records.alarming()) == ["temp", "dewp", "carrier", "score", "wind_gust"]


def test_what_people_signed_is_shown_and_nothing_else() -> None:
    record = records.calm()
    empty = section(record, "sign")
    for role in ("Developer", "Independent validator", "Model owner"):
        assert role in empty
    record["sign_off"] = {
        "decision": "accept <with> conditions",
        "conditions": None,
        "signatures": [{"role": "model owner", "name": "A. Owner", "date": "2012-01-09", "reference": None}],
    }
    signed = section(record, "sign")
    assert "accept <with> conditions" in signed
    assert "Model owner A. Owner 2012-01-09" in signed
    assert "None" not in signed


def test_limits_of_a_convention_are_a_range() -> None:
    record = records.small()
    found = [r for r in record["result"]["rows"] if r["statistic"] == "missing_rate"]
    for i, r in enumerate(found):
        r |= {"statistic": "new_category_mass", "warn_at": 0.001 + i % 3 / 1e6, "threshold_source": "convention"}
    assert "new_category_mass 0.001 to 0.001002 0.05 convention" in section(record, "how")
    # Limits that somebody chose are told one by one.
    for r in found:
        r["threshold_source"] = "configuration"
    assert "new_category_mass 0.001001 0.05 configuration" in section(record, "how")


def test_a_configuration_is_short_and_the_same() -> None:
    given = {"b": {"list": ["x", 1, None], "empty": [], "none": {}}, "a": [{"deep": {"er": 1}}, [1, [2]]], "t": "é\n"}
    text = _compact(given)
    assert json.loads(text) == given
    assert '"list": ["x", 1, null]' in text
    assert text.index('"a"') < text.index('"b"')


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("iid", "rows taken as independent"), ("block:1d", "blocks of 1 day"), ("block:2mo", "blocks of 2 months"),
        ("block:customer", "blocks of customer"), ("block", "blocks"), ("\x1b", "\\x1b"),
    ],
)  # fmt: skip
def test_what_errors_are_of_in_words(given: str, shown: str) -> None:
    assert variance(given) == shown


def test_numbers_below_each_other_have_the_same_decimals() -> None:
    places = decimals([0.0848, -0.002, None, "NaN", "Infinity"])
    assert places == 4
    assert [fixed(x, places) for x in (0.0848, -0.002, 0.0, 1e-9, -1e-9, None, "NaN")] == [
        "0.0848", "-0.0020", "0", "0.0000", "0.0000", "–", "NaN",
    ]  # fmt: skip
    assert decimals([12_168.0]) == 0
    assert fixed(12_168.4, 0) == "12,168"
    assert decimals([]) == decimals([0.0]) == 0
    assert between(None, None, 3) == "–"
    assert between(-0.5, None, 1) == "-0.5 to –"


def test_the_next_number_of_single_precision_reads_as_zero() -> None:
    assert edge_text(2.0**-149) == "0"
    assert edge_text(-(2.0**-149)) == "0"
    assert edge_text(1e-30) == "1e-30"
