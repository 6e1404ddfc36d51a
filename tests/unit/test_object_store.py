"""Object stores, against a local S3 server bound to loopback."""

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from tidegauge.errors import InputError

moto_server = pytest.importorskip("moto.server", reason="moto[s3,server] is not installed")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an empty bucket."""
    import boto3

    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="logs")
    yield "s3://logs"
    server.stop()


def put(frame: pl.DataFrame, key: str, kind: str) -> None:
    import io

    import boto3

    buffer = io.BytesIO()
    frame.write_parquet(buffer) if kind == "parquet" else frame.write_csv(buffer)
    boto3.client("s3").put_object(Bucket="logs", Key=key, Body=buffer.getvalue())


@pytest.mark.filterwarnings("ignore")  # warnings of moto's own dependencies
def test_same_digest_as_local(bucket: str) -> None:
    frame = pl.DataFrame({"x": np.random.default_rng(1).normal(size=500).round(3), "city": ["a", "b"] * 250})
    put(frame[:200], "day=1/a.parquet", "parquet")
    put(frame[200:], "day=2/b.parquet", "parquet")
    put(frame, "all.csv", "csv")
    expected = tg.profile(frame).digest
    assert tg.profile(f"{bucket}/day=*/*.parquet", columns=["x", "city"]).digest == expected
    assert tg.profile(f"{bucket}/all.csv").digest == expected
    assert tg.profile(f"{bucket}/all.csv", where="x > 0").rows == frame.filter(pl.col("x") > 0).height
    with pytest.raises(InputError, match=r"none\.parquet"):
        tg.profile(f"{bucket}/none.parquet")
