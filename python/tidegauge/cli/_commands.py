"""The commands. Each imports what it needs when it runs, so that ``--help`` stays quick."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidegauge.cli import _verify
from tidegauge.cli._explain import explain as explain_command
from tidegauge.cli._models import compare_models
from tidegauge.cli._render import report as report_command
from tidegauge.cli._show import append_summary, echo, echo_json, show, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegauge._init import Preset
    from tidegauge.results import FailOn, Report

    Command = Callable[..., Any]

_FORMATS = click.Choice(["text", "json", "ndjson", "markdown", "junit", "prom"])
_FAIL_ON = click.Choice(["fail", "warn", "inconclusive", "never"])


def _options(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Stack several options into one decorator, in the order they are listed."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def _listed(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> list[str]:
    """``-x a,b -x c`` as one list."""
    return [name.strip() for text in value for name in text.split(",") if name.strip()]


def _names(flag: str, text: str) -> Callable[[Command], Command]:
    return click.option(flag, multiple=True, callback=_listed, metavar="NAME,...", help=text)


_columns = _options(
    _names("--columns", "Columns to read; default all."),
    _names("--exclude", "Columns to leave out."),
)
_rows = _options(
    click.option("--where", metavar="SQL", help="Rows to read, an SQL condition."),
    click.option("--since", metavar="TIME", help="First time to read, ISO date or time."),
    click.option("--until", metavar="TIME", help="Time to stop before."),
)
_roles = _options(
    click.option("--time", metavar="NAME", help="Column of the time."),
    click.option("--label", metavar="NAME", help="Column of the label."),
    click.option("--weight", metavar="NAME", help="Column of sampling weights."),
    click.option("--frequency", metavar="NAME", help="Column of integers: a row counts as so many rows."),
    click.option("--score", metavar="NAME", help="Column of the score."),
    click.option("--prediction", metavar="NAME", help="Column of the prediction."),
    _names("--id", "Columns that identify rows; never judged."),
    _names("--categorical", "Integer columns to take as categories."),
    _names("--sensitive", "Columns kept by hashes of their values, without extremes."),
    click.option("--model-version", metavar="NAME", help="Column of the model's version."),
)
_groups = _options(
    click.option("--window", type=click.Choice(["1h", "1d", "1w", "1mo"]), help="Length of a time window."),
    click.option("--time-zone", metavar="ZONE", help="Zone of windows and times, as Europe/Paris; default UTC."),
    click.option("--by", multiple=True, metavar="NAME,...", help="Segment by a column, or crossed ones; repeatable."),
)
_scan = _options(
    click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads; default all cores."),
    click.option("--max-bad-units", type=click.IntRange(0), default=0, metavar="N", help="Unreadable parts allowed."),
)
_quiet = click.option("-q", "--quiet", is_flag=True, help="No progress, no names of files written.")
_all_scan = _options(_columns, _rows, _roles, _groups, _scan)
_model = click.option("--model", metavar="NAME", help="Name of the model, told in rows and report.")
_decide = _options(
    _model,
    click.option("--title", metavar="TEXT", help="Title of the report."),
    click.option(
        "--baseline", "baselines", multiple=True, metavar="NAME", default=("reference",), show_default=True,
        help="What windows are compared with: reference, previous, rolling:4, rolling:7d, expanding, seasonal:1y, "
        "segment:column=value, rest, version:name; repeatable.",
    ),
    click.option("--decided-by", multiple=True, metavar="NAME", help="Baselines that decide; default the reference."),
    click.option(
        "--segment-baseline", "segment_baselines", multiple=True, metavar="NAME",
        help="Baselines that segments are compared with too; default those that decide.",
    ),
    click.option("--as-of", metavar="TIME", help="Instant of the comparison, ISO or now; default each window's end."),
    click.option(
        "--rule", "rules", multiple=True, metavar="KEY=VALUE",
        help="Rule of decision, as consecutive=2, minimum_n.current=100, calibrated.fail=0.05 or "
        "over_time=sequential; repeatable.",
    ),
    click.option("--fail-on", type=_FAIL_ON, default="fail", show_default=True, help="Mildest verdict that exits 1."),
    click.option("--format", "form", type=_FORMATS, default="text", show_default=True, help="Standard output."),
    click.option(
        "-o", "--output", "outputs", multiple=True, metavar="FILE",
        help="Also write .json .html .md .txt .xml .prom .ndjson .parquet or .tgp; repeatable.",
    ),
)  # fmt: skip


class _Commands(click.Group):
    """Names the nearest command when there is none of that name."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if self.get_command(context, name) is None and not name.startswith("-"):
            import difflib

            known = self.list_commands(context)
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            context.fail(f"no command {_visible(name)!r}{hint} (accepted: {', '.join(known)})")
        return super().resolve_command(context, arguments)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: tidegauge drift reference.parquet current.parquet -o report.html",
)
@click.version_option(None, "-V", "--version", package_name="tidegauge", message="%(version)s")
def cli() -> None:
    """Measure data and predictions against a reference: drift, quality, one verdict per feature."""


