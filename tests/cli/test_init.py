"""`init`, presets, `--print-config` and completion, as a new user meets them; and no secret in any output."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from tidegauge._secrets import is_secret, mask
from tidegauge.cli import invoke
from tidegauge.config import load, resolved
from tidegauge.errors import ConfigError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_draft_of_a_real_log_runs_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("reference", "current"):
        shutil.copy(EXAMPLES / "bike_2011" / f"{name}.parquet", tmp_path)
    written = tmp_path / "job.toml"
    sides = [str(tmp_path / "reference.parquet"), str(tmp_path / "current.parquet")]
    assert invoke(["init", *sides, "-o", str(written)]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "guessed: ts is the time" in told.err
    draft = tomllib.loads(written.read_text())
    assert draft["roles"]["time"] == "ts"
    assert draft["roles"]["label"] == "label"
    assert draft["roles"]["block"] == "1d"
    # July to December: 184 days.
    assert draft["current"] == {"path": "current.parquet", "window": "1mo"}

    assert invoke(["run", str(written), "--quiet"]) == 1
    record = json.loads((tmp_path / "report.json").read_text())
    assert len(record["result"]["windows"]) == 6
    assert (tmp_path / "report.html").exists()
    capsys.readouterr()

    assert invoke(["init", *sides, "-o", str(written)]) == 2
    assert "--force" in capsys.readouterr().err


def test_draft_of_hostile_names_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(5)
    names = ['a"b', "new\nline", "\x7f\x1b[31m", "ü'\\", "sex"]
    frame = pl.DataFrame({n: rng.normal(size=60) for n in names[:4]} | {"sex": rng.choice(["m", "f"], 60)})
    frame = frame.with_columns(pl.Series('label"]\nx', range(60)))
    folder = tmp_path / 'a "quoted" folder'
    folder.mkdir()
    frame.write_parquet(folder / "r.parquet")
    frame.write_parquet(folder / "c.parquet")
    written = folder / "job.toml"
    assert invoke(["init", str(folder / "r.parquet"), str(folder / "c.parquet"), "-o", str(written)]) == 0
    assert "\x1b" not in capsys.readouterr().err
    draft = tomllib.loads(written.read_text())
    assert draft["roles"]["id"] == ['label"]\nx']
    assert '# protected = ["sex"]' in written.read_text()
    assert invoke(["run", str(written), "--quiet"]) == 0


def test_what_cannot_be_looked_at_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["init", str(tmp_path / "no.parquet"), "b.parquet"]) == 3
    assert "no.parquet: no such file or folder" in capsys.readouterr().err
    pl.DataFrame({"a": pl.Series([], dtype=pl.Float64)}).write_parquet(tmp_path / "empty.parquet")
    assert invoke(["init", str(tmp_path / "empty.parquet"), str(tmp_path / "empty.parquet")]) == 3
    assert "no rows to guess from" in capsys.readouterr().err
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not at all")
    assert invoke(["init", str(tmp_path / "broken.parquet"), str(tmp_path / "broken.parquet")]) == 3
    assert invoke(["init", "a.parquet", "b.parquet", "-o", "job.json"]) == 2


@pytest.mark.parametrize("preset", ["drift", "validation", "monitoring"])
def test_presets_are_defaults_that_the_file_overrides(preset: str) -> None:
    sides = {"reference": {"path": "a.parquet"}, "current": {"path": "b.parquet"}}
    plain, chosen = resolved(load(sides)), resolved(load({**sides, "preset": preset}))
    assert {name for name in plain if plain[name] != chosen[name]} >= {"preset", "output"}
    over = load(
        {**sides, "preset": preset, "output": {"fail_on": "never", "files": ["x.md"]}}, overrides=["current.window=1h"]
    )
    assert (over.output.fail_on, over.output.files, over.current.window) == ("never", ["x.md"], "1h")


def test_unknown_preset_is_named() -> None:
    with pytest.raises(ConfigError, match="preset: 'monitor' is not accepted; did you mean 'monitoring'"):
        load({"reference": {"path": "a"}, "current": {"path": "b"}, "preset": "monitor"})


def test_resolved_configuration_loads_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = EXAMPLES / "nycflights13" / "tidegauge.toml"
    assert invoke(["run", str(path), "--print-config", "--set", "decisions.consecutive=2"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["decisions"]["consecutive"] == 2

    def given(value: object) -> object:
        if isinstance(value, dict):
            return {k: given(v) for k, v in value.items() if v is not None}
        return value

    again = load(given(printed))
    assert resolved(again) == printed


def test_nearest_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["dirft", "a", "b"]) == 2
    assert "did you mean 'drift'?" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_completes(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["completion", shell]) == 0
    assert "_TIDEGAUGE_COMPLETE" in capsys.readouterr().out
    words = {"COMP_WORDS": "tidegauge in", "COMP_CWORD": "in" if shell == "fish" else "1"}
    run = subprocess.run(
        [Path(sys.executable).with_name("tidegauge")],
        env={"_TIDEGAUGE_COMPLETE": f"{shell}_complete", **words, "PATH": "/usr/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "init" in run.stdout
    assert "inspect" in run.stdout
    assert "merge" not in run.stdout


SECRETS = {
    "https://me:hunter2@host/a.csv": "https://me:***@host/a.csv",
    "https://hunter2@host/a.csv": "https://***@host/a.csv",
    "az://c/a.parquet?sv=2024&sig=hunter2": "az://c/a.parquet?sv=2024&sig=***",
    "s3://b/a?X-Amz-Signature=hunter2&X-Amz-Date=1": "s3://b/a?X-Amz-Signature=***&X-Amz-Date=1",
    "s3://b/a?aws_secret_access_key=hunter2": "s3://b/a?aws_secret_access_key=***",
    "s3://b/day=1/part?monkey=1": "s3://b/day=1/part?monkey=1",
    "abfss://bucket@account/a": "abfss://bucket@account/a",
    "a=b&token=plain": "a=b&token=plain",
    "https://h/a?accessKey=hunter2&x=2&AccountKey=hunter2": "https://h/a?accessKey=***&x=2&AccountKey=***",
    "https://h/a?apiToken=hunter2&AWSAccessKeyId=hunter2": "https://h/a?apiToken=***&AWSAccessKeyId=***",
    "https://h/a?X%2DAmz%2DSignature=hunter2#access_token=hunter2": "https://h/a?X%2DAmz%2DSignature=***#access_token=***",
    "postgres://me:p@hunter2@h/db": "postgres://me:***@h/db",
    "redis://:hunter2@h": "redis://:***@h",
    "https://host:80/p@x": "https://host:80/p@x",
    "Authorization: Bearer hunter2": "Authorization: Bearer ***",
    "'Authorization: Basic aHVudGVyMg=='": "'Authorization: Basic ***'",
    "by bearer hunter2x": "by bearer ***",
    "the bearer securities": "the bearer securities",
    "AccountName=logs;AccountKey=hunter2==;EndpointSuffix=a.b": "AccountName=logs;AccountKey=***;EndpointSuffix=a.b",
    "Server=x;User Id=me;Password=hunter2;": "Server=x;User Id=me;Password=***;",
    "SharedAccessSignature=hunter2;x=1": "SharedAccessSignature=***;x=1",
    # What a condition or an option says of columns stays, since a run is made again from it.
    'where = "token = 5; key = 2"': 'where = "token = 5; key = 2"',
    "--set joint.key=row_id --set a=1": "--set joint.key=row_id --set a=1",
}


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_of_urls_are_masked(text: str) -> None:
    assert mask(text) == mask(mask(text)) == SECRETS[text]
    assert mask(f"could not read {text} twice: {text}") == f"could not read {SECRETS[text]} twice: {SECRETS[text]}"


def test_no_output_holds_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = "hunter2canary"
    frame = pl.DataFrame({"x": np.random.default_rng(1).normal(size=80)})
    frame.write_parquet(tmp_path / "r.parquet")
    # A folder named like a URL: what is told of it is what would be told of the URL.
    place = tmp_path / f"lake:/me:{canary}@host"
    place.mkdir(parents=True)
    frame.write_csv(place / "c.csv")
    monkeypatch.chdir(tmp_path)
    url = f"lake://me:{canary}@host/c.csv"
    outputs = [f"out.{suffix}" for suffix in ("json", "html", "md", "txt", "ndjson", "parquet", "tgp")]
    command = ["drift", "r.parquet", url]
    monkeypatch.setattr(sys, "argv", ["tidegauge", *command])
    assert invoke([*command, *(part for name in outputs for part in ("-o", name))]) == 0
    told = capsys.readouterr()
    texts = [told.out.encode(), told.err.encode(), *((tmp_path / name).read_bytes() for name in outputs)]
    texts += [str(pl.read_parquet(tmp_path / "out.parquet").to_dicts()).encode()]
    texts += [json.dumps(tg.load(tmp_path / "out.tgp").info).encode()]
    assert not [i for i, text in enumerate(texts) if canary.encode() in text]
    assert "me:***@host" in json.loads((tmp_path / "out.json").read_text())["envelope"]["command"]

    assert invoke(["drift", "r.parquet", url.replace("c.csv", "no.csv")]) == 3
    assert invoke(["init", "r.parquet", url]) == 2
    assert canary not in "".join(capsys.readouterr())


def test_variable_named_like_a_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2canary")
    with pytest.raises(ConfigError, match="named like a secret") as caught:
        load({"reference": {"path": "s3://${AWS_SECRET_ACCESS_KEY}/a"}, "current": {"path": "b"}})
    assert "hunter2canary" not in str(caught.value)
    secret = """API_KEY SAS DB_PASSWORD TOKEN DB_PASS PGPASSWORD GITHUB_PAT SECRET_KEY_BASE TOKEN2 SLACK_WEBHOOK
        SLACK_WEBHOOK_URL AZURE_STORAGE_CONNECTION_STRING AWS_ACCESS_KEY_ID MYSQL_PWD SENTRY_DSN NPM_TOKEN_1"""
    assert [n for n in secret.split() if not is_secret(n)] == []
    plain = """KEYBOARD DATA MONKEY TOKENS_FOLDER DAY KEY_COLUMN COMPASS BYPASS PASSENGERS PATTERN AUTHOR SIGMA REGION
        CONNECTION SECRETARY DB_PASSWORD_FILE"""
    assert [n for n in plain.split() if is_secret(n)] == []


def test_no_output_of_a_run_holds_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever text of a configuration holds one: names, owners, reasons, a title, what is set on the command line."""
    canary = "hunter2canary"
    for side, shift in (("reference", 0.0), ("current", 1.0)):
        x = np.random.default_rng(1).normal(shift, size=300)
        pl.DataFrame({"x": x}).write_parquet(tmp_path / f"{side}.parquet")
    (tmp_path / "tidegauge.toml").write_text(f"""
[model]
name = "bikes of https://me:{canary}@host/m"
registry = "https://host/m?accessKey={canary}&v=3"
owner = "Authorization: Bearer {canary}"
training_data = "AccountName=a;AccountKey={canary};EndpointSuffix=b"
[reference]
path = "reference.parquet"
[current]
path = "current.parquet"
[[waivers]]
match = "x"
until = 2099-01-01
who = "bot, bearer {canary}1"
why = "see https://host/t?apiToken={canary}"
[output]
title = "of https://host/?AWSAccessKeyId={canary}"
audit = "audit.jsonl"
profiles = "."
files = ["report.json", "report.html", "report.md", "r.txt", "r.ndjson", "r.parquet", "r.xml", "r.prom"]
""")
    monkeypatch.chdir(tmp_path)
    command = ["run", "tidegauge.toml", "--set", f"model.purpose=https://host/?sig={canary}"]
    monkeypatch.setattr(sys, "argv", ["tidegauge", *command])
    texts = []
    for more in ([], ["--print-config"], *(["--format", form] for form in ("json", "ndjson", "markdown", "junit"))):
        assert invoke([*command, *more]) == 0
        texts.append("".join(capsys.readouterr()))
    assert invoke(["verify", "report.json", "--audit"]) == 0, capsys.readouterr()
    for last in (
        ["gate", "report.json"],
        ["inspect", "report.json"],
        ["plan", *command[1:]],
        ["report", "report.json"],
    ):
        assert invoke(last) == 0
        texts.append("".join(capsys.readouterr()))
    assert invoke([*command, "--set", f"model.ownr=Bearer {canary}"]) == 2
    assert invoke([*command, "--set", f"current.window=Bearer {canary}"]) == 2
    texts.append("".join(capsys.readouterr()))
    texts.append(str(pl.read_parquet("r.parquet").to_dicts()))
    assert not [text[max(0, text.index(canary) - 80) :][:200] for text in texts if canary in text]
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "tidegauge.toml"]
    assert len(kept) > 10
    assert not [path.name for path in kept if canary.encode() in path.read_bytes()]
