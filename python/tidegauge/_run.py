"""A configuration in, profiles, rows and report out."""

from __future__ import annotations

import contextlib
import datetime as dt
import fnmatch
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidegauge import _core, _provenance
from tidegauge._compare import as_instant, decide
from tidegauge._files import write_all
from tidegauge._joint_rows import as_joint, check_sources, draw, sample_places
from tidegauge._performance import Settings, measure
from tidegauge._profile import Options, Profile, is_profile, make_options, refuse_excluded, scan
from tidegauge._waivers import waive
from tidegauge._work import FOLDER, Work, give_back
from tidegauge.config import Config, Joint, load, suggestion
from tidegauge.errors import ConfigError, FormatError, UsageError
from tidegauge.results import check_outputs, refuse_inputs

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl

    from tidegauge._explain import Explanation
    from tidegauge._profile import Progress
    from tidegauge._recorded import Recorded, RecordedExplanation
    from tidegauge._store import Store
    from tidegauge._store_performance import Watch
    from tidegauge.config import Reference
    from tidegauge.record import Context
    from tidegauge.results import Report


def run(
    config: str | os.PathLike[str] | Mapping[str, Any] | Config,
    *,
    overrides: Sequence[str] = (),
    command: str | None = None,
    progress: Progress | None = None,
    resume: bool = True,
) -> Report:
    """Profile the reference and the current data, compare, and write the outputs.

    Parameters
    ----------
    config : path, mapping or Config
        See :mod:`tidegauge.config`. Paths are relative to the configuration's file.
    overrides : sequence of str
        ``key=value`` each, as for ``tidegauge run --set``.
    command : str
        Told in the envelope of the record.
    progress : callable (done, total), optional
        Called often with bytes done and bytes in all, over all passes of one scan; rows for streams,
        whose total is 0 while it is not known.
    resume : bool
        Go on from the checkpoint of a run that was stopped. False begins anew.

    Returns
    -------
    Report
        Its outputs have appeared whole, or, when anything failed, not at all.

    Raises
    ------
    ConfigError
        If the configuration is not accepted.
    SchemaError, InputError, IncompatibleError
        As for :func:`tidegauge.profile` and :func:`tidegauge.compare`.
    StoreError
        If the store belongs to another reference or other options, or another run is at work in it.
    OSError
        If an output cannot be written.

    Notes
    -----
    A run that was stopped goes on from its last checkpoint when it is called again, and ends with the same
    ``result_digest`` and ``record_digest``; ``docs/daily-operation.md``.

    Examples
    --------
    >>> import tidegauge as tg
    >>> report = tg.run("examples/bike_2011/tidegauge.toml")  # doctest: +SKIP
    """
    started = dt.datetime.now(dt.UTC)
    settings = config if isinstance(config, Config) else load(config, overrides=overrides)
    outputs = check_outputs([settings.path(name) for name in settings.output.files], inputs=read_by(settings))
    joint = _joint(settings)
    if joint is not None:
        refuse_inputs(list(sample_places(joint).values()), [*read_by(settings), joint.reference_sample])
    if settings.output.audit is not None:
        _check_trail(Path(settings.path(settings.output.audit)))
    before = _digest_before(outputs)
    context = context_of(settings, started, command)
    work = Work(_work_folder(settings, outputs), _run_name(settings, outputs), settings.scan.checkpoint, resume)
    try:
        report = compute(settings, context, progress=progress, work=work)
        profiles = _profiles(settings, report)
        for side, (path, content) in profiles.items():
            told = {"path": _provenance.relative(str(path), context.folder), "bytes": len(content)}
            context.inputs["profiles"][side] = told | {"digest": _core.blake3(content)}
        write_all([
            *((target, report.render(target.suffix.lower())) for target in outputs),
            *(file for file in profiles.values() if file[0] not in outputs),
            *context.left,
        ])  # fmt: skip
    except BaseException as error:
        kept = work.kept(settings.path(settings.store.path) if settings.store is not None else None)
        if kept:
            error.add_note(f"{kept}: the same command goes on from there")
        raise
    work.done()
    if settings.output.audit is not None:
        _note_run(Path(settings.path(settings.output.audit)), report, outputs, before)
    return report


