"""``tidegauge explain``: importances of a model on its log, their drift, and weak segments."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tidegauge._explain import Explanation

_SUFFIXES = {"text": ".txt", "json": ".json", "ndjson": ".ndjson", "markdown": ".md"}


#: The key of a configuration that says what an option says.
KEYS = {
    "label": "roles.label",
    "score": "roles.score",
    "current": "current.path",
    "time": "roles.time",
    "window": "current.window",
    "time_zone": "current.time_zone",
    "features": "explain.features",
    "categories": "explain.categories",
    "scoring": "explain.scoring",
    "method": "explain.method",
    "repeats": "explain.n_repeats",
    "seed": "explain.random_state",
    "groups": "explain.groups",
    "block": "roles.block",
    "rows": "explain.rows",
    "where": "current.where",
    "alpha": "explain.alpha",
    "fail_at": "explain.fail_at",
    "segments": "explain.segments",
    "allow_pickle": "explain.allow_pickle",
}


def _listed(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> list[str]:
    return [name.strip() for text in value for name in text.split(",") if name.strip()]


@click.command()
@click.argument("model", metavar="MODEL|CONFIG")
@click.argument("data", required=False)
@click.option("--label", metavar="NAME", help="Column of the label.")
@click.option(
    "--score", metavar="NAME", help="Column of the score that was logged; weak segments are those of its loss."
)
@click.option("--current", metavar="DATA", help="Later rows: importances of both, and which changed.")
@click.option("--time", metavar="NAME", help="Column of the time, for windows.")
@click.option("--window", type=click.Choice(["1h", "1d", "1w", "1mo"]), help="Cut the later rows into windows.")
@click.option("--time-zone", metavar="ZONE", help="Zone of the windows, as Europe/Paris; default UTC.")
@click.option("--features", multiple=True, callback=_listed, metavar="NAME,...", help="Columns in the model's order.")
@click.option(
    "--categories", metavar="FILE", help="JSON: for each column whose codes the model takes, its values by code."
)
@click.option("--scoring", metavar="NAME", help="As neg_log_loss, accuracy, r2; default accuracy or r2.")
@click.option("--method", type=click.Choice(["auto", "exact", "permutation"]), default="auto", show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, help="Permutations of a feature.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Key of permutations and splits.")
@click.option("--group", "groups", multiple=True, metavar="NAME=A,B", help="Features permuted together; repeatable.")
@click.option("--block", metavar="LENGTH|NAME", help="What makes rows dependent where segments are tested, as 1d.")
@click.option("--rows", type=click.IntRange(2), metavar="N", help="Draw so many rows of each window.")
@click.option("--where", metavar="SQL", help="Rows to read, an SQL condition.")
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True)
@click.option(
    "--fail-at", type=click.FloatRange(0, min_open=True), metavar="LOSS", help="Change of importance that fails."
)
@click.option("--segments/--no-segments", default=True, show_default=True, help="Search weak segments.")
@click.option("--allow-pickle", is_flag=True, help="Read .joblib and .pkl, which run what the file says.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of CONFIG; repeatable.")
@click.option("--format", "form", type=click.Choice(list(_SUFFIXES)), default="text", show_default=True)
@click.option(
    "-o", "--output", "outputs", multiple=True, metavar="FILE", help="Also write .json .ndjson .md .txt .parquet."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, no names of files written.")
def explain(
    model: str, data: str | None, form: str, outputs: tuple[str, ...], quiet: bool, overrides: tuple[str, ...],
    **given: Any,
) -> int:  # fmt: skip
    """What a model relies on, whether that changed, and where it is weak.

    MODEL is a file of LightGBM, XGBoost, CatBoost or ONNX, of coefficients in JSON or, with --allow-pickle,
    a .joblib; DATA the labelled rows. Or CONFIG alone, a .toml or .yaml whose [explain] says the same.
    """
    from tidegauge import _explain_text as rendering
    from tidegauge._files import write_all
    from tidegauge.cli._show import echo, echo_json, tell
    from tidegauge.results import refuse_inputs

    targets = rendering.check_outputs(outputs)
    refuse_inputs(outputs, (model, data, given["current"]))

    def told(text: str) -> None:
        if not quiet:
            tell(f"{text} ...")

    if Path(model).suffix.lower() in (".toml", ".yaml", ".yml"):
        if data is not None:
            raise click.UsageError(f"{model} names its data; {data!r} beside it is not accepted")
        changed = [
            name
            for name in given
            if click.get_current_context().get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        ]
        if changed:
            option, value = _as_given(changed[0], given[changed[0]])
            raise click.UsageError(
                f"{option} beside a configuration; accepted is its key there, as --set {KEYS[changed[0]]}={value}"
            )
        found = _of_configuration(model, overrides, told)
    else:
        if overrides:
            raise click.UsageError("--set is of a configuration; accepted are the options of this command")
        if data is None or given["label"] is None:
            raise click.UsageError("a model needs DATA and --label, the column of the label")
        found = _of_files(model, data, given, told)
    command = _command()
    write_all([(path, rendering.render(found, path.suffix.lower(), command)) for path in targets])
    for path in targets:
        if not quiet:
            tell(f"wrote {path}")
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else None
    text = rendering.render(found, _SUFFIXES[form], command, width).decode()
    (echo_json if form in ("json", "ndjson") else echo)(text)
    return 1 if found.drift is not None and found.drift.failed else 0


def _as_given(name: str, value: Any) -> tuple[str, str]:
    """An option as it was given, and what its key would say."""
    option = next(p for p in click.get_current_context().command.params if p.name == name)
    if isinstance(value, bool):
        return (option.opts if value else option.secondary_opts)[0], str(value).lower()
    return option.opts[0], str(value) if isinstance(value, (str, int, float)) else "..."


def _of_configuration(path: str, overrides: tuple[str, ...], told: Any) -> Explanation:
    from tidegauge import _run, config

    settings = config.load(path, overrides=overrides)
    if settings.model.path is None:
        raise click.UsageError(f"{path} names no model; accepted is model.path, the model's file")
    found: Explanation = _run.explain_only(settings, told)
    return found


def _of_files(model: str, data: str, given: dict[str, Any], told: Any) -> Explanation:
    from tidegauge import _explain
    from tidegauge._profile import make_options, scan

    time, window = given["time"], given["window"]
    if window is not None and (time is None or given["current"] is None):
        raise click.UsageError("--window needs --time and --current, whose rows it cuts")
    options = make_options(
        time=time, label=given["label"], score=given["score"], where=given["where"], time_zone=given["time_zone"]
    )
    first = _explain.table_of(data, options)
    schema = first.collect_schema()
    roles = _explain.Roles(
        given["label"],
        given["score"],
        time,
        tuple(name for name in schema if name not in (given["label"], given["score"], time)),
    )
    for name in (given["label"], given["score"], time):
        if name is not None and name not in schema:
            raise click.UsageError(f"column {name!r} is not in {data}; it has {', '.join(schema)}")
    parts: dict[tuple[str, str] | None, Any] = {None: first}
    reference = None
    if given["current"] is not None:
        reference, now = first, _explain.table_of(given["current"], options)
        parts = {None: now}
        if window is not None:
            cut = make_options(
                columns=[time],
                time=time,
                window=window,
                time_zone=given["time_zone"],
                where=given["where"],
                block="none",
            )
            groups = scan(given["current"], cut).info["groups"]
            found = sorted({(g["window_start"], g["window_end"]) for g in groups if g["window_start"] is not None})
            parts = _explain.cut(now, time, found)
    settings = _explain.Settings(
        model=model,
        features=tuple(given["features"]) or None,
        categories=_categories(given["categories"]),
        scoring=given["scoring"],
        method=given["method"],
        n_repeats=given["repeats"],
        random_state=given["seed"],
        groups=_groups(given["groups"]),
        rows=given["rows"],
        alpha=given["alpha"],
        fail_at=given["fail_at"],
        segments=given["segments"] and given["score"] is not None,
        allow_pickle=given["allow_pickle"],
    )
    return _explain.explain(settings, roles, reference, parts, block=given["block"], told=told)


def _categories(path: str | None) -> dict[str, list[Any]]:
    if path is None:
        return {}
    from tidegauge.errors import InputError, UsageError

    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise UsageError(f"{path}: {error}; accepted is JSON, a list of values by column") from None
    if not isinstance(found, dict) or not all(isinstance(values, list) for values in found.values()):
        raise UsageError(f'{path}: accepted is JSON as {{"carrier": ["9E", "AA"]}}')
    return found


def _groups(given: tuple[str, ...]) -> dict[str, list[str]] | None:
    found = {}
    for text in given:
        name, equals, members = text.partition("=")
        listed = [member.strip() for member in members.split(",") if member.strip()]
        if not equals or not name.strip() or not listed:
            raise click.UsageError(f"--group {text!r}; accepted is NAME=A,B")
        found[name.strip()] = listed
    return found or None


def _command() -> str:
    import shlex

    return shlex.join(["tidegauge", *sys.argv[1:]])
