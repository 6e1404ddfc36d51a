"""Write the files that follow from the code; with --check, say which are out of date.

python/tidegauge/stats.py       one function per statistic of the registry (tools/functions.py)
docs/statistics.md              the registry of statistics
docs/metrics.md                 the registry of metrics
docs/scoreboard.md              cases other tools get wrong (tools/scoreboard.py)
docs/cli.md                     the help of every command
docs/configuration.schema.json  the JSON Schema of tidegauge.toml
docs/report.schema.json         the JSON Schema of report.json
docs/performance.md, README.md  tables of the newest benchmark record (benchmarks/page.py), the rest as it is
"""

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import functions
import scoreboard

ROOT = Path(__file__).resolve().parent.parent
NOTICE = "<!-- written by tools/generated.py; `make docs` renews it -->\n"


def cell(value: object) -> str:
    """Text of a table cell; null is a dash, a list is joined."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def statistics() -> str:
    from tidegauge import _core

    columns = {
        "statistic": lambda s: f"`{s['name']}`",
        "definition": lambda s: f"`{s['definition']}`",
        "what it is": lambda s: cell(s["summary"]),
        "columns": lambda s: cell(s["kinds"]),
        "range": lambda s: "{} to {}".format(*map(cell, s["range"])),
        "unit": lambda s: cell(s["unit"]),
        "p-value": lambda s: cell(s["null"]),
        "source": lambda s: cell(s["reference"]),
    }
    rows = [" | ".join(columns), " | ".join("---" for _ in columns)]
    registry, sets = json.loads(_core.registry()), json.loads(_core.set_statistics())
    rows += [" | ".join(text(s) for text in columns.values()) for s in registry]
    return (
        "# Statistics\n\n"
        + NOTICE
        + "\nEach definition has a version: a number can change only together with it. "
        + "`tg.stats`, `tg.compare`, the command line and the report give the same number.\n\n"
        + "\n".join(f"| {row} |" for row in rows)
        + "\n\n## What the definitions decide\n\n"
        + "Null and NaN are left to `missing_rate` unless a definition says otherwise.\n\n"
        + "".join(f"- `{s['definition']}`: {cell(s['notes'])}.\n" for s in registry)
        + "\n## Whole sets of rows\n\n"
        + "These need the profile, not two samples of a column: `tg.compare` and `tg.drift` give them as rows, with "
        + '`feature = "*"` or the time column. `schema` decides; a `[[checks]]` of the configuration gates on any.\n\n'
        + "| statistic | definition | what it is | unit |\n| --- | --- | --- | --- |\n"
        + "".join(f"| `{s['name']}` | `{s['definition']}` | {cell(s['summary'])} | {cell(s['unit'])} |\n" for s in sets)
        + "\n"
        + "".join(f"- `{s['definition']}`: {cell(s['notes'])}.\n" for s in sets)
        + "\n## Sampling weights\n\n"
        + "A weight is rounded to a multiple of a power of two, frozen in the reference, that leaves 24 bits to the "
        + "weight in the middle; what rounding can move is in the bounds. Only ratios of weights matter. Where a "
        + "definition speaks of rows, it takes Kish's effective rows, `(sum w)^2 / sum w^2`. p-values and intervals "
        + "come from the linearised covariance of coarse shares, every row a cluster (`variance` is `weights`), or "
        + "from blocks of weighted rows. A frequency weight is rows, and changes no definition.\n\n"
        + "".join(f"- `{s['name']}`: {cell(s['weights'])}.\n" for s in registry)
        + "\n## Joint statistics\n\n"
        + "Of whole rows: frames, two-dimensional arrays or row samples, never profiles. `block=` names rows that move "
        + "together: `tg.stats.mmd(x, y)`, or by name in a comparison ([joint statistics](joint.md)).\n\n"
        + "".join(
            f"- `{s['definition']}`: {cell(s['summary'])}; {cell(s['notes'])}. {cell(s['reference'])}.\n"
            for s in json.loads(_core.joint_registry())
        )
        + "\n## Numbers of other tools\n\n"
        + "`tg.stats.parity(name, x, y)` gives what the named version computes. These never decide and have neither "
        + "interval nor p-value. They bin the raw values anew, so they take arrays, not profiles. "
        + "Checked against the package itself (`tests/oracle/peers`, versions beside the numbers): "
        + f"{', '.join(f'`{name}`' for name in checked_parity())}. The others follow the published formula alone: "
        + "TensorFlow Data Validation did not install (its wheels ask for glibc 2.39), Databricks is a service and "
        + "documents no bins for numbers.\n\n"
        + "".join(f"- `{s['definition']}`: {cell(s['notes'])}.\n" for s in json.loads(_core.parity()))
    )


def checked_parity() -> list[str]:
    """Definitions whose numbers a real package gave."""
    files = (ROOT / "tests" / "oracle" / "peers").glob("*.json")
    return sorted({name for file in files for name in json.loads(file.read_text(encoding="utf-8"))["values"]})


def metrics() -> str:
    from tidegauge import _core

    columns = {
        "metric": lambda m: f"`{m['name']}`",
        "definition": lambda m: f"`{m['definition']}`",
        "what it is": lambda m: cell(m["summary"]),
        "labels": lambda m: cell(m["tasks"]),
        "range": lambda m: "{} to {}".format(*map(cell, m["range"])),
        "unit": lambda m: cell(m["unit"]),
        "interval": lambda m: cell(m["interval"]),
        "source": lambda m: cell(m["reference"]),
    }
    rows = [" | ".join(columns), " | ".join("---" for _ in columns)]
    rows += [" | ".join(text(m) for text in columns.values()) for m in json.loads(_core.metric_registry())]
    return (
        "# Metrics\n\n"
        + NOTICE
        + "\nEach definition has a version: a number can change only together with it; words in braces are "
        + "parameters. Sums are exact and rounded once, so that no order or partition of rows changes a number. "
        + "Rankings are exact where every score is kept, and certified by bounds where scores are counted in cells. "
        + "Intervals take rows as independent draws, times a design effect; "
        + "[calibration](calibration/metrics.md) says how often they cover. "
        + "[Performance](model-performance.md) has them by window and segment.\n\n"
        + "\n".join(f"| {row} |" for row in rows)
        + "\n"
    )


def command(*arguments: str) -> str:
    """Standard output of the command line, 100 columns wide."""
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    program = Path(sys.executable).with_name("tidegauge")
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"tidegauge {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def cli() -> str:
    overview = command("--help")
    names = re.findall(r"^  ([a-z-]+) ", overview.partition("\nCommands:\n")[2], flags=re.MULTILINE)
    if not names:
        raise SystemExit("tidegauge --help lists no commands")
    sections = [("tidegauge", overview), *((f"tidegauge {name}", command(name, "--help")) for name in names)]
    body = "\n".join(f"## {title}\n\n```\n{text.rstrip()}\n```\n" for title, text in sections)
    return f"# Command line\n\n{NOTICE}\n{body}"


def configuration_schema() -> str:
    return json.dumps(json.loads(command("schema")), indent=2, ensure_ascii=False) + "\n"


def report_schema() -> str:
    return json.dumps(json.loads(command("schema", "--record")), indent=2, ensure_ascii=False) + "\n"


def benchmarks(name: str) -> Callable[[], str]:
    """A page with the tables of the newest record."""
    sys.path.append(str(ROOT / "benchmarks"))
    import page

    return lambda: page.page(name)


FILES: dict[str, Callable[[], str]] = {
    "python/tidegauge/stats.py": functions.source,
    "docs/statistics.md": statistics,
    "docs/metrics.md": metrics,
    "docs/scoreboard.md": scoreboard.page,
    "docs/cli.md": cli,
    "docs/configuration.schema.json": configuration_schema,
    "docs/report.schema.json": report_schema,
    "docs/performance.md": benchmarks("docs/performance.md"),
    "README.md": benchmarks("README.md"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is out of date")
    check = parser.parse_args().check
    stale = 0
    for name, make in FILES.items():
        path, new = ROOT / name, make()
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if new == old:
            continue
        stale += 1
        if check:
            lines = difflib.unified_diff(
                old.splitlines(), new.splitlines(), name, f"{name} (as generated)", lineterm=""
            )
            print("\n".join(list(lines)[:20]), file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(new, encoding="utf-8")
            print(f"written: {name}")
    if check and stale:
        print(f"{stale} generated files are out of date: run `make docs` and commit them", file=sys.stderr)
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