def _digest_before(outputs: Sequence[Path]) -> str | None:
    """Digest of the record that is about to be replaced, where there is one."""
    written = next((path for path in outputs if path.suffix.lower() == ".json"), None)
    if written is None or not written.exists():
        return None
    try:
        found = json.loads(written.read_bytes()).get("record_digest")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _check_trail(trail: Path) -> None:
    """Refuse a damaged trail before anything is read or replaced."""
    from tidegauge import audit

    if trail.exists():
        try:
            audit.check(trail)
        except FormatError as error:
            raise FormatError(
                f"{error}; nothing is added to a damaged trail, and nothing was written: keep it, and name another file"
            ) from None


def _note_run(trail: Path, report: Report, outputs: Sequence[Path], before: str | None) -> None:
    """Lines of the audit trail about a run: what it found, and what it takes the place of."""
    from tidegauge import audit

    record = report.record
    name = next((path.name for path in outputs if path.suffix.lower() == ".json"), None)
    told = {"record": record["record_digest"], "report": name}
    audit.append(trail, "run", **told, result=record["result_digest"], verdict=report.verdict)
    for waiver in record["result"].get("waivers", ()):
        # One line a waiver and what became of it, each with every verdict that it speaks of.
        said = {
            name: waiver[name] for name in ("match", "statistic", "window", "until", "who", "why") if name in waiver
        }
        for event, places in (("waived", waiver["waived"]), ("waiver_expired", waiver["ended"])):
            if places:
                audit.append(trail, event, **told, **said, verdicts=places)
    if before is not None and before != record["record_digest"]:
        audit.append(trail, "superseded", record=before, report=name, by=record["record_digest"])


def compute(
    settings: Config,
    context: Context,
    *,
    reference: Profile | None = None,
    current: Profile | None = None,
    recorded: Recorded | None = None,
    progress: Progress | None = None,
    work: Work | None = None,
) -> Report:
    """Profile and compare, and write nothing; profiles that are given are taken in place of the data.

    With `work` a store is used and checkpoints are kept. What profiles do not hold, or a model that is not to be
    loaded would give, is taken from `recorded`.
    """
    from tidegauge.record import build

    reference_options, current_options = plan(settings)
    if work is not None and settings.store is not None:
        report = _monitored(settings, context, work, progress)
        waive(report, settings, context)
        return report
    joint = _joint(settings)
    places = (paths(settings, settings.reference.path), paths(settings, settings.current.path))
    from_data = reference is None and current is None
    if joint and from_data:
        check_sources(*places, joint)
    as_instant(settings.current.as_of)
    if reference is not None:
        reference = Profile(reference._core, inputs=reference.inputs, options=reference_options)
    else:
        with _of_side("reference", settings.reference):
            reference = _take(settings, settings.reference.path, reference_options, None, progress, work)
        note_files(settings, settings.reference, "reference", reference, context)
    if current is not None:
        current = Profile(current._core, inputs=current.inputs, options=current_options)
    else:
        with _of_side("current", settings.current):
            current = _take(settings, settings.current.path, current_options, reference, progress, work)
        note_files(settings, settings.current, "current", current, context)
    rows: list[Any] = [_rows_of(settings, side.path) for side in (settings.reference, settings.current)]
    if recorded is not None and recorded.performance:
        rows = [None, None]
    give_back()
    performance = measure(
        ((rows[0], reference_options, reference), (rows[1], current_options, current)), _performance(settings), progress
    )
    if recorded is not None and performance is not None and recorded.performance:
        performance = recorded.planned(performance)
    begin = getattr(progress, "begin", None)

    def told(text: str) -> None:
        if begin is not None:
            begin(f"{text}: ", "rows")

    explanation: Explanation | RecordedExplanation | None = None
    if recorded is not None and recorded.explanation is not None:
        explanation = recorded.explanation
    else:
        explanation = _explanation(settings, reference, current, (reference_options, current_options), told)
    samples = None
    if joint and from_data:
        samples = draw(*places, reference, current, joint, of_reference=reference_options, of_current=current_options)
        context.left += samples.files
    give_back()
    report = decide(
        reference,
        current,
        **decision_options(settings, reference),
        joint=joint,
        samples=samples,
        joint_again=() if recorded is None else recorded.joint,
        context=context,
        build=build,
        measured=performance,
        explanation=explanation,
    )
    if recorded is not None and recorded.performance:
        recorded.take_performance(report)
    waive(report, settings, context)
    return report


