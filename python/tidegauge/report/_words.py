"""Sentences in plain words, made from the rows; names of columns stay apart from the words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._text import count, interval, number, objects, percent, to_float, visible
from ._view import window_key

if TYPE_CHECKING:
    from ._view import Feature, Judgement, Row, View


@dataclass(frozen=True)
class Name:
    """A string from the data or configuration, set apart from our own words by each rendering."""

    text: str


@dataclass(frozen=True)
class Quote(Name):
    """A message, which may hold strings from the data, and may be longer than a name."""


Sentence = list[str | Name]

WORD = {
    "ok": "OK",
    "warn": "Warn",
    "fail": "Fail",
    "waived": "Waived",
    "inconclusive": "Inconclusive",
    "error": "Error",
    "not_evaluated": "Not evaluated",
}
"""Verdicts as shown."""

LETTER = {
    "ok": "ok",
    "warn": "W",
    "fail": "F",
    "waived": "A",
    "inconclusive": "?",
    "error": "E",
    "not_evaluated": "n/a",
}
"""Verdicts in the cells of the heatmap."""

MEANING = {
    "ok": "a shift as large as the fail limit is ruled out",
    "warn": "the shift is larger than the warn limit, beyond sampling error",
    "fail": "the shift is larger than the fail limit, beyond sampling error",
    "waived": "a warning or failure that somebody accepted until a day",
    "inconclusive": "too few effective rows to rule a failing shift out",
    "error": "could not be computed; never counts as passed",
    "not_evaluated": "nothing to compare in this window",
}
"""Verdicts explained."""

GLOSSARY = {
    "ks": "Largest gap between the two cumulative distributions. At least this share of the rows moved. "
    "0 is no difference, 1 no overlap.",
    "total_variation": "Half the sum of the differences between the shares of each value. Exactly the share of rows "
    "that would have to change value. 0 is no difference, 1 no common value.",
    "missing_rate": "Absolute difference between the shares of missing rows; null and NaN both count as missing.",
    "null_rate": "Share of rows that are null.",
    "nan_rate": "Share of rows that are NaN (not a number).",
    "new_category_mass": "Share of current rows whose value the reference never held.",
    "schema": "Whether the column is there and has the type it had in the reference.",
    "psi": "Population stability index: sum over cells of (current - reference) x log(current / reference). "
    "The customary limits .10 and .25 are conventions and depend on rows and cells; it does not decide here.",
    "jensen_shannon": "Distance between two distributions through their average; 0 is equal.",
    "kullback_leibler": "Information lost when the reference stands in for the current data; not symmetric.",
    "hellinger": "Distance between the square roots of the shares; between 0 and 1.",
    "l_infinity": "Largest difference in the share of any one value.",
    "wasserstein": "Average distance the values moved, in the unit of the column.",
    "energy": "Distance between distributions from average distances between and within the two sides.",
    "mean_shift": "Difference of the means, current less reference.",
    "quantile_shift": "Largest difference between matching quantiles.",
    "chi_square": "Test that both sides share one set of category shares; with many rows tiny shifts are found too.",
    "cramers_v": "Strength of association between side and category; 0 is none, 1 complete.",
    "range_violation": "Share of current rows outside the smallest and largest reference value.",
    "distinct_count": "Number of different values.",
    "volume": "Number of rows.",
    "volume_rate": "Rows per block of time over those of the reference; 1 is as many.",
    "empty_blocks": "Blocks of time, such as days, without a row.",
    "longest_gap": "Longest stretch of time without a row.",
    "freshness": "Time from the last row to the end of the window.",
    "duplicate_keys": "Rows whose key came before; the first row of a key does not count.",
    "constant": "1 where a column holds a single value on one side and several on the other.",
    "infinite_rate": "Absolute difference between the shares of infinite rows.",
    "vanished_category_mass": "Share of reference rows whose value no current row holds.",
    "check": "Limits that the configuration sets on a number.",
    "coverage": "Whether all of the data could be read.",
    "label_coverage": "Share of rows whose outcome is known; performance is that of these rows.",
    "anderson_darling": "Difference of the distributions with weight on the tails.",
    "brown_forsythe": "Whether both sides spread alike about their medians; 1 is what chance gives.",
    "cramer_von_mises": "Sum of the squared gaps between the two cumulative distributions.",
    "epps_singleton": "Test that finds any change of shape, with ties or without.",
    "fisher_exact": "Odds of the second of two values now over its odds in the reference; 1 is no change.",
    "g_test": "Likelihood-ratio test that both sides share one set of category shares.",
    "kuiper": "Largest gap upwards plus largest gap downwards between the two cumulative distributions.",
    "mann_whitney": "How often a reference value is the larger one of a pair, as a rank sum.",
    "probability_of_superiority": "Chance that a current value is larger than a reference value; 0.5 is no shift.",
    "welch_t": "Difference of the means in standard errors.",
    "wasserstein_scaled": "Average distance the values moved, over the middle spread of the reference.",
    "energy_scaled": "Energy distance over the middle spread of the reference.",
    "roc_auc": "Chance that a positive row has a higher score than a negative one. 0.5 is guessing, 1 perfect.",
    "average_precision": "Precision averaged over all thresholds. The share of positive rows is guessing, 1 perfect.",
    "log_loss": "Mean surprise at the outcome under the score, in nats (natural logarithm). 0 is perfect.",
    "brier": "Mean squared difference of score and outcome (0 or 1). 0 is perfect.",
    "calibration_error": "Mean distance of the observed rate from the score, over tenths of the score. "
    "0 is perfect; small samples show a little by chance.",
    "accuracy": "Share of rows whose predicted class is right.",
    "balanced_accuracy": "Mean over the classes of the share found.",
    "precision": "Share of the rows predicted positive that are.",
    "recall": "Share of the positive rows that are predicted positive.",
    "specificity": "Share of the negative rows that are predicted negative.",
    "f1": "Harmonic mean of precision and recall.",
    "mcc": "Correlation of predicted and true class, -1 to 1; 0 is guessing.",
    "rmse": "Root of the mean squared error, in the unit of the label.",
    "mse": "Mean squared error, in the squared unit of the label.",
    "mae": "Mean absolute error, in the unit of the label.",
    "mape": "Mean absolute error over the label, a share.",
    "r2": "Share of the label's variance that the predictions explain. 1 is perfect, 0 no better than the mean.",
    "observed_over_expected": "Sum of the labels over the sum of the predictions. 1 is neither too high nor too low.",
    "selection_rate": "Share of a group's rows that are predicted positive.",
    "adverse_impact_ratio": "Selection rate of a group over the highest one.",
    "true_positive_rate": "Share of a group's positive rows that are predicted positive.",
    "equal_opportunity_difference": "True positive rate of a group less the highest one.",
    "permutation_importance": "By how much the loss grows when a feature's values are taken from other rows. "
    "0: the model does not rely on it; below 0: the model would do better without.",
    "group_importance": "The same of features that move together (association of .7 or more), all taken from another "
    "row at once.",
    "group_importance_change": "Importance of features that go together in a window less that in the reference.",
    "importance_change": "Importance of a window less that of the reference.",
    "importance_loss_ratio": "Loss with the feature from another row over the loss as it is. 1: the model does not "
    "rely on it; below 1: the model would do better without.",
    "permuted_outside": "Share of the permuted rows that are unlike any: what a model says there is extrapolation, "
    "and so is that part of the importance.",
    "importance_ratio": "Importance of a window over that of the reference.",
    "importance_share_change": "Change of a feature's share of all importances.",
    "importance_rank_change": "Places up (below 0) or down in the order of importances.",
    "importance_change_from_donors": "Part of the change that the feature's own values bring.",
    "importance_change_from_rows": "Part of the change that the rows it is exchanged in bring.",
    "compatibility_ndcg": "Likeness of the order of importances to that of the reference; 1 is the same.",
    "compatibility_rank_correlation": "Rank correlation of the importances with those of the reference; 1 is the same.",
    "mean_loss_difference": "Mean loss of a segment less that of all other rows, measured on rows that were not "
    "searched.",
    "share_drifted": "Share of the judged columns of a window that came out as fail.",
}
"""Statistics in plain words."""

EXACTNESS = {
    "exact": "correctly computed from integer counts",
    "certified": "the true value always lies between the two bounds shown",
    "estimated": "an estimate with a standard error; decides only where the configuration names it",
}
"""How far a number can be trusted, apart from sampling."""


def variance(text: object) -> str:
    """What the errors of a row take for independent, in words: ``block:1d`` is blocks of 1 day."""
    name = str(text)
    if name == "iid":
        return "rows taken as independent"
    if not name.startswith("block"):
        return visible(name)
    of = name.partition(":")[2]
    length = re.fullmatch(r"([1-9][0-9]*)(h|d|w|mo|y)", of)
    if length is None:
        return f"blocks of {visible(of)}" if of else "blocks"
    unit = {"h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}[length[2]]
    return f"blocks of {count(int(length[1]), unit)}"


DECIDING_PAIR = frozenset({"ks", "total_variation"})
"""The statistics that read as a share of rows moved."""


def against(baseline: str) -> str:
    """Name of a baseline within a sentence."""
    name, _, rest = baseline.partition(":")
    match name:
        case "reference":
            return "the reference"
        case "previous":
            return "the previous window"
        case "rolling":
            return f"the {rest} windows before" if rest.isdecimal() else f"the windows of the {rest} before"
        case "expanding":
            return "all windows before"
        case "seasonal":
            return f"the window {rest} earlier"
        case "segment":
            return f"segment {visible(rest)}"
        case "rest":
            return "the other segments"
        case "version":
            return f"version {visible(rest)}"
    return f"{visible(baseline)} baseline"


def value_words(row: Row) -> str:
    """What a deciding row measured, in plain words."""
    statistic, value = str(row.get("statistic")), row.get("value")
    if value is None:
        return f"{statistic} has no value"
    if statistic in DECIDING_PAIR:
        return f"at least {percent(value)} of the rows moved"
    if statistic == "missing_rate" and row.get("role") == "time":
        return f"the share of rows without a time differs by {percent(value)}"
    if statistic == "missing_rate":
        return f"the share of missing values differs by {percent(value)} of the rows"
    if statistic == "new_category_mass":
        return f"{percent(value)} of the rows hold a value the reference never held"
    if statistic == "schema":
        return "missing, or of another type"
    if statistic == "check":
        # The engine's own words end in the limit that is not kept.
        told = str(row.get("message") or "").rpartition(": ")[2]
        return f"{visible(checked(row))} is {number(value)}, {visible(told)}" if told else f"{checked(row)} is checked"
    return f"{statistic} is {number(value)}"


def checked(row: Row) -> str:
    """The statistic that a row of a check is about."""
    return str(row.get("definition") or "").removeprefix("check/").rpartition("/v")[0].partition("/")[0]


def limits(row: Row) -> str:
    """The limits of a row, as ``limits 0.05 and 0.1``."""
    return f"limits {number(row.get('warn_at'))} and {number(row.get('fail_at'))}"


def tally(counts: dict[str, int]) -> str:
    """``2 fail, 1 warn, 17 ok``; a verdict nobody got is left out."""
    return ", ".join(f"{counts[v]:,} {v}" for v in ("fail", "warn", "waived", "inconclusive", "ok") if counts.get(v))


def summary(view: View) -> list[Sentence]:
    """The three sentences on the first screen, after what could not be read."""
    if not view.features:
        return [
            ["No column was judged, so nothing can be said about drift."],
            ["Nothing was found and nothing was ruled out."],
            ["See the limitations and the data section for what was read."],
        ]
    unread: list[Sentence] = [
        [f"{row.get('message')}."]
        for row in view.rows
        if row.get("statistic") == "coverage" and row.get("verdict") == "inconclusive"
    ]
    performance: list[Sentence] = [[view.performance]] if view.performance else []
    how_many: Sentence = [*_how_many(view), *_in_segments(view)]
    return [
        *unread,
        *_thin(view),
        how_many,
        *_waived(view),
        *_checks(view),
        _which(view),
        *performance,
        _side_by_side(view),
    ]


MOST_THIN = 5
"""Windows without a verdict told one by one, the last of them."""


def _thin(view: View) -> list[Sentence]:
    """Windows in which nothing was evaluated, with their rows; nothing where there are none."""
    windows = view.unevaluated()
    if not windows:
        return []
    shown = windows[-MOST_THIN:]
    named = ", ".join(
        f"{w.label} ({count(w.rows, 'row') if w.rows else 'no row'})" if w.rows is not None else w.label for w in shown
    )
    more = f", and {count(len(windows) - len(shown), 'window')} before" if len(windows) > len(shown) else ""
    text = f"Nothing was evaluated in {len(windows)} of {count(len(view.windows), 'window')}: {named}{more}."
    if windows[-1].key == view.windows[-1].key:
        text += " Nothing is known of the newest window, so this report does not pass."
    return [[text]]


def _waived(view: View) -> list[Sentence]:
    """What people accepted, who, why and until when; nothing where no waiver accepts anything."""
    used = [(waiver, places) for waiver in view.waivers if (places := objects(waiver.get("waived") or []))]
    if not used:
        return []
    sentence: Sentence = ["Waived, so that it fails nothing: "]
    for i, (waiver, places) in enumerate(used[:3]):
        features = list(dict.fromkeys(str(place.get("feature")) for place in places))
        sentence.append("; " if i else "")
        for j, feature in enumerate(features[:3]):
            sentence += [", " if j else "", Name(feature)]
        sentence.append(f" and {count(len(features) - 3, 'more column')}" if len(features) > 3 else "")
        sentence += [f" ({count(len(places), 'verdict')}) until {visible(str(waiver.get('until')))} by "]
        sentence += [Name(str(waiver.get("who"))), ": ", Quote(str(waiver.get("why")))]
    sentence.append(f"; and by {count(len(used) - 3, 'more waiver')}." if len(used) > 3 else ".")
    return [sentence]


def _checks(view: View) -> list[Sentence]:
    """Whether the checks of the configuration hold in all rows; nothing where there are none."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in view.rows:
        if row.get("statistic") == "check" and row.get("segment_by") is None:
            found.setdefault((str(row.get("feature")), checked(row)), []).append(row)
    if not found:
        return []
    failed = {key: [r for r in rows if r.get("verdict") == "fail"] for key, rows in found.items()}
    failed = {key: rows for key, rows in failed.items() if rows}
    # A stretch without any row has nothing to check but its volume.
    empty = {w.key for w in view.windows if w.rows == 0}
    unsure = {
        key: [
            r for r in rows if r.get("verdict") != "ok"
            and (r.get("verdict") != "not_evaluated" or window_key(r) not in empty)
        ]
        for key, rows in found.items()
    }  # fmt: skip
    # Optional ones whose number exists nowhere.
    found = {key: rows for key, rows in found.items() if any(r.get("verdict") != "not_evaluated" for r in rows)}
    unsure = {key: rows for key, rows in unsure.items() if key in found}
    if not found:
        return []
    unsure = {key: rows for key, rows in unsure.items() if rows}
    several = len(view.windows) > 1
    total = count(len(found), "check")
    if not failed and not unsure:
        where = f" in all {len(view.windows)} windows" if several else ""
        return [[f"{total} of the configuration {'holds' if len(found) == 1 else 'hold'}{where}."]]
    if not failed:
        told: Sentence = ["No check of the configuration fails; not known to hold: "]
        for i, ((feature, statistic), rows) in enumerate(list(unsure.items())[:3]):
            where = f" in {len(rows)} of {len(found[feature, statistic])} windows" if several else ""
            told += ["; " if i else "", Name(feature), f", {visible(statistic)}{where}"]
        told.append(f"; and {len(unsure) - 3} more." if len(unsure) > 3 else ".")
        return [told]
    sentence: Sentence = [f"Of {total} {len(failed)} {'fails' if len(failed) == 1 else 'fail'}: "]
    for i, ((feature, _), rows) in enumerate(list(failed.items())[:3]):
        worst = max(rows, key=lambda r: abs(to_float(r.get("value")) or 0.0))
        label = next(
            (w.label for w in view.windows if w.key == (worst.get("window_start"), worst.get("window_end"))), ""
        )
        more = f", and {count(len(rows) - 1, 'more window')}" if len(rows) > 1 else ""
        when = f" ({label}{more})" if several else ""
        sentence += ["; " if i else "", Name(feature), f", {value_words(worst)}{when}"]
    sentence.append(f"; and {len(failed) - 3} more." if len(failed) > 3 else ".")
    return [sentence]


