"""Two tables in, one report out."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tidegauge._compare import decide
from tidegauge._files import write_all
from tidegauge._joint_rows import as_joint, check_sources, draw, sample_places
from tidegauge._performance import Settings, measure
from tidegauge._profile import Options, Profile, as_profile, is_profile, make_options, scan
from tidegauge.results import refuse_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidegauge._profile import Cut, Progress
    from tidegauge.results import Report


def drift(
    reference: Any,
    current: Any,
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    sensitive: Sequence[str] = (),
    time: str | None = None,
    id: str | Sequence[str] | None = None,  # noqa: A002 - the role's name
    label: str | None = None,
    prediction: str | None = None,
    score: str | None = None,
    weight: str | None = None,
    frequency: str | None = None,
    model: str | None = None,
    model_version: str | None = None,
    block: str | None = None,
    schema: Mapping[str, str] | None = None,
    window: str | None = None,
    time_zone: str | None = None,
    by: Cut | Sequence[Cut] | None = None,
    where: str | None = None,
    since: str | None = None,
    until: str | None = None,
    threads: int | None = None,
    max_bad_units: int = 0,
    alpha: float = 0.05,
    tolerances: Mapping[str, Mapping[str, Any]] | None = None,
    statistics: Mapping[str, str] | None = None,
    baselines: Sequence[str] = ("reference",),
    decided_by: Sequence[str] = (),
    segment_baselines: Sequence[str] = (),
    as_of: str | dt.date | None = None,
    decisions: Mapping[str, Any] | None = None,
    joint: Mapping[str, Any] | Sequence[str] | str | None = None,
    title: str | None = None,
) -> Report:
    """Compare two tables: one verdict per feature, one ranked list.

    Both are scanned whole. The reference is cut neither into windows (unless thresholds are calibrated
    on them) nor by `since` and `until`; `where`, `by` and everything else apply to both.

    Parameters
    ----------
    reference, current : anything :func:`tidegauge.profile` reads, or a Profile
        A profile, or the path of one (``.tgp``), is taken as it is; scan options do not reach it.
    columns, exclude, categorical, sensitive, time, id, label, prediction, score, weight, frequency, \
model, model_version, block, schema, window, time_zone, by, where, since, until, threads, max_bad_units
        As for :func:`tidegauge.profile`. Only features, predictions, scores and labels are judged.
    alpha, tolerances, statistics, baselines, decided_by, segment_baselines, as_of, decisions, title
        As for :func:`tidegauge.compare`.
    joint : str, sequence of str, or mapping
        Statistics of whole rows, on a sample of rows that is drawn for them: ``"classifier_test"``, ``"mmd"``,
        ``"energy_multivariate"``, ``"pca_reconstruction"``; or a mapping with the keys of ``[joint]`` in a
        configuration, as ``{"statistics": ["mmd"], "rows": 2000, "key": "id"}``. See ``docs/joint.md``.

    Returns
    -------
    Report
        Nulls and NaN are cells of their own and decide through ``missing_rate``.

    Raises
    ------
    UsageError, SchemaError, InputError, IncompatibleError
        As for :func:`tidegauge.profile` and :func:`tidegauge.compare`.

    Examples
    --------
    >>> import numpy as np, tidegauge as tg
    >>> rng = np.random.default_rng(1)
    >>> report = tg.drift({"x": rng.normal(0, 1, 5000)}, {"x": rng.normal(1, 1, 5000)})
    >>> report.verdict
    'fail'
    """
    options = make_options(
        columns=columns, exclude=exclude, categorical=categorical, sensitive=sensitive, time=time, id=id,
        label=label, prediction=prediction, score=score, weight=weight, frequency=frequency, model=model,
        model_version=model_version, block=block, schema=schema, window=window, time_zone=time_zone, by=by,
        where=where, since=since,
        until=until, threads=threads, max_bad_units=max_bad_units,
    )  # fmt: skip
    return compute(
        reference, current, options,
        alpha=alpha, tolerances=tolerances, statistics=statistics, baselines=baselines,
        decided_by=decided_by, segment_baselines=segment_baselines, as_of=as_of, decisions=decisions, joint=joint,
        title=title,
    )  # fmt: skip


def compute(
    reference: Any,
    current: Any,
    options: Options,
    *,
    alpha: float = 0.05,
    tolerances: Mapping[str, Mapping[str, Any]] | None = None,
    statistics: Mapping[str, str] | None = None,
    baselines: Sequence[str] = ("reference",),
    decided_by: Sequence[str] = (),
    segment_baselines: Sequence[str] = (),
    as_of: str | dt.date | None = None,
    decisions: Mapping[str, Any] | None = None,
    joint: Mapping[str, Any] | Sequence[str] | str | None = None,
    title: str | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Do what :func:`drift` does, with progress; shared with the command line."""
    from tidegauge.record import Context, build

    started = dt.datetime.now(dt.UTC)
    asked = as_joint(joint)
    if asked:
        check_sources(reference, current, asked)
        refuse_inputs(list(sample_places(asked).values()), [reference, current, asked.reference_sample])
    # Calibrated thresholds rest on the reference's own windows.
    calibrated = (decisions or {}).get("calibrated") is not None
    window = options.window if calibrated else None
    frozen = _take(reference, replace(options, window=window, since=None, until=None), None, progress)
    measured = _take(current, options, frozen, progress)
    rows = [None if is_profile(data) else data for data in (reference, current)]
    before = replace(options, window=window, since=None, until=None)
    performance = measure(((rows[0], before, frozen), (rows[1], options, measured)), Settings(), progress)
    context = Context(started=started, command=command, title=title, model=options.model)
    samples = None
    if asked:
        samples = draw(
            reference, current, frozen, measured, asked, of_reference=replace(options, since=None, until=None),
            of_current=options,
        )  # fmt: skip
    report = decide(
        frozen,
        measured,
        alpha=alpha,
        tolerances=tolerances,
        statistics=statistics,
        baselines=baselines,
        decided_by=decided_by,
        segment_baselines=segment_baselines,
        as_of=as_of,
        decisions=decisions,
        joint=asked,
        samples=samples,
        model=options.model,
        context=context,
        build=build,
        measured=performance,
    )
    if samples is not None:
        write_all(samples.files)
    return report


def _take(data: Any, options: Options, like: Profile | None, progress: Progress | None) -> Profile:
    return as_profile(data) if is_profile(data) else scan(data, options, like=like, progress=progress)