def _monitored(settings: Config, context: Context, work: Work, progress: Progress | None) -> Report:
    """Scan what the store has not seen, and report its last windows."""
    from tidegauge import _store_performance
    from tidegauge._monitoring import monitor
    from tidegauge._store import Store

    assert settings.store is not None
    reference_options, current_options = plan(settings)
    _check_store(settings, context)
    data = paths(settings, settings.reference.path)

    def beside(made: Profile) -> dict[str, pl.DataFrame]:
        watch = watch_of(settings, made, current_options)
        if watch is None or not watch.plan:
            return {}
        found = watch.of_reference(data, reference_options, progress)
        return {_store_performance.NAME: _store_performance.whole_table(found)}

    with Store.open(settings.path(settings.store.path)) as store:
        store.agree(current_options, performance_kept(settings))
        reference = store.reference(data, reference_options, work, progress, beside)
        note_files(settings, settings.reference, "reference", reference, context)
        watch = watch_of(settings, reference, current_options)
        return monitor(store, settings, reference, watch, current_options, context, work, progress)


def watch_of(settings: Config, reference: Profile, options: Options) -> Watch | None:
    """What a run with a store measures of labels and predictions."""
    from tidegauge._store_performance import Watch

    return Watch.of(reference, options, _performance(settings))


def performance_kept(settings: Config) -> dict[str, Any] | None:
    """What ``[performance]`` says to every part of a store; None where labels are not measured."""
    chosen = settings.performance
    if not chosen.enabled or settings.roles.label is None:
        return None
    found: dict[str, Any] = msgspec.to_builtins(chosen)
    return found


def _check_store(settings: Config, context: Context) -> None:
    """Refuse what a store cannot give, and note what its report goes without.

    What a store keeps are states, which hold no rows: nothing can be explained.
    """
    if settings.joint.statistics:
        raise ConfigError("joint: a store keeps no rows; accepted are joint statistics in a run without [store]")
    if settings.explain is not None and settings.explain.enabled:
        context.notes.append("Importances are not measured by a run with a store; one without a store measures them.")


def stored(settings: Config, context: Context, recorded: Mapping[str, Any]) -> tuple[Store, Profile, Report]:
    """The report of a store as it was when a record was made, from what it keeps; nothing is scanned or written.

    `recorded` is ``inputs`` of the record.
    """
    from tidegauge import _store
    from tidegauge._monitoring import report_of

    assert settings.store is not None
    reference_options, current_options = plan(settings)
    _check_store(settings, context)
    store = _store.Store.read(settings.path(settings.store.path))
    reference = store.kept_reference(reference_options, paths(settings, settings.reference.path))
    unread = [problem for problem in recorded["current"]["problems"] if problem["kind"] in ("unit", "copy")]
    view = _store.View.of(recorded)
    watch = watch_of(settings, reference, current_options)
    report = report_of(store, settings, reference, watch, current_options, context, unread, view)
    waive(report, settings, context)
    return store, reference, report


def read_by(settings: Config) -> list[Any]:
    """Paths that a run reads: data of both sides, the model, and the configuration."""
    found: list[Any] = [settings.path(settings.model.path)] if settings.model.path is not None else []
    for side in (settings.reference, settings.current):
        given = paths(settings, side.path)
        found += [given] if isinstance(given, str) else given
    return found


def decision_options(settings: Config, reference: Profile) -> dict[str, Any]:
    """What :func:`tidegauge._compare.decide` takes from a configuration."""
    columns = [column["name"] for column in reference.info["columns"]]
    tolerances, statistics = _per_column(settings, columns)
    return {
        "tolerances": tolerances,
        "statistics": statistics,
        "baselines": settings.current.baselines,
        "decided_by": settings.current.decided_by,
        "segment_baselines": settings.current.segment_baselines,
        "as_of": settings.current.as_of,
        "decisions": msgspec.to_builtins(settings.decisions),
        "checks": _checks(settings, columns),
        "model": settings.model.name,
    }


def _work_folder(settings: Config, outputs: Sequence[Path]) -> Path | None:
    """Where checkpoints lie: in the store, as configured, beside the first output or the configuration."""
    if settings.store is not None:
        return Path(settings.path(settings.store.path)) / "work"
    if settings.scan.work is not None:
        return Path(settings.path(settings.scan.work))
    if outputs:
        return outputs[0].parent / FOLDER
    return Path(settings.base) / FOLDER if isinstance(settings.base, str) else None