def _how_many(view: View) -> Sentence:
    counts = view.verdicts(view.main)
    several = len(view.windows) > 1
    judged = sum(counts[v] for v in ("fail", "warn", "waived", "inconclusive", "ok"))
    text = f"{count(judged, 'column was', 'columns were')} judged"
    if several:
        # No window without a verdict counts as one that was judged.
        open_, every = len(view.unevaluated()), count(len(view.windows), "window")
        text += f" in {len(view.windows) - open_} of {every}" if open_ else f" in {every}"
    text += f" against {against(view.main)}" + (", each by its worst window" if several else "")
    text += f": {tally(counts)}" if judged else ""
    if counts["error"]:
        text += f"; {counts['error']:,} could not be computed"
    if counts["not_evaluated"]:
        text += f"; {counts['not_evaluated']:,} had nothing to compare"
    return [f"{text}."]


def _in_segments(view: View) -> Sentence:
    """How many segments have a column that fails or warns; nothing where none has."""
    worst = [segment.worst.verdict for segment in view.segments]
    told = [f"{worst.count(v):,} {word}" for v, word in (("fail", "with a failing column"), ("warn", "with a warning"))
            if v in worst]  # fmt: skip
    return [f" Of {count(len(worst), 'segment')}: {', '.join(told)}."] if told else []


