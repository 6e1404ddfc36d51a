"""``tidegauge report``: renderings of a record, and the index of many."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("path", metavar="REPORT")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "ndjson", "markdown", "junit", "prom"]),
    default="text",
    show_default=True,
    help="Standard output.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="Write .html .md .txt .xml .prom .ndjson .parquet or .json instead; repeatable. Of a folder: .html.",
)
@click.option("-q", "--quiet", is_flag=True, help="No names of files written.")
def report(path: str, form: str, outputs: tuple[str, ...], quiet: bool) -> int:
    """Render a report.json again, or index a folder of them.

    Nothing is computed: the files have the bytes of the run's own. A report whose digests do not hold is
    refused (6). Of a folder, -o index.html lists every report below it; only reports that are new or changed
    are read.
    """
    if Path(path).is_dir():
        return _index(path, outputs, quiet)
    from tidegauge import _outputs
    from tidegauge._files import write_all
    from tidegauge._verify import refuse_changed
    from tidegauge.cli._show import show, tell
    from tidegauge.results import check_outputs

    targets = check_outputs(outputs, accepted=_outputs.RENDERED)
    record = _outputs.read_record(path)
    refuse_changed(path)
    write_all([(target, _outputs.render(record, target.suffix.lower())) for target in targets])
    if not quiet:
        for target in targets:
            tell(f"wrote {target}")
    if not targets:
        show(record, form)
    return 0


def _index(path: str, outputs: tuple[str, ...], quiet: bool) -> int:
    from tidegauge._index import write_index
    from tidegauge.cli._show import tell

    if len(outputs) != 1 or Path(outputs[0]).suffix.lower() != ".html":
        raise click.UsageError(f"{path} is a folder; of a folder, accepted is one -o NAME.html, its index")
    reports, read = write_index(path, outputs[0])
    if not quiet:
        tell(f"wrote {outputs[0]}: {reports} reports, {read} files read")
    return 0