cli.add_command(report_command)
for command in (_verify.gate, _verify.sign, _verify.verify):
    cli.add_command(command)
cli.add_command(explain_command)
cli.add_command(compare_models)


@cli.command()
@click.argument("reference")
@click.argument("current")
@_all_scan
@_decide
@_names("--joint", "Statistics of whole rows: classifier_test, mmd, energy_multivariate, pca_reconstruction.")
@click.option("--joint-rows", type=click.IntRange(20, 100_000), metavar="N", help="Rows of each sample; default 5000.")
@_names("--joint-key", "Columns that identify a row of a sample.")
@_quiet
def drift(
    reference: str, current: str, form: str, outputs: tuple[str, ...], fail_on: FailOn, title: str | None,
    baselines: tuple[str, ...], decided_by: tuple[str, ...], segment_baselines: tuple[str, ...],
    as_of: str | None, rules: tuple[str, ...], joint: list[str], joint_rows: int | None, joint_key: list[str],
    quiet: bool, **scan: Any,
) -> int:  # fmt: skip
    """Compare two tables and judge every feature.

    Tables are files, globs, folders, s3:// gs:// az:// or profiles (.tgp).
    """
    from tidegauge._drift import compute
    from tidegauge.cli._progress import Progress
    from tidegauge.results import check_outputs

    check_outputs(outputs, inputs=(reference, current))
    with Progress(quiet=quiet) as progress:
        report = compute(
            reference, current, _scan_options(**scan),
            baselines=baselines, decided_by=decided_by, segment_baselines=segment_baselines, as_of=as_of,
            decisions=_decisions(rules), joint=_joint(joint, joint_rows, joint_key), title=title,
            command=_command(), progress=progress,
        )  # fmt: skip
    return _finish(report, form, outputs, fail_on, quiet)


@cli.command()
@click.argument("data", nargs=-1, required=True)
@click.option("--like", metavar="FILE", help="Profile of the reference, whose grid, types and roles to take over.")
@_all_scan
@_model
@click.option("--source-id", metavar="NAME", help="Name of the data in the coverage.")
@click.option("-o", "--output", metavar="FILE", help="Write the profile (.tgp).")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_quiet
def profile(data: tuple[str, ...], like: str | None, output: str | None, form: str, quiet: bool, **options: Any) -> int:
    """Profile a table into a small, mergeable file.

    The content is the same for every order, split and format of the rows.
    """
    from tidegauge._profile import Profile, scan
    from tidegauge.cli._progress import Progress

    _check_profile_path(output, (*data, like))
    reference = Profile.load(like) if like else None
    with Progress(quiet=quiet) as progress:
        made = scan(_one_or_many(data), _scan_options(**options), like=reference, progress=progress)
    if output is not None:
        _told(made.save(output), quiet)
    _show_profile(made, form)
    return 0


@cli.command()
@click.argument("profiles", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="FILE", help="Write the merged profile (.tgp).")
@_quiet
def merge(profiles: tuple[str, ...], output: str, quiet: bool) -> int:
    """Merge profiles of parts into one of the whole.

    Days into a month, files into a table; the order does not matter.
    """
    from tidegauge._profile import Profile
    from tidegauge._profile import merge as merge_profiles

    _check_profile_path(output, profiles)
    merged = merge_profiles([Profile.load(path) for path in profiles])
    _told(merged.save(output), quiet)
    echo(f"{merged.rows} rows, {merged.digest}")
    return 0