def _which(view: View) -> Sentence:
    moved = [(f, j) for f in view.features if (j := f.moved_most(view.main))]
    moved.sort(key=lambda pair: pair[1].order)
    if not moved:
        waived = view.verdicts(view.main)["waived"]
        if waived:
            return [
                f"What moved beyond its limits in {count(waived, 'column')} was accepted by a waiver, and is shown."
            ]
        if view.verdicts(view.main)["inconclusive"]:
            return ["No column is known to have moved, but some have too few rows to rule it out."]
        return [f"No column moved beyond its limits from {against(view.main)}."]
    sentence: Sentence = ["Moved most: "]
    for i, (feature, j) in enumerate(moved[:3]):
        if i:
            sentence.append("; ")
        sentence.append(Name(feature.name))
        row = j.difference or j.lead
        sentence.append(f" ({value_words(row)}" if row else " (see its row")
        sentence.append(f", {j.window.label})" if len(view.windows) > 1 else ")")
    rest = len(moved) - 3
    sentence.append(f"; and {count(rest, 'more column')}." if rest > 0 else ".")
    return sentence


def _side_by_side(view: View) -> Sentence:
    if "previous" not in view.baselines or len(view.windows) < 2 or view.main == "previous":
        if len(view.windows) < 2:
            return ["There is one window, so a lasting level cannot be told from a new change."]
        return [f"Windows were compared with {against(view.main)} only, so a season would show in every window."]
    lasting = [f for f in view.features if f.moved(view.main)]
    if not lasting:
        steps = sum(bool(f.moved("previous")) for f in view.features)
        if steps:
            return [f"From one window to the next, {count(steps, 'column')} moved while staying near the reference."]
        return ["No column moved from one window to the next either."]
    # Worst first: the first column whose level lasts longer than it changes makes the point.
    feature = next((f for f in lasting if f.moved("previous") < f.moved(view.main)), lasting[0])
    every, steps = feature.moved(view.main), feature.moved("previous")
    return [
        Name(feature.name),
        f" differs from the reference in {every} of {count(len(feature.judged(view.main)), 'window')}, "
        f"{'but' if steps < every else 'and'} from the previous window in {steps} of "
        f"{len(feature.judged('previous'))}; of {count(len(lasting), 'column')} that left the reference, "
        f"{sum(bool(f.moved('previous')) for f in lasting)} also moved from one window to the next. "
        "A season or a level that lasts shows against the reference every time.",
    ]


