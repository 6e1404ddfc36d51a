"""The data of the benchmarks, written once into a folder and kept there.

All of it comes from gen.py or from a seeded generator here; hard links stand for more files of the same rows, since a
scan reads each of them.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

GEN = Path(__file__).with_name("gen.py")


@dataclass(frozen=True)
class Scale:
    """Sizes of a run; `full` is the table, `small` runs through everything."""

    rows: int
    reference: int
    one_million: int
    wide: tuple[int, int]
    long: int
    files: int
    importance: int
    profile_columns: int


SCALES = {
    "small": Scale(300_000, 100_000, 30_000, (100, 20_000), 2_000_000, 200, 2_000, 100),
    "full": Scale(10_000_000, 1_000_000, 1_000_000, (1_000, 1_000_000), 100_000_000, 10_000, 20_000, 1_000),
}


class Data:
    """Files of one folder, each made when it is first asked for."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.scale = folder, scale

    def log(self, side: str, codec: str = "zstd", rows: int | None = None) -> Path:
        """A log of gen.py: `ref`, or `cur`, which drifted."""
        count = rows or (self.scale.reference if side == "ref" else self.scale.rows)
        path = self.folder / f"{side}_{count}_{codec}.parquet"
        if not path.exists():
            drift = ["--seed", "7"] if side == "ref" else ["--seed", "11", "--drift", "1"]
            # A process of its own: a child starts with the peak of memory of its parent.
            command = [sys.executable, str(GEN), str(path), str(count), *drift, "--codec", codec]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return path

    def grid(self, codec: str = "zstd", block: str | None = None, path: Path | None = None) -> Path:
        """A saved profile of the reference; blocks of a day unless `block` is "none"."""
        source = path or self.log("ref", codec)
        saved = source.with_name(f"{source.stem}{'' if block is None else '_' + block}.tgp")
        if not saved.exists() or saved.stat().st_mtime < source.stat().st_mtime:
            code = f"import tidegauge as tg; tg.profile({str(source)!r}, block={block!r}).save({str(saved)!r})"
            subprocess.run([sys.executable, "-c", code], check=True)
        return saved

    def profiled(self, path: Path, grid: Path) -> Path:
        """A saved profile of a file against a grid."""
        saved = path.with_name(f"{path.stem}_like_{grid.stem}.tgp")
        if not saved.exists() or saved.stat().st_mtime < grid.stat().st_mtime:
            code = f"import tidegauge as tg; tg.profile({str(path)!r}, like={str(grid)!r}).save({str(saved)!r})"
            subprocess.run([sys.executable, "-c", code], check=True)
        return saved

    def links(self, path: Path, count: int, name: str | None = None) -> list[Path]:
        """That many files of the same rows, in a folder of their own."""
        folder = self.folder / (name or f"{path.stem}_links")
        folder.mkdir(exist_ok=True)
        made = [folder / f"{i:05}.parquet" for i in range(count)]
        for link in made:
            if not link.exists():
                link.hardlink_to(path)
        return made

    def wide(self, columns: int, rows: int, seed: int = 1) -> Path:
        """Normal numbers, of which every fourth column is rounded to cents and every tenth has nulls."""
        path = self.folder / f"wide_{columns}x{rows}_{seed}.parquet"
        if not path.exists():
            subprocess.run(
                [sys.executable, __file__, "wide", str(path), str(columns), str(rows), str(seed)], check=True
            )
        return path

    def long(self, rows: int) -> list[Path]:
        """One column of normal numbers; beyond 10 million rows, links of one file of them."""
        part = min(rows, 10_000_000)
        path = self.folder / f"long_{part}.parquet"
        if not path.exists():
            subprocess.run([sys.executable, __file__, "wide", str(path), "1", str(part), "5"], check=True)
        return self.links(path, rows // part)

    def model(self, features: int, rows: int) -> Path:
        """A LightGBM classifier of 200 trees of 31 leaves, with the rows to explain."""
        path = self.folder / f"model_{rows}x{features}.joblib"
        if not path.exists():
            subprocess.run([sys.executable, __file__, "model", str(path), str(rows), str(features)], check=True)
        return path


def write_wide(path: Path, columns: int, rows: int, seed: int) -> None:
    """Row groups of at most 64 MB, so that writing takes little memory."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    group = max(1000, min(1 << 20, (64 << 20) // (8 * columns)))
    writer = None
    partial = path.with_name(path.name + ".partial")
    for number, begin in enumerate(range(0, rows, group)):
        rng = np.random.default_rng([seed, number])
        n = min(group, rows - begin)
        made = {}
        for j in range(columns):
            values = rng.standard_normal(n)
            if j % 4 == 3:
                values = np.round(values, 2)
            made[f"x{j:04}"] = pa.array(values, mask=rng.random(n) < 0.05 if j % 10 == 9 else None)
        table = pa.table(made)
        if writer is None:
            writer = pq.ParquetWriter(partial, table.schema, compression="snappy", use_dictionary=False)
        writer.write_table(table, row_group_size=group)
    assert writer is not None
    writer.close()
    partial.rename(path)


def write_model(path: Path, rows: int, features: int) -> None:
    import joblib
    from importance import data
    from lightgbm import LGBMClassifier

    x, y = data(rows, features)
    model = LGBMClassifier(n_estimators=200, num_leaves=31, n_jobs=1, verbose=-1).fit(x, y)
    joblib.dump((model, x, y), path)


if __name__ == "__main__":
    kind, target, *numbers = sys.argv[1:]
    {"wide": write_wide, "model": write_model}[kind](Path(target), *map(int, numbers))