@cli.command()
@click.argument("reference")
@click.argument("current")
@_decide
@_quiet
def compare(
    reference: str, current: str, form: str, outputs: tuple[str, ...], fail_on: FailOn, title: str | None,
    baselines: tuple[str, ...], decided_by: tuple[str, ...], segment_baselines: tuple[str, ...],
    as_of: str | None, rules: tuple[str, ...], model: str | None,
    quiet: bool,
) -> int:  # fmt: skip
    """Compare two profiles (.tgp); no data is read."""
    from tidegauge._compare import compare as compare_profiles
    from tidegauge.results import check_outputs

    check_outputs(outputs, inputs=(reference, current))
    report = compare_profiles(
        reference, current, baselines=baselines, decided_by=decided_by, segment_baselines=segment_baselines,
        as_of=as_of, decisions=_decisions(rules), model=model, title=title,
    )  # fmt: skip
    return _finish(report, form, outputs, fail_on, quiet)


@cli.command()
@click.argument("path")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def inspect(path: str, form: str) -> int:
    """Tell columns and types of a profile or a table, or what a report says of which data."""
    from tidegauge._profile import Profile, is_profile

    if is_profile(path):
        _show_profile(Profile.load(path), form)
    elif Path(path).suffix.lower() == ".json":
        from tidegauge._inspect import inspect_report

        found = inspect_report(path)
        if form == "json":
            echo_json(found)
        else:
            echo("\n".join(_report_lines(found)))
    else:
        from tidegauge._plan import footers

        _show_plan({path: footers([path], {})}, form)
    return 0


@cli.command()
@click.argument("data", nargs=-1, required=True)
@click.option("--like", is_flag=True, help="Plan a scan against a reference, which reads once.")
@_all_scan
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key; repeatable.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def plan(data: tuple[str, ...], like: bool, overrides: tuple[str, ...], form: str, **options: Any) -> int:
    """Tell what a scan or a run would do.

    For Parquet, from its footers; no row is read. Rows of text are told from its first lines, and those of other
    files are counted. A reference is read at least twice, for its keys and for its counts, and columns with heavy
    cells once more. For a configuration also, from a probe of the first and the last rows of each side: memory,
    time, what is tested, calls of the model.
    """
    from tidegauge._plan import look, plan_run

    if len(data) == 1 and Path(data[0]).suffix.lower() in {".toml", ".yaml", ".yml"}:
        from tidegauge import config

        found = plan_run(config.load(data[0], overrides=overrides))
        if form == "json":
            echo_json(found)
        else:
            from tidegauge.report._plan import plan_lines

            _show_plan({side: found[side] for side in ("reference", "current") if "files" in found[side]}, form)
            echo("\n".join(plan_lines(found)))
    else:
        if overrides:
            raise click.UsageError("--set overrides a key of a configuration; accepted are options for tables")
        _show_plan({"data": look(list(data), _scan_options(**options), against=like)}, form)
    return 0


