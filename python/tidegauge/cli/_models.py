"""``tidegauge compare-models``: whether a second model may take over, as an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tidegauge.cli._show import append_markdown, echo, echo_json, tell

_OUTPUTS = (".json", ".md", ".parquet")


def _margins(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in value:
        name, equals, number = text.partition("=")
        try:
            if not equals:
                raise ValueError
            found[name.strip()] = float(number)
        except ValueError:
            raise click.BadParameter(f"{text!r}; accepted is metric=number, as roc_auc=0.002") from None
    return found


def _listed(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> list[str]:
    return [name.strip() for text in value for name in text.split(",") if name.strip()]


@click.command("compare-models")
@click.argument("data")
@click.argument("other", required=False)
@click.option("--label", metavar="NAME", help="Column of the label; of a report, its own.")
@click.option("--a", "a", metavar="NAME", help="Column of the first model's score or prediction; of a report, its own.")
@click.option("--b", "b", metavar="NAME", help="Column of the second's; in OTHER where that is given.")
@click.option("--key", multiple=True, callback=_listed, metavar="NAME,...", help="Columns that name a row of both.")
@click.option("--metric", "metrics", multiple=True, callback=_listed, metavar="NAME,...", help="Metrics to compare.")
@click.option(
    "--max-drop",
    multiple=True,
    callback=_margins,
    metavar="METRIC=NUMBER",
    help="Largest loss that is accepted, as roc_auc=0.002; repeatable.",
)
@click.option("--by", multiple=True, callback=_listed, metavar="NAME,...", help="Columns whose values are segments.")
@click.option("--block", metavar="UNIT", help="What makes rows dependent: 1d (with --time), or a column.")
@click.option("--time", metavar="NAME", help="Column of the time.")
@click.option("--weight", metavar="NAME", help="Column of sampling weights.")
@click.option("--pos-label", metavar="VALUE", help="The positive class; default 1 of 0 and 1.")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="Least score of a predicted positive.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="One minus the level of intervals.")
@click.option("--allow-inconclusive", is_flag=True, help="Exit 0 where a margin can neither hold nor break.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@click.option("-o", "--output", "outputs", multiple=True, metavar="FILE", help="Also write .json .md or .parquet.")
@click.option("-q", "--quiet", is_flag=True, help="No names of files written.")
def compare_models(
    data: str, other: str | None, key: list[str], outputs: tuple[str, ...], form: str, allow_inconclusive: bool,
    quiet: bool, **options: Any,
) -> int:  # fmt: skip
    """Compare two models on the same rows.

    One table with both, two tables joined by --key, or two report.json, whose logs are read if they are unchanged.

    Exit 0: every margin of --max-drop holds. 1: a margin is broken, in all rows or in a segment, or cannot
    be told (--allow-inconclusive passes that), as where the second model predicts nothing for rows that the
    first predicts. Without a margin nothing is judged, and the exit is 0.
    """
    from tidegauge._compare_models import compare_models as compute
    from tidegauge._files import write_all
    from tidegauge.results import refuse_inputs

    for path in outputs:
        if Path(path).suffix.lower() not in _OUTPUTS:
            raise click.UsageError(f"output {path!r}; accepted are names that end in {', '.join(_OUTPUTS)}")
    refuse_inputs(outputs, (data, other))
    if options["pos_label"] is not None:
        options["pos_label"] = _value(options["pos_label"])
    found = compute(data, other=other, key=key or None, **options)
    writers = {
        ".json": lambda: found.to_json().encode(),
        ".md": lambda: found.to_markdown().encode(),
        ".parquet": lambda: _parquet(found),
    }
    write_all([(Path(path), writers[Path(path).suffix.lower()]()) for path in outputs])
    if not quiet:
        for path in outputs:
            tell(f"wrote {path}")
    append_markdown(found.to_markdown())
    if form == "json":
        echo_json(found.to_json())
    else:
        echo(found.to_markdown() if form == "markdown" else str(found))
    if not options["max_drop"] or found.decision == "allow":
        return 0
    return 0 if found.decision == "inconclusive" and allow_inconclusive else 1


def _value(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _parquet(found: Any) -> bytes:
    import io

    held = io.BytesIO()
    found.to_polars().write_parquet(held)
    return held.getvalue()