def _run_name(settings: Config, outputs: Sequence[Path]) -> str:
    """Equal for the same configuration in the same place."""
    from tidegauge.record import digest

    content = [
        str(Path(settings.base).absolute()) if isinstance(settings.base, str) else None,
        settings.model.name,
        *(str(path.absolute()) for path in outputs),
    ]
    return digest(content)[3:11]


def context_of(settings: Config, started: dt.datetime, command: str | None) -> Context:
    """What the record tells beside the numbers."""
    from tidegauge.record import Context

    identity = _provenance.model(settings)
    return Context(
        started=started,
        command=command,
        title=settings.output.title,
        model=settings.model.name,
        model_version=settings.model.version,
        configuration=_rows_of_reference(plan(settings)[0]),
        as_written=settings.as_written or None,
        folder=str(Path(settings.base or ".").absolute()),
        result={"model": {"digest": identity["digest"]}} if "digest" in identity else {},
        inputs={
            "configuration_name": settings.file_name or None,
            "configuration_overrides": settings.overrides or [],
            "model": identity,
            "gate": {"fail_on": settings.output.fail_on},
            **({"audit": settings.output.audit} if settings.output.audit else {}),
            "reproduce": _provenance.reproduce(settings),
            "profiles": {},
        },
    )


def note_files(settings: Config, side: Reference, name: str, profile: Profile, context: Context) -> None:
    """Add what the record tells of one side's files and what their digests cost."""
    if side.snapshot is not None:
        context.inputs.setdefault("snapshots", {})[name] = side.snapshot
    if not settings.scan.digests:
        return
    began = time.perf_counter()
    context.files[name] = _provenance.local_files(profile.inputs, profile, context.folder)
    cost = json.loads(profile._core.cost_json()) or {}
    besides = sum(file["bytes"] or 0 for file in context.files[name])
    context.cost[name] = {
        "bytes_hashed_while_reading": cost.get("bytes_hashed_while_reading", 0),
        "bytes_read_besides": cost.get("bytes_read_besides", 0) + besides,
        "seconds_bytes": round(cost.get("seconds_bytes", 0.0) + time.perf_counter() - began, 6),
        "seconds_rows": round(cost.get("seconds_rows", 0.0), 6),
    }


def profile_places(settings: Config) -> dict[str, Path]:
    """Profiles that a run leaves, by side."""
    folder = settings.output.profiles
    if folder is not None:
        return {side: Path(settings.path(folder)) / f"{side}.tgp" for side in ("reference", "current")}
    named = [Path(settings.path(name)) for name in settings.output.files if name.lower().endswith(".tgp")]
    return {"current": named[0]} if named else {}


def _profiles(settings: Config, report: Report) -> dict[str, tuple[Path, bytes]]:
    """Profiles that a run leaves, with their content."""
    made = {"reference": report.reference, "current": report.current}
    return {side: (place, made[side].to_bytes()) for side, place in profile_places(settings).items()}


def explain_only(settings: Config, told: Callable[[str], None]) -> Explanation:
    """What ``[explain]`` asks for, without the comparison: windows are those of the time column alone.

    Raises
    ------
    ConfigError, UsageError, InputError
        As for :func:`run`.
    """
    reference_options, current_options = plan(settings)
    reference = _take(settings, settings.reference.path, reference_options, None, None, None)
    current = _take(settings, settings.current.path, current_options, reference, None, None)
    found = _explanation(settings, reference, current, (reference_options, current_options), told)
    if found is None:
        raise ConfigError("nothing is explained; accepted is [explain] without enabled = false")
    return found