@cli.command()
@click.argument("reference")
@click.argument("current")
@click.option("-o", "--output", metavar="FILE", help="Write the configuration (.toml); default standard output.")
@click.option(
    "--preset",
    type=click.Choice(["drift", "validation", "monitoring"]),
    default="monitoring",
    show_default=True,
    help="What the configuration starts from.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@_quiet
def init(reference: str, current: str, output: str | None, preset: Preset, force: bool, quiet: bool) -> int:
    """Write a commented configuration from a look at the data.

    It says what it guessed and why; the file runs as it is.
    """
    from tidegauge._files import write_all
    from tidegauge._init import draft

    if output is not None and Path(output).suffix.lower() != ".toml":
        raise click.UsageError(f"output {output!r}; accepted is a name that ends in .toml")
    if output is not None and Path(output).exists() and not force:
        raise click.UsageError(f"{output} is there already; --force replaces it")
    made = draft(reference, current, folder=Path(output).parent if output else Path.cwd(), preset=preset)
    if not quiet:
        tell("\n".join(f"guessed: {_visible(text)}" for text in made.guesses))
    if output is None:
        echo(made.text)
    else:
        write_all([(Path(output), made.text.encode())])
        _told(Path(output), quiet)
    return 0


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script of a shell.

    bash: eval "$(tidegauge completion bash)" in ~/.bashrc; fish: tidegauge completion fish | source
    """
    from click.shell_completion import get_completion_class

    maker = get_completion_class(shell)
    if maker is None:
        raise click.UsageError(f"shell {shell!r}; accepted are bash, zsh and fish")
    echo(maker(cli, {}, "tidegauge", "_TIDEGAUGE_COMPLETE").source())
    return 0


@cli.command()
@click.argument("config")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key; repeatable.")
@click.option("--print-config", is_flag=True, help="Print every key as resolved, secrets masked, and stop.")
@click.option("--format", "form", type=_FORMATS, default="text", show_default=True, help="Standard output.")
@click.option("-o", "--output", "outputs", multiple=True, metavar="FILE", help="Write one more output; repeatable.")
@click.option("--no-resume", is_flag=True, help="Begin anew, not from the checkpoint of a run that was stopped.")
@_quiet
def run(
    config: str, overrides: tuple[str, ...], print_config: bool, form: str, outputs: tuple[str, ...],
    no_resume: bool, quiet: bool,
) -> int:  # fmt: skip
    """Run a configuration file.

    TOML, YAML, or a pyproject.toml with [tool.tidegauge].
    """
    if print_config:
        from tidegauge import config as configurations

        echo_json(json.dumps(configurations.resolved(configurations.load(config, overrides=overrides)), indent=2))
        return 0
    return _run_configuration(config, overrides, form, outputs, quiet, resume=not no_resume)


@cli.command()
@click.option("--record", is_flag=True, help="That of report.json instead.")
def schema(record: bool) -> int:
    """Print the JSON Schema of the configuration, or of report.json."""
    from tidegauge import _record_schema, config

    echo_json(json.dumps(_record_schema.json_schema() if record else config.json_schema(), indent=2))
    return 0


@cli.command()
@click.argument("name", default="nycflights13")
@click.option("--dir", "folder", metavar="DIR", help="Folder of examples; default examples/.")
@click.option("--out", default="out", show_default=True, metavar="DIR", help="Where to leave profile, rows and report.")
@click.option("--format", "form", type=_FORMATS, default="text", show_default=True, help="Standard output.")
@_quiet
def demo(name: str, folder: str | None, out: str, form: str, quiet: bool) -> int:
    """Judge a real prediction log of the source tree.

    It leaves profile, rows and report, and has no gate.
    """
    from tidegauge import _examples, config

    path = _examples.choose(_examples.find(folder), name)
    settings = config.load(path)
    place = Path(out).absolute() / name
    settings.output.files = [str(place / file) for file in ("report.json", "report.html", "rows.parquet")]
    settings.output.profiles = str(place)
    # The seasons of the log fail it by design; only errors are worth a code here.
    settings.output.fail_on = "never"
    return _run_configuration(settings, (), form, (), quiet)


def _run_configuration(
    config: Any, overrides: tuple[str, ...], form: str, outputs: tuple[str, ...], quiet: bool, *, resume: bool = True
) -> int:
    from tidegauge import _run
    from tidegauge import config as configurations
    from tidegauge.cli._progress import Progress
    from tidegauge.results import check_outputs

    check_outputs(outputs)
    settings = configurations.load(config, overrides=overrides) if isinstance(config, str) else config
    check_outputs(outputs, inputs=_run.read_by(settings))
    with Progress(quiet=quiet) as progress:
        report = _run.run(settings, command=_command(), progress=progress, resume=resume)
    left = [f"{settings.output.profiles}/{side}.tgp" for side in ("reference", "current") if settings.output.profiles]
    for name in [*settings.output.files, *left]:
        _told(Path(settings.path(name)), quiet)
    if not quiet:
        _verify.tell_digests(report.record["envelope"]["digests"])
    return _finish(report, form, outputs, settings.output.fail_on, quiet)


def _scan_options(
    *,
    columns: list[str],
    exclude: list[str],
    by: tuple[str, ...],
    **rest: Any,
) -> Any:
    from tidegauge._profile import make_options

    cuts: list[str | tuple[str, ...]] = []
    for text in by:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        if not names:
            raise click.UsageError(f"--by {text!r} names no column")
        cuts.append(names if len(names) > 1 else names[0])
    return make_options(columns=columns or None, exclude=exclude, by=cuts, **rest)


def _joint(statistics: list[str], rows: int | None, key: list[str]) -> dict[str, Any] | None:
    if not statistics:
        if rows is not None or key:
            raise click.UsageError("--joint-rows and --joint-key need --joint")
        return None
    return {"statistics": statistics, "key": key, **({} if rows is None else {"rows": rows})}


def _decisions(rules: tuple[str, ...]) -> dict[str, Any] | None:
    if not rules:
        return None
    from tidegauge.config import parse_rules

    return parse_rules(rules)


def _finish(report: Report, form: str, outputs: tuple[str, ...], fail_on: FailOn, quiet: bool) -> int:
    """Files, then standard output, then the exit code."""
    for path in report.write(*outputs):
        _told(path, quiet)
    code = report.exit_code(fail_on)
    append_summary(report.record)
    show(report.record, form)
    return code


def _told(path: Path, quiet: bool) -> None:
    if not quiet:
        tell(f"wrote {path}")


def _command() -> str:
    import shlex

    return shlex.join(["tidegauge", *sys.argv[1:]])


def _one_or_many(data: tuple[str, ...]) -> str | list[str]:
    return data[0] if len(data) == 1 else list(data)


def _check_profile_path(output: str | None, inputs: tuple[str | None, ...]) -> None:
    from tidegauge.results import refuse_inputs

    if output is not None and Path(output).suffix.lower() != ".tgp":
        raise click.UsageError(f"output {output!r}; accepted is a name that ends in .tgp")
    if output is not None:
        refuse_inputs([output], inputs)


def _show_plan(found: dict[str, dict[str, Any]], form: str) -> None:
    if form == "json":
        echo_json(found if len(found) > 1 else next(iter(found.values())))
        return
    lines = []
    for label, plan_ in found.items():
        files = plan_["files"]
        size = sum(file["bytes"] for file in files)
        groups = "" if plan_["row_groups"] is None else f"{plan_['row_groups']} row groups, "
        about = "about " if plan_.get("rows_estimated") else ""
        rows = f"{groups}{about}{plan_['rows']:,} rows, {size:,} bytes"
        lines.append(f"{label}: {len(files)} files, {rows}")
        passes = "1 pass" if plan_["passes"] == 1 else f"at least {plan_['passes']} passes"
        lines.append(f"  {passes}, {plan_['bytes_to_read']:,} bytes to read")
        lines += _table(plan_["columns"], ("name", "logical", "physical", "role", "scanned", "bytes", "not_profiled"))
    echo("\n".join(lines))


def _report_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{name + ':':<14} {_visible(str(found[name]))}" for name in found if not isinstance(found[name], (dict, list))
    ]
    for side in ("reference", "current"):
        told = found[side]
        lines.append(f"{side + ':':<14} {told['rows']:,} rows in {len(told['files'])} files, {told['bytes']:,} bytes")
        lines += _table(told["files"], ("path", "rows", "bytes", "row_groups", "digest", "undigested"))
    lines.append(f"windows: {len(found['windows'])}")
    lines += _table(found["windows"], ("start", "end", "rows", "verdict"))
    lines.append(f"rows: {found['result_rows']['count']:,}")
    lines += _table(found["result_rows"]["verdicts"], ("verdict", "features", "deciding rows"))
    return lines


def _show_profile(profile: Any, form: str) -> None:
    from tidegauge._privacy import without_extremes

    info = without_extremes(profile.info)
    if form == "json":
        echo_json({"digest": profile.digest, **info})
        return
    lines = [f"{profile.rows:,} rows, {len(info['columns'])} columns, {profile.digest}"]
    lines += _table(info["columns"], ("name", "logical", "kind", "role", "nulls", "nan", "mean", "min", "max"))
    echo("\n".join(lines))


def _table(rows: list[Any], names: tuple[str, ...]) -> list[str]:
    """Aligned text; columns that no row has are left out, control characters are shown."""
    if not all(isinstance(row, dict) for row in rows):
        return [f"  {_cell(row)}" for row in rows]
    present = [name for name in names if any(row.get(name) is not None for row in rows)]
    cells = [present, *([_cell(row.get(name)) for name in present] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(present))]
    return ["  " + "  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=True)).rstrip() for row in cells]


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = _visible(str(value))
    return text if len(text) <= 40 else f"{text[:37]}..."