def finding(feature: Feature, view: View) -> Sentence:
    """One entry of the list of findings: what, how much, where, and in how many windows."""
    worst = _leading(feature, view)
    sentence: Sentence = [Name(feature.name), ": "]
    if worst is None:
        return sentence
    row = worst.lead
    if row is None or worst.verdict == "error" or row.get("value") is None:
        sentence.append(WORD.get(worst.verdict, worst.verdict).lower())
        if worst.message:
            sentence += [", ", Quote(worst.message)]
    elif row.get("statistic") == "schema":
        sentence.append(Quote(str(row.get("message") or value_words(row))))
    else:
        # An inconclusive row claims nothing: its value is what the rows show, not what moved.
        claim = "too few effective rows to tell" if worst.verdict == "inconclusive" else value_words(row)
        sentence.append(claim)
        known = row.get("ci_low") is not None or row.get("ci_high") is not None
        told = f"interval {interval(row.get('ci_low'), row.get('ci_high'))}" if known else ""
        if row.get("statistic") == "check":
            sentence.append(f" ({told})" if told else "")
        else:
            measured = f"{row.get('statistic')} {number(row.get('value'))}{f', {told}' if told else ''}"
            sentence.append(f" ({measured}; {limits(row)})")
        if worst.verdict == "waived" and worst.message:
            sentence += ["; ", Quote(worst.message)]
        if worst.verdict == "inconclusive" and row.get("minimum_detectable") is not None:
            sentence.append(f", where the smallest shift that could be seen is {number(row['minimum_detectable'])}")
    if len(view.windows) > 1:
        sentence.append(f", {worst.window.label}")
    elif worst.baseline != view.main:
        sentence.append(f", against {against(worst.baseline)}")
    sentence.append(".")
    if len(view.windows) > 1:
        sentence.append(f" {side_by_side(feature, view)}")
    if feature.importance is not None:
        where = " in a window" if len(view.windows) > 1 else ""
        sentence.append(f" Up to {percent(feature.importance)} of the model's importance{where}.")
    return sentence