def plan(settings: Config) -> tuple[Options, Options]:
    """Scan options of the reference and of the current data."""
    roles = settings.roles
    common = make_options(
        columns=roles.columns,
        exclude=roles.exclude,
        categorical=roles.categorical,
        sensitive=roles.sensitive,
        time=roles.time,
        id=roles.id,
        label=roles.label,
        weight=roles.weight,
        frequency=roles.frequency,
        model=settings.model.name,
        model_version=roles.model_version,
        block=roles.block,
        time_zone=settings.current.time_zone,
        by=[cut if isinstance(cut, str) else tuple(cut) for cut in settings.current.by],
        threads=settings.scan.threads,
        max_bad_units=settings.scan.max_bad_units,
        digests=settings.scan.digests,
    )
    assigned = dict(common.roles)
    for role in ("prediction", "score", "segment", "protected", "ignore"):
        names = getattr(roles, role)
        for name in [names] if isinstance(names, str) else names:
            if assigned.get(name, role) != role:
                raise ConfigError(f"roles.{role}: column {name!r} is given as {assigned[name]} too; one role a column")
            assigned[name] = role
    refuse_excluded(assigned, common.exclude)
    common = replace(common, roles=assigned)
    sides = (
        replace(common, where=side.where, since=side.since, until=side.until, schema=side.schema or None)
        for side in (settings.reference, settings.current)
    )
    reference, current = sides
    window = settings.current.window
    return replace(reference, window=window if settings.decisions.calibrated else None), replace(current, window=window)


def _joint(settings: Config) -> Joint | None:
    """Joint statistics, with paths against the configuration's folder."""
    joint = settings.joint
    chosen = {name: getattr(joint, name) for name in ("reference_sample", "samples")}
    found = {name: settings.path(path) for name, path in chosen.items() if path is not None}
    return as_joint(msgspec.structs.replace(joint, **found))


def paths(settings: Config, names: str | list[str]) -> str | list[str]:
    """Paths of one side, against the configuration's folder."""
    return settings.path(names) if isinstance(names, str) else [settings.path(name) for name in names]


def _take(
    settings: Config,
    names: str | list[str],
    options: Options,
    like: Profile | None,
    progress: Progress | None,
    work: Work | None,
) -> Profile:
    where = paths(settings, names)
    if isinstance(where, str) and is_profile(where):
        return Profile.load(where)
    if work is None:
        return scan(where, options, like=like, progress=progress)
    if like is None:
        return work.reference(where, options, progress)
    return work.current(where, options, like, progress)


@contextlib.contextmanager
def _of_side(name: str, side: Reference) -> Iterator[None]:
    """Say of which data it is that something is not accepted: both sides have the same options."""
    try:
        yield
    except UsageError as error:
        if type(error) is not UsageError:
            raise
        where = ", ".join([side.path] if isinstance(side.path, str) else side.path[:3])
        raise UsageError(f"{name} data, {where}: {error}") from None


def _rows_of(settings: Config, names: str | list[str]) -> str | list[str] | None:
    """Paths of rows; None where the side is a profile."""
    where = paths(settings, names)
    return None if isinstance(where, str) and is_profile(where) else where


def _explanation(
    settings: Config,
    reference: Profile,
    current: Profile,
    options: tuple[Options, Options],
    told: Callable[[str], None],
) -> Explanation | None:
    """Importances, drift and weak segments where a model file and labels are known."""
    chosen, path = settings.explain, settings.model.path
    if chosen is None or not chosen.enabled:
        return None
    if path is None:
        raise ConfigError("explain: no model; accepted is model.path, the model's file")
    from tidegauge import _explain

    info = reference.info
    roles = {**info["roles"], **options[1].roles}
    known = [name for name in info["order"] if roles.get(name) == "label"]
    if len(known) != 1:
        raise ConfigError(f"explain: {len(known)} columns have the role label; importances need one, named in roles")
    sides = [_rows_of(settings, side.path) for side in (settings.reference, settings.current)]
    if sides[1] is None:
        raise ConfigError(
            "explain: the current data is a profile; importances need its rows, or explain.enabled = false"
        )
    scores = [name for name in info["order"] if roles.get(name) == "score"]
    score = settings.performance.score or (scores[0] if len(scores) == 1 else None)

    def by_role(role: str) -> str | None:
        return next((name for name in roles if roles[name] == role), None)

    time = by_role("time")
    features = tuple(name for name in info["order"] if roles.get(name) == "feature")
    types = {column["name"]: column["logical"] for column in info["columns"]}
    before = None if sides[0] is None else _explain.table_of(sides[0], options[0], types)
    now = _explain.table_of(sides[1], options[1], types)
    windows = sorted({
        (group["window_start"], group["window_end"])
        for group in current.info["groups"]
        if group["window_start"] is not None and group["segment_by"] is None
    })  # fmt: skip
    parts: dict[tuple[str, str] | None, Any] = (
        {None: now} if not windows or time is None else _explain.cut(now, time, windows)
    )
    made = _explain.Settings(
        model=settings.path(path),
        features=None if chosen.features is None else tuple(chosen.features),
        categories=chosen.categories,
        scoring=chosen.scoring,
        method=chosen.method,
        n_repeats=chosen.n_repeats,
        random_state=chosen.random_state,
        groups=chosen.groups,
        rows=chosen.rows,
        alpha=chosen.alpha,
        fail_at=chosen.fail_at,
        segments=chosen.segments,
        segment_depth=chosen.segment_depth,
        segment_rows=chosen.segment_rows,
        sensitive=tuple(options[0].sensitive),
        allow_pickle=chosen.allow_pickle,
    )
    block = settings.roles.block
    if block is None and time is not None and before is not None and _explain.days(before, time) >= 20:
        # As the profile of the reference does.
        block = "1d"
    return _explain.explain(
        made,
        _explain.Roles(
            known[0], score, time, features, settings.current.time_zone, by_role("weight"), by_role("frequency")
        ),
        before,
        parts,
        block=None if block == "none" else block,
        told=told,
    )


