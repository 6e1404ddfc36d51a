"""Whether the same bytes come out of every build: processor levels and optimisation settings.

Each build runs `rust/io/examples/digests.rs` on the shipped logs; all must print the same lines. The first is what
wheels have. Exit 1 names what differs. It compiles everything once for each build: minutes, and opt-in.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Name of a build, compiler flags, and cargo's profile.
BUILDS = [
    ("baseline, release", "", "release"),
    ("native, release", "-C target-cpu=native", "release"),
    ("baseline, not optimised", "-C opt-level=0", "dev"),
    ("baseline, optimised for size, no vectors", "-C opt-level=s -C no-vectorize-loops -C no-vectorize-slp", "release"),
]
if platform.machine() == "x86_64":
    levels = [(f"{level}, release", f"-C target-cpu={level}", "release") for level in ("x86-64-v2", "x86-64-v3")]
    BUILDS[1:1] = levels


def lines(flags: str, profile: str, folder: Path) -> list[str]:
    command = ["cargo", "run", "--quiet", "--locked", "--package", "tidegauge-io", "--example", "digests"]
    command += ["--profile", profile, "--target-dir", str(folder)]
    environment = os.environ | {"RUSTFLAGS": flags, "CARGO_PROFILE_RELEASE_LTO": "off"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def main() -> None:
    expected: list[str] = []
    for number, (name, flags, profile) in enumerate(BUILDS):
        found = lines(flags, profile, ROOT / "target" / "levels" / str(number))
        expected = expected or found
        different = [line for line, other in zip(found, expected, strict=True) if line != other]
        print(f"{name}: {len(found)} digests, {len(different)} different", flush=True)
        if different:
            sys.exit("\n".join(different))
    for line in expected:
        print(line)


if __name__ == "__main__":
    main()