MOST_UNSURE = 3
"""Inconclusive columns told one by one; more of them are told together."""


def findings(view: View) -> tuple[list[tuple[str, Sentence]], Sentence | None]:
    """Verdict and sentence of each finding, worst first, and what is said of all inconclusive columns together."""
    entries: list[tuple[str, Sentence]] = []
    unsure: list[Judgement] = []
    for feature in view.findings():
        worst = _leading(feature, view)
        if worst is None:
            continue
        if worst.verdict == "inconclusive":
            unsure.append(worst)
        entries.append((worst.verdict, finding(feature, view)))
    if len(unsure) <= MOST_UNSURE:
        return entries, None
    text = f"{count(len(unsure), 'column')} stay inconclusive: too few effective rows to rule a failing shift out. "
    unsure.sort(key=lambda j: j.order)
    sentence: Sentence = [text + "Largest values: "]
    for i, j in enumerate(unsure[:5]):
        row = j.lead or {}
        sentence += ["; " if i else "", Name(j.feature), f" ({row.get('statistic')} {number(row.get('value'), 3)}"]
        if row.get("minimum_detectable") is not None:
            sentence.append(f"; {number(row['minimum_detectable'], 3)} could be seen")
        sentence.append(f", {j.window.label})" if len(view.windows) > 1 else ")")
    sentence.append(f"; and {count(len(unsure) - 5, 'more column')}." if len(unsure) > 5 else ".")
    return [entry for entry in entries if entry[0] != "inconclusive"], sentence


def side_by_side(feature: Feature, view: View) -> str:
    """Tell in how many windows a column differs from each baseline."""
    parts = [
        f"from {against(baseline)} in {feature.moved(baseline)} of {len(judged)}"
        + (" windows" if baseline == view.main else "")
        for baseline in view.baselines
        if (judged := feature.judged(baseline))
    ]
    return f"Differs {', '.join(parts)}." if parts else "Not evaluated in any window."


def _leading(feature: Feature, view: View) -> Judgement | None:
    found = [j for baseline in view.baselines if (j := feature.worst(baseline)) is not None]
    return min(found, key=lambda j: (-j.severity, view.baselines.index(j.baseline)), default=None)