def _performance(settings: Config) -> Settings:
    chosen = settings.performance
    hidden = settings.roles.sensitive
    told = [
        *chosen.protected,
        *([settings.roles.protected] if isinstance(settings.roles.protected, str) else settings.roles.protected),
    ]
    for name in told:
        if chosen.enabled and name in ([hidden] if isinstance(hidden, str) else hidden):
            raise ConfigError(
                f"roles.sensitive: column {name!r} is protected too, and groups would tell its values; "
                "accepted is one of both"
            )
    return Settings(
        metrics=None if chosen.metrics is None else tuple(chosen.metrics),
        score=chosen.score,
        classes=tuple(chosen.classes),
        threshold=chosen.threshold,
        protected=tuple(chosen.protected),
        enabled=chosen.enabled,
    )


def _rows_of_reference(options: Options) -> dict[str, Any]:
    """Row filters of the reference, told apart from those of the current data."""
    chosen = {"where": options.where, "since": options.since, "until": options.until}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    return {"reference_rows": chosen} if chosen else {}


def _per_column(settings: Config, columns: list[str]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Expand the globs in order; a later one overrides an earlier one."""
    tolerances: dict[str, dict[str, Any]] = {}
    statistics: dict[str, str] = {}
    for pattern, column in settings.columns.items():
        matched = [name for name in columns if name == pattern or fnmatch.fnmatchcase(name, pattern)]
        if not matched:
            hint = suggestion(pattern, columns)
            raise ConfigError(f'columns."{pattern}" matches no column{hint} (the reference has {", ".join(columns)})')
        for name in matched:
            if column.tolerance is not None:
                tolerances.setdefault(name, {}).update(warn=column.tolerance.warn, fail=column.tolerance.fail)
            for statistic, limits in column.tolerances.items():
                tolerances.setdefault(name, {})[statistic] = {"warn": limits.warn, "fail": limits.fail}
            if column.statistic is not None:
                statistics[name] = column.statistic
    return tolerances, statistics


def _checks(settings: Config, columns: list[str]) -> list[dict[str, Any]]:
    """One check a column that its glob names; ``*`` alone stands for the whole set, as in the rows."""
    checks = []
    for check in settings.checks:
        names = [name for name in columns if name == check.feature or fnmatch.fnmatchcase(name, check.feature)]
        # The key of several columns is named by all of them.
        whole = check.feature == "*" or (check.statistic == "duplicate_keys" and not names)
        if not whole and not names:
            hint = suggestion(check.feature, columns)
            raise ConfigError(
                f"checks: {check.feature!r} matches no column{hint} (the reference has {', '.join(columns)})"
            )
        limits = {name: limit for name, limit in (("min", check.min), ("max", check.max)) if limit is not None}
        if not limits:
            raise ConfigError(f"checks: {check.statistic} of {check.feature!r} has no limit; accepted are min and max")
        features = [check.feature] if whole else names
        more: dict[str, Any] = {"segments": True} if check.segments else {}
        more |= {"pattern": check.feature} if len(features) > 1 else {}
        more |= {"optional": True} if check.optional else {}
        checks += [{"feature": name, "statistic": check.statistic, **limits, **more} for name in features]
    return checks
