"""Environments of the peers that do not live beside tidegauge, made on request.

    python benchmarks/peers.py [NAME ...]

makes those that are missing under .build/peers; one that does not install is named and left out, and its benchmarks are
skipped with that reason. The other peers (pyarrow, Polars, DuckDB, numpy, scipy, scikit-learn) are in
requirements-dev.lock, with the versions every record names.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".build" / "peers"
#: What `pip install` takes: a pandas, a numpy or a scipy that tidegauge is not tested with, or a package for one row.
ENVIRONMENTS = {
    "datasketches": ["datasketches==5.2.0", "numpy==2.4.6", "pyarrow==26.0.1"],
    "evidently": ["evidently==0.7.23", "pandas==2.3.3", "numpy==2.4.6", "pyarrow==26.0.1"],
    "nannyml": ["nannyml==0.13.1", "pandas==2.3.3", "numpy==2.4.6", "pyarrow==26.0.1", "statsmodels==0.15.0"],
    "whylogs": [
        "whylogs==1.6.4", "pandas==2.3.3", "numpy==2.4.6", "pyarrow==26.0.1", "scipy==1.17.1", "ipython==9.18.1",
    ],
}  # fmt: skip


def interpreter(name: str) -> Path | None:
    """The Python that has the peer, or None."""
    if name not in ENVIRONMENTS:
        return Path(sys.executable)
    found = FOLDER / name / "bin" / "python"
    return found if (FOLDER / name / "installed").exists() else None


def make(name: str) -> bool:
    """Install a peer; the file `installed` says that it was done whole."""
    place = FOLDER / name
    if (place / "installed").exists():
        return True
    print(f"{name}: {' '.join(ENVIRONMENTS[name])}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    # uv, since pip looks for minutes for versions that agree.
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"], check=True)
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(place / "bin" / "python")]
    done = subprocess.run([*command, "--only-binary", ":all:", *ENVIRONMENTS[name]], check=False)
    if done.returncode:
        print(f"{name}: does not install here", file=sys.stderr, flush=True)
        return False
    (place / "installed").touch()
    return True


def main(names: list[str]) -> None:
    unknown = sorted(set(names) - set(ENVIRONMENTS))
    if unknown:
        raise SystemExit(f"peers {', '.join(unknown)}: one of {', '.join(ENVIRONMENTS)} would be accepted")
    for name in names or ENVIRONMENTS:
        make(name)


if __name__ == "__main__":
    main(sys.argv[1:])
