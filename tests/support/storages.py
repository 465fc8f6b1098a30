"""Storages of files for tests, of each kind: a directory, and a bucket of an S3 service on the loopback."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import boto3
from moto.server import ThreadedMotoServer

from server.parts import STORE
from server.store.models import StoredFile
from tests.support.app import PATIENCE, Server

REGION = "eu-north-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class Kept(Protocol):
    """A storage as its operator sees it."""

    url: str

    def names(self) -> list[str]:
        """All that lies in it, half written files too."""

    def lose(self, name: str) -> None:
        """Removes a file behind the server's back."""


class KeptOnDisk:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = directory.as_uri()

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir()) if self.directory.exists() else []

    def lose(self, name: str) -> None:
        (self.directory / name).unlink()


class KeptInBucket:
    """Everything under one prefix of the bucket."""

    def __init__(self, client: Any, endpoint: str, bucket: str, prefix: str) -> None:
        self.client, self.bucket, self.prefix = client, bucket, prefix
        self.url = f"s3://{bucket}/{prefix}?endpoint={endpoint}&region={REGION}"

    def names(self) -> list[str]:
        where = {"Bucket": self.bucket, "Prefix": f"{self.prefix}/"}
        whole = [each["Key"] for each in self.client.list_objects_v2(**where).get("Contents", [])]
        begun = [each["Key"] + ".part" for each in self.client.list_multipart_uploads(**where).get("Uploads", [])]
        return sorted(name.removeprefix(f"{self.prefix}/") for name in [*whole, *begun])

    def lose(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{name}")


class S3Service:
    """A service with one bucket; each storage in it has a prefix of its own."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.client = boto3.client("s3", endpoint_url=endpoint, region_name=REGION)
        self.client.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": REGION})
        self.count = 0

    def storage(self) -> KeptInBucket:
        self.count += 1
        return KeptInBucket(self.client, self.endpoint, "files", f"test/{self.count}")


@contextmanager
def s3_service() -> Iterator[S3Service]:
    """A running service on a free port; the environment has keys for it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    try:
        service = S3Service("http://{}:{}".format(*server.get_host_and_port()))
        yield service
        service.client.close()
    finally:
        server.stop()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


async def rows(server: Server) -> int:
    """How many files the database knows of."""
    return int(await server.app[STORE].read(lambda tx: StoredFile.select().count()))


async def until_gone(server: Server, kept: Kept, left: int = 0) -> None:
    """Waits for housekeeping."""
    async with asyncio.timeout(PATIENCE):
        while await rows(server) != left or len(kept.names()) != left:
            await asyncio.sleep(0.005)
