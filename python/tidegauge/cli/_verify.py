"""``tidegauge verify``, ``gate`` and ``sign``: what is done with a report.json once it is there."""

from __future__ import annotations

from typing import Any

import click

from tidegauge.cli._show import append_markdown, echo, echo_json, tell

_QUIET = click.option("-q", "--quiet", is_flag=True, help="No progress, no names of files written.")


@click.command()
@click.argument("report")
@click.option(
    "--fail-on",
    type=click.Choice(["fail", "warn", "inconclusive", "never"]),
    help="Mildest verdict that exits 1; default that of the configuration.",
)
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
def gate(report: str, fail_on: str | None, form: str) -> int:
    """Pass or fail by a report, computing nothing.

    A report whose digests do not hold is refused (6). Data that was not read whole, and an evaluation of
    nothing (5), never pass.
    """
    from tidegauge._gate import gate as decide

    found = decide(report, fail_on=fail_on)
    append_markdown(found.to_markdown())
    if form == "json":
        echo_json(vars(found))
    else:
        echo(found.to_markdown() if form == "markdown" else str(found))
    return found.exit_code


@click.command()
@click.argument("report")
@click.option(
    "--level", type=click.Choice(["record", "inputs", "verdicts", "numbers", "rescan"]), default="rescan",
    show_default=True, help="Last level; those before it are checked too.",
)  # fmt: skip
@click.option("--sample", type=click.IntRange(1), metavar="K", help="Read K random row groups instead of all.")
@click.option("--seed", type=int, metavar="N", help="Seed of that choice, to make it again.")
@click.option("--root", metavar="DIR", help="Where relative paths start; default the folder of the configuration.")
@click.option("--allow-pickle", is_flag=True, help="Load a model that is .joblib or .pkl, which runs what it says.")
@click.option("--key", metavar="FILE", help="Public key (PEM); the signature beside the report must be by it.")
@click.option("--audit", is_flag=True, help="Check the audit trail that the report names, and add a line.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_QUIET
def verify(
    report: str, level: str, sample: int | None, seed: int | None, root: str | None, allow_pickle: bool,
    key: str | None, audit: bool, form: str, quiet: bool,
) -> int:  # fmt: skip
    """Check a report, up to making every number again.

    A line a level; then "same", or the first difference, with exit code 6.
    """
    from tidegauge._verify import verify as check
    from tidegauge.cli._progress import Progress

    with Progress(quiet=quiet) as progress:
        found = check(
            report, level=level, sample=sample, seed=seed, root=root, key=key, allow_pickle=allow_pickle,
            progress=progress,
        )  # fmt: skip
    if audit:
        found.note()
    if form == "json":
        echo_json(found.to_json())
    else:
        echo(repr(found))
    return found.exit_code()


@click.command()
@click.argument("report")
@click.option("--key", required=True, metavar="FILE", help="Private ed25519 key (PEM, no passphrase).")
@click.option("-o", "--output", metavar="FILE", help="Envelope to write; default report.dsse.json.")
@_QUIET
def sign(report: str, key: str, output: str | None, quiet: bool) -> int:
    """Sign a report: an in-toto test-result statement in a DSSE envelope.

    Offline, with a key file. `verify --key` checks it with the public key.
    """
    from tidegauge._sign import sign as write

    target = write(report, key, output=output)
    if not quiet:
        tell(f"wrote {target}")
    return 0


def tell_digests(cost: dict[str, Any] | None) -> None:
    """What digests cost, on standard error."""
    if cost is None:
        return

    def total(name: str) -> float:
        return sum(float(side[name]) for side in cost.values())

    read = f"{total('bytes_hashed_while_reading'):,.0f} bytes hashed while reading"
    besides = f"{total('bytes_read_besides'):,.0f} read besides ({total('seconds_bytes'):.2f} s)"
    tell(f"digests: {read}, {besides}; rows {total('seconds_rows'):.2f} s")
