"""The configuration of :func:`tidegauge.run`: TOML, YAML or ``[tool.tidegauge]``, checked strictly.

An unknown key is an error with a suggestion, never ignored. ``${VAR}`` in a text is the environment
variable, ``$${`` a literal ``${``; the record keeps the text as written, so no value of a variable.
A variable whose name says that it is a secret is refused: its value could end in a record. Credentials
of object stores are taken from the environment by themselves.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import math
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tidegauge._baselines import check_baselines
from tidegauge._secrets import is_secret, mask, mask_all
from tidegauge.errors import ConfigError, InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Names = str | list[str]
Positive = Annotated[float, Meta(ge=0)]


class Model(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The model: name and version are carried into every row, the rest into the record as it is said here.

    The digests of the file at `path` are taken by the run.
    """

    name: str | None = None
    version: str | None = None
    path: str | None = None
    inventory_id: str | None = None
    owner: str | None = None
    developer: str | None = None
    validator: str | None = None
    purpose: str | None = None
    out_of_scope: str | None = None
    stage: str | None = None
    tier: str | None = None
    framework: str | None = None
    training_data: str | None = None
    registry: str | None = None
    deployed_since: str | None = None


class Reference(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Data that current windows are compared with; a ``.tgp`` profile is taken as it is."""

    path: Names
    where: str | None = None
    since: str | None = None
    until: str | None = None
    schema: dict[str, str] = {}
    #: Snapshot of the table that the files belong to (Delta version, Iceberg snapshot), told in the record.
    snapshot: str | None = None


class Current(Reference, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Data that is judged, cut into windows and segments."""

    window: Literal["1h", "1d", "1w", "1mo"] | None = None
    time_zone: str | None = None
    by: list[str | list[str]] = []
    baselines: list[str] = msgspec.field(default_factory=lambda: ["reference"])
    decided_by: list[str] = []
    segment_baselines: list[str] = []
    as_of: str | None = None


class Roles(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Columns by role; others are inferred from the reference. Excluded columns are not read, and have no role."""

    time: str | None = None
    id: Names = []
    label: str | None = None
    prediction: Names = []
    score: Names = []
    weight: str | None = None
    frequency: str | None = None
    segment: Names = []
    protected: Names = []
    ignore: Names = []
    model_version: str | None = None
    categorical: Names = []
    #: Columns kept by hashes of their values and without extremes, which cut no segments and explain none.
    sensitive: Names = []
    columns: list[str] | None = None
    exclude: Names = []
    block: str | None = None


class Tolerance(Struct, forbid_unknown_fields=True):
    """Limits in units of the deciding statistic."""

    warn: Positive
    fail: Positive


class Column(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Deciding statistic and limits of the columns that a glob names."""

    statistic: str | None = None
    tolerance: Tolerance | None = None
    #: Limits of one deciding statistic each, such as ``missing_rate``.
    tolerances: dict[str, Tolerance] = {}


Rate = Annotated[float, Meta(gt=0, lt=1)]


class MinimumN(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Fewest rows of each side for a verdict; with fewer a row is not evaluated."""

    reference: Annotated[int, Meta(ge=0)] = 0
    current: Annotated[int, Meta(ge=0)] = 0


class FalseAlarms(Struct, forbid_unknown_fields=True):
    """Shares of windows without drift that may warn and fail, for thresholds from the reference's windows."""

    warn: Rate = 0.1
    fail: Rate = 0.05


class Decisions(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Rules beside tolerances: least rows, windows in a row, thresholds, and errors over time."""

    minimum_n: MinimumN = msgspec.field(default_factory=MinimumN)
    consecutive: Annotated[int, Meta(ge=1, le=10_000)] = 1
    calibrated: FalseAlarms | None = None
    over_time: Literal["window", "online_fdr", "sequential"] = "window"


JointStatistic = Literal["classifier_test", "energy_multivariate", "mmd", "pca_reconstruction"]


class Joint(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Statistics of whole rows, on a sample of rows of the reference and of each window."""

    statistics: list[JointStatistic] = []
    #: Rows of each sample.
    rows: Annotated[int, Meta(ge=20, le=100_000)] = 5_000
    #: Columns that identify a row; without them, the content does.
    key: Names = []
    #: Columns to compare, default all features, and to leave out.
    columns: list[str] | None = None
    exclude: Names = []
    permutations: Annotated[int, Meta(ge=19, le=100_000)] = 199
    classifier: Literal["auto", "lightgbm", "sklearn"] = "auto"
    random_state: Annotated[int, Meta(ge=0)] = 0
    #: Limits of the statistics that decide.
    tolerances: dict[JointStatistic, Tolerance] = {}
    #: A row sample of the reference to take instead, and the folder to leave both in.
    reference_sample: str | None = None
    samples: str | None = None

    def semantic(self) -> dict[str, Any]:
        """What the numbers depend on: no paths."""
        chosen: dict[str, Any] = msgspec.to_builtins(self)
        return {name: value for name, value in chosen.items() if name not in ("reference_sample", "samples")}


class Check(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Limits on the value of any statistic, for the columns that a glob names or ``"*"``, the whole set.

    With `segments`, in every segment too. A check whose number exists nowhere is an error, unless `optional`.
    """

    feature: str
    statistic: str
    min: float | None = None
    max: float | None = None
    segments: bool = False
    optional: bool = False


class Performance(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Metrics of label and score by window and segment, where both are known.

    `classes` names those of the label, the positive one last; `threshold` is the smallest score that
    predicts it; `score` is the column where several have that role; `protected` are columns whose groups
    are compared, in place of those with that role.
    """

    metrics: list[str] | None = None
    score: str | None = None
    classes: list[str | float | bool] = []
    threshold: float | None = None
    protected: list[str] = []
    enabled: bool = True


class Explain(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Importances of each window, their drift and weak segments, of the model at ``model.path``.

    `features` are the columns in the model's order where it does not know their names; `categories` lists,
    for a column whose codes the model takes, the values by code: any other value is missing to the model.
    `rows` and `segment_rows` draw so many rows of each window, and of all; `fail_at` is the change of an
    importance whose row fails, in units of the loss: ``tidegauge explain`` then exits with 1, while a report is
    decided by data and predictions alone. A pickle runs what it says, and is read only with
    `allow_pickle`.
    """

    features: list[str] | None = None
    categories: dict[str, list[str | int | float | bool]] = {}
    scoring: str | None = None
    method: Literal["auto", "exact", "permutation"] = "auto"
    n_repeats: Annotated[int, Meta(ge=1)] = 5
    random_state: Annotated[int, Meta(ge=0)] = 0
    groups: dict[str, list[str]] | None = None
    rows: Annotated[int, Meta(ge=2)] | None = None
    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    fail_at: Annotated[float, Meta(gt=0)] | None = None
    segments: bool = True
    segment_depth: Literal[1, 2, 3] = 2
    segment_rows: Annotated[int, Meta(ge=2)] | None = None
    allow_pickle: bool = False
    enabled: bool = True


class Output(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Files, by extension: .json .html .md .txt .xml .prom .ndjson .parquet .tgp; and what fails the gate.

    `profiles` is a folder for ``reference.tgp`` and ``current.tgp``, from which every number can be made
    again without the data; `audit` a file to which each run, verification and signature adds a line.
    """

    files: list[str] = []
    profiles: str | None = None
    audit: str | None = None
    fail_on: Literal["fail", "warn", "inconclusive", "never"] = "fail"
    title: str | None = None


class Scan(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How to read: nothing here changes a number.

    `digests` takes those of column chunks, of everything else in the files, and of rows.
    """

    threads: Annotated[int, Meta(ge=1)] | None = None
    max_bad_units: Annotated[int, Meta(ge=0)] = 0
    digests: bool = True
    #: Seconds of work between checkpoints, whatever writing them takes; 0 keeps one after every row group. None: ten,
    #: or as many more as keep writing to a fiftieth of the time. They are kept in ``.tidegauge`` beside the first
    #: output or in the folder ``work``.
    checkpoint: Positive | None = None
    work: str | None = None


class Store(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Profiles by window, so that a run scans only files it has not seen; the last ``render`` windows are shown.

    A window is closed, and its verdict stays, when a window has data that begins ``lateness`` after its end.
    Rows that come later reopen it, or are only counted.
    """

    path: str
    late: Literal["reopen", "count"] = "reopen"
    lateness: Annotated[str, Meta(pattern=r"^[0-9]+[hdw]$")] = "0d"
    render: Annotated[int, Meta(ge=1)] = 12


class Waiver(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Accepts what a feature shows, for a reason, by somebody, until the end of a day.

    ``match`` is a glob of features, ``window`` the beginning of a window's start (``2013-07``), ``statistic`` globs of
    the deciding statistics it reaches, where ``check/r2`` is a check of ``r2``. Without them it reaches all but
    checks and tolerances on performance.
    """

    match: str
    until: dt.date
    who: str
    why: str
    window: str | None = None
    statistic: Names = []


#: What a preset sets where the file does not.
PRESETS: dict[str, dict[str, Any]] = {
    # One comparison, as `tidegauge drift` makes it.
    "drift": {"output": {"files": ["report.html"]}},
    # Before a release, on held-out data: what cannot be ruled out does not pass.
    "validation": {"output": {"files": ["report.json", "report.html"], "fail_on": "inconclusive"}},
    # A log that grows: the window before tells a season from a fault, and a verdict needs rows.
    "monitoring": {
        "current": {"window": "1d", "baselines": ["reference", "previous"]},
        "decisions": {"minimum_n": {"current": 30}},
        # Hardly a row where there are usually many: an outage. No rate where windows are shorter than a block.
        "checks": [{"feature": "*", "statistic": "volume_rate", "min": 0.02, "optional": True}],
        "output": {"files": ["report.json", "report.html", "rows.parquet"], "fail_on": "fail"},
    },
}


class Config(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A whole configuration; paths are relative to its file."""

    reference: Reference
    current: Current
    preset: Literal["drift", "validation", "monitoring"] | None = None
    model: Model = msgspec.field(default_factory=Model)
    roles: Roles = msgspec.field(default_factory=Roles)
    columns: dict[str, Column] = {}
    decisions: Decisions = msgspec.field(default_factory=Decisions)
    checks: list[Check] = []
    waivers: list[Waiver] = []
    performance: Performance = msgspec.field(default_factory=Performance)
    explain: Explain | None = None
    joint: Joint = msgspec.field(default_factory=Joint)
    scan: Scan = msgspec.field(default_factory=Scan)
    store: Store | None = None
    output: Output = msgspec.field(default_factory=Output)
    #: Where paths start, the text as written and its file; none is a key.
    base: str | UnsetType = UNSET
    as_written: str | UnsetType = UNSET
    file_name: str | UnsetType = UNSET
    overrides: list[str] | UnsetType = UNSET

    def path(self, name: str) -> str:
        """A path of the configuration, made absolute against its folder; URLs stay as they are."""
        if self.base is UNSET or "://" in name or Path(name).is_absolute():
            return name
        return os.path.normpath(Path(self.base) / name)


_NO_KEYS = frozenset(("base", "as_written", "file_name", "overrides"))


def load(source: str | os.PathLike[str] | Mapping[str, Any], *, overrides: Sequence[str] = ()) -> Config:
    """Read and check a configuration.

    Parameters
    ----------
    source : path or mapping
        ``.toml``, ``.yaml``, ``.yml``, or a ``pyproject.toml`` with ``[tool.tidegauge]``.
    overrides : sequence of str
        ``key=value`` with a dotted key and a TOML value; a value that is no TOML is a text:
        ``current.window=1w``, ``columns."wind_*".tolerance.fail=1``.

    Returns
    -------
    Config

    Raises
    ------
    InputError
        If the file cannot be opened.
    ConfigError
        If it is no valid TOML or YAML, or a key or value is not accepted; the message names it.

    Examples
    --------
    >>> from tidegauge.config import load
    >>> config = load({"reference": {"path": "a.parquet"}, "current": {"path": "b.parquet"}})
    >>> config.output.fail_on
    'fail'
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        label = str(path)
        try:
            # As its bytes are: ends of lines too.
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{label}: byte {error.start} is not UTF-8") from None
        except OSError as error:
            raise InputError(f"{label}: {(error.strerror or str(error)).lower()}") from None
        data = parse(path, text)
    else:
        path, label = None, "configuration"
        data = json.loads(json.dumps(source, default=_as_text))
        text = json.dumps(data, indent=1)
    config = _checked(data, label, overrides)
    if path is not None:
        config.base, config.file_name = str(path.parent), path.name
    config.as_written = with_overrides(text, overrides)
    return config


def with_overrides(text: str, overrides: Sequence[str]) -> str:
    """A configuration's text with what was set besides, as comments at its end."""
    if overrides and not text.endswith("\n"):
        text += "\n"
    return text + "".join(f"# --set {override}\n" for override in overrides)


def _checked(data: dict[str, Any], label: str, overrides: Sequence[str]) -> Config:
    for override in overrides:
        _merge(data, _parse_override(override))
    try:
        data = _under(data)
        _check_keys(data, Config, "")
        _check_finite(data, "")
        whole = _substitute(data, "")
        config = msgspec.convert(whole, Config)
        _check_waivers(config.waivers)
        _mask_texts(config)
        current = config.current
        check_baselines(current.baselines, current.decided_by, current.segment_baselines, error=ConfigError)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{label}: {_explained(error, whole, Config, '')}") from None
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None
    config.overrides = list(overrides)
    return config


def restore(text: str, name: str | None, overrides: Sequence[str], base: str) -> Config:
    """The configuration of a record, with paths that start at `base`.

    Raises
    ------
    ConfigError
        As :func:`load`; a variable of the environment that the text names must be set again.
    """
    if name is None:
        # A mapping, written as JSON, which has no comments.
        data = json.loads("\n".join(line for line in text.splitlines() if not line.startswith("# --set ")))
    else:
        data = parse(Path(name), text)
    config = _checked(data, name or "configuration", overrides)
    config.base, config.as_written = base, text
    if name is not None:
        config.file_name = name
    return config


def resolved(config: Config) -> dict[str, Any]:
    """Every key with its value: those of the file, of its preset, and defaults; secrets of URLs masked.

    Returns
    -------
    dict
        Plain values, in the order of the documentation.

    Examples
    --------
    >>> config = load({"reference": {"path": "a.parquet"}, "current": {"path": "b.parquet"}, "preset": "monitoring"})
    >>> resolved(config)["current"]["window"], resolved(config)["output"]["fail_on"]
    ('1d', 'fail')
    """
    plain: dict[str, Any] = mask_all(_plain(config))
    return {name: value for name, value in plain.items() if name not in _NO_KEYS}


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return {f.encode_name: _plain(getattr(value, f.name)) for f in msgspec.structs.fields(value)}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    return None if value is UNSET else value


def _under(data: dict[str, Any]) -> dict[str, Any]:
    """The file's keys over those of its preset."""
    preset = PRESETS.get(data["preset"]) if isinstance(data.get("preset"), str) else None
    if preset is None:
        return data
    whole: dict[str, Any] = json.loads(json.dumps(preset))
    checks = whole.get("checks", [])
    _merge(whole, data)
    if checks and isinstance(data.get("checks"), list):
        # Its checks stand beside those of the file; one on the same number takes their place.
        own = [(c.get("feature"), c.get("statistic")) for c in data["checks"] if isinstance(c, dict)]
        whole["checks"] = data["checks"] + [c for c in checks if (c["feature"], c["statistic"]) not in own]
    return whole


def as_names(names: Names) -> list[str]:
    """One name, or a list of them, as a list."""
    return [names] if isinstance(names, str) else names


def parse_rules(texts: Sequence[str]) -> dict[str, Any]:
    """Rules of decision from ``key=value`` each, as on the command line: ``calibrated.fail=0.05``.

    Raises
    ------
    ConfigError
        If one is no dotted key with a value.
    """
    rules: dict[str, Any] = {}
    for text in texts:
        _merge(rules, _parse_override(text))
    return rules


def as_decisions(rules: Mapping[str, Any] | Decisions | None) -> Decisions:
    """Check the rules of :func:`tidegauge.compare`.

    Raises
    ------
    UsageError
        If a key or value is not accepted.
    """
    if rules is None or isinstance(rules, Decisions):
        return rules or Decisions()
    return convert(rules, Decisions, "decisions")


_Kind = TypeVar("_Kind", bound=Struct)


def convert(data: Mapping[str, Any], kind: type[_Kind], name: str) -> _Kind:
    """One table of a configuration that was given as an argument.

    Raises
    ------
    UsageError
        If a key or value is not accepted.
    """
    try:
        _check_keys(data, kind, name)
        _check_finite(data, name)
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise UsageError(_explained(error, data, kind, name)) from None
    except ConfigError as error:
        raise UsageError(str(error)) from None


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the configuration, as ``tidegauge schema`` prints it."""
    schema = msgspec.json.schema(Config)
    for name in _NO_KEYS:
        schema["$defs"]["Config"]["properties"].pop(name)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "tidegauge configuration", **schema}


def _as_text(value: Any) -> str:
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, dt.date):
        return value.isoformat()
    raise ConfigError(f"configuration: {value!r} is {type(value).__name__}; accepted are text, numbers, lists, tables")


def parse(path: Path, text: str) -> dict[str, Any]:
    """The keys of a configuration's text; of a ``pyproject.toml`` those of its section.

    Raises
    ------
    ConfigError
        If it is no valid TOML or YAML, or has no section.
    """
    suffix = path.suffix.lower()
    if suffix == ".toml":
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: {str(error)[:1].lower()}{str(error)[1:]}") from None
        if path.name != "pyproject.toml":
            return data
        section = data.get("tool", {}).get("tidegauge")
        if section is None:
            raise ConfigError(f"{path}: no section [tool.tidegauge]")
    elif suffix in {".yaml", ".yml"}:
        try:
            import yaml
        except ImportError:
            raise ConfigError(
                f"{path}: yaml needs the package pyyaml; install tidegauge[yaml], or write toml"
            ) from None
        try:
            section = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: {str(error).replace(chr(10), ' ')}") from None
    else:
        raise ConfigError(f"{path}: extension {suffix!r}; accepted are .toml, .yaml, .yml and pyproject.toml")
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: holds {type(section).__name__}; accepted is a table with reference and current")
    # YAML reads dates as dates where TOML users write texts; both mean the text.
    return json.loads(json.dumps(section, default=str))  # type: ignore[no-any-return]


def _parse_override(override: str) -> dict[str, Any]:
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"set {override!r}; accepted is key=value with a dotted key")
    for candidate in (value, json.dumps(value)):
        try:
            return tomllib.loads(f"{key} = {candidate}")
        except tomllib.TOMLDecodeError:
            continue
    raise ConfigError(f"set {override!r}: key {key!r} is no dotted key; accepted: current.window=1w")


def _merge(data: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(data.get(name), dict):
            _merge(data[name], value)
        else:
            data[name] = value


def _check_keys(data: Any, kind: Any, where: str) -> None:
    """Unknown keys first: with a suggestion, and all that is accepted there."""
    if get_origin(kind) is list and isinstance(data, list):
        for i, value in enumerate(data):
            _check_keys(value, get_args(kind)[0], f"{where}[{i}]")
        return
    if not isinstance(data, dict):
        return
    if get_origin(kind) is dict:
        for name, value in data.items():
            _check_keys(value, get_args(kind)[1], f'{where}."{name}"')
        return
    struct = next((k for k in (kind, *get_args(kind)) if _is_struct(k)), None)
    if struct is None:
        return
    known = {f.name: f.type for f in msgspec.structs.fields(struct) if f.name not in _NO_KEYS}
    for name, value in data.items():
        place = f"{where}.{name}".lstrip(".")
        if name not in known:
            raise ConfigError(f"unknown key {place!r}{suggestion(name, known)} (accepted here: {', '.join(known)})")
        _check_keys(value, known[name], place)


def _check_finite(data: Any, where: str) -> None:
    """A limit that is infinite or no number decides nothing, and no record can hold it."""
    if isinstance(data, dict):
        for name, value in data.items():
            key = name if re.fullmatch(r"[A-Za-z0-9_-]+", str(name)) else f'"{name}"'
            _check_finite(value, f"{where}.{key}".lstrip("."))
    elif isinstance(data, (list, tuple)):
        for i, value in enumerate(data):
            _check_finite(value, f"{where}[{i}]")
    elif isinstance(data, float) and not math.isfinite(data):
        raise ConfigError(f"{where}: {data}; accepted is a finite number")


def suggestion(name: object, known: Iterable[object]) -> str:
    """``; did you mean 'label'?``, where one of `known` is near."""
    near = difflib.get_close_matches(str(name), [str(one) for one in known], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


_VARIABLE = re.compile(r"\$(\$\{|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})")


def _substitute(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {name: _substitute(item, f"{where}.{name}".lstrip(".")) for name, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, where) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "${"
        if is_secret(name):
            raise ConfigError(
                f"{where}: ${{{name}}} is named like a secret, whose value would be written to records; "
                "accepted are other variables (object stores read their credentials from the environment)"
            )
        if name not in os.environ:
            raise ConfigError(f"{where}: environment variable {name} is not set")
        return os.environ[name]

    text: str = _VARIABLE.sub(replace, value)
    return text


def _check_waivers(waivers: Sequence[Waiver]) -> None:
    """Whoever reads a report is told who accepted what, and why: neither may be blank."""
    for i, waiver in enumerate(waivers):
        for name in ("match", "who", "why"):
            if not getattr(waiver, name).strip():
                raise ConfigError(
                    f"waivers[{i}].{name}: {getattr(waiver, name)!r} is blank; accepted is a text, as every report "
                    "tells what was accepted, by whom and why"
                )


def _mask_texts(config: Config) -> None:
    """Mask what reports repeat of a configuration; no path is changed."""
    model = config.model
    for field in msgspec.structs.fields(model):
        value = getattr(model, field.name)
        if value is not None and field.name != "path":
            setattr(model, field.name, mask(value))
    for waiver in config.waivers:
        waiver.who, waiver.why = mask(waiver.who), mask(waiver.why)
    if config.output.title is not None:
        config.output.title = mask(config.output.title)


def _explained(error: msgspec.ValidationError, data: Any, kind: Any, where: str) -> str:
    """``current.window: '2d' is not accepted; accepted are '1h', '1d', ...``: the place, the value and what to write.

    The error names no key of a table whose keys are the user's, so the place is looked for from the top.
    """
    for place, value, part in _parts(data, kind, where):
        try:
            msgspec.convert(value, part)
        except msgspec.ValidationError as inner:
            return _explained(inner, value, part, place)
    text = str(error).partition(" - at `$")[0]
    if missing := re.fullmatch(r"Object missing required field `(.+)`", text):
        return f"{where}: key {missing[1]!r} is missing".lstrip(": ")
    choices = [c for k in (kind, *get_args(kind)) if get_origin(k) is Literal for c in get_args(k)]
    if choices and isinstance(data, (str, int)):
        accepted = ", ".join(map(repr, choices))
        return f"{where}: {data!r} is not accepted{suggestion(data, choices)} (accepted here: {accepted})"
    shown = f"{data!r}: " if isinstance(data, (str, int, float)) else ""
    return f"{where}: {shown}{text[:1].lower()}{text[1:].replace('`', chr(39))}".lstrip(": ")


def _parts(data: Any, kind: Any, where: str) -> list[tuple[str, Any, Any]]:
    """Place, value and type of what `data` is made of: keys of a table, items of a list."""
    inner = next((k for k in (kind, *get_args(kind)) if get_origin(k) in (list, dict) or _is_struct(k)), None)
    if isinstance(data, list) and get_origin(inner) is list:
        return [(f"{where}[{i}]", value, get_args(inner)[0]) for i, value in enumerate(data)]
    if not isinstance(data, dict):
        return []
    if get_origin(inner) is dict:
        of_keys, of_values = get_args(inner)
        keys = [(f'{where}."{name}"', name, of_keys) for name in data]
        return keys + [(f'{where}."{name}"', value, of_values) for name, value in data.items()]
    if inner is not None and _is_struct(inner):
        known = {f.name: f.type for f in msgspec.structs.fields(inner)}
        return [(f"{where}.{n}".lstrip("."), value, known[n]) for n, value in data.items() if n in known]
    return []


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)
