"""Files in a bucket of an S3-compatible service.

Small files are one request; larger ones are sent in parts while they arrive, and are there when all parts are. The
service keeps parts of what was never completed, so whoever deletes a file ends its unfinished uploads too.
"""

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, TypeVar

from server.storage.base import CHUNK, THREADS, BufferedUpload, Threads, ours

T = TypeVar("T")
PART = 5 << 20  # bytes: the least that S3 takes as a part that is not the last, so the least memory
PATIENCE = {"connect_timeout": 5, "read_timeout": 30}  # seconds
MISSING = ("NoSuchKey", "404")
GONE = "NoSuchUpload"


class S3:
    """A bucket, or the keys in it that begin with a prefix. Keys for the service come from where boto3 looks for them:
    its environment variables and files, or the machine's role. `endpoint` is that of a service other than Amazon's."""

    def __init__(self, bucket: str, prefix: str, *, endpoint: str | None, region: str | None) -> None:
        # some 300 ms and 30 MB that only deployments with a bucket spend
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        ours: dict[str, Any] = {}
        if endpoint:  # other services know neither buckets as host names nor Amazon's newer checksums
            required = "when_required"
            ours = {"request_checksum_calculation": required, "response_checksum_validation": required}
            ours["s3"] = {"addressing_style": "path"}
        config = Config(max_pool_connections=THREADS, retries={"mode": "standard"}, **PATIENCE, **ours)
        self.client = boto3.client("s3", endpoint_url=endpoint, region_name=region, config=config)
        self.bucket = bucket
        self.prefix = prefix
        self.threads = Threads(BotoCoreError, ClientError, OSError)
        self.refusals = ClientError

    def place(self, key: str) -> dict[str, str]:
        """Where the service keeps a file."""
        return {"Bucket": self.bucket, "Key": self.prefix + key}

    async def create(self) -> "S3Upload":
        return S3Upload(self)

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        span = f"bytes={start}-{end - 1}"
        found = self.unless(MISSING, lambda: self.client.get_object(**self.place(key), Range=span)["Body"])
        body = await self.threads.run(found)
        if body is None:
            raise FileNotFoundError(key)
        try:
            while piece := await self.threads.run(body.read, CHUNK):
                yield piece
        finally:
            body.close()

    async def delete(self, key: str) -> None:
        await self.threads.run(self.remove, key)

    async def keys(self) -> set[str]:
        return await self.threads.run(lambda: ours(name.removeprefix(self.prefix) for name in self.names()))

    def names(self) -> Iterator[str]:
        """What lies under the prefix, what was begun too."""
        for listing, kind in (("list_objects_v2", "Contents"), ("list_multipart_uploads", "Uploads")):
            for page in self.client.get_paginator(listing).paginate(Bucket=self.bucket, Prefix=self.prefix):
                yield from (found["Key"] for found in page.get(kind, ()))

    def remove(self, key: str) -> None:
        """Removes a file and what was begun of it."""
        self.client.delete_object(**self.place(key))
        begun = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=self.prefix + key)
        for upload in begun.get("Uploads", ()):
            self.end(key, upload["UploadId"])

    def end(self, key: str, upload_id: str) -> None:
        """Ends an upload that shall not be completed, and its parts."""
        self.unless((GONE,), lambda: self.client.abort_multipart_upload(**self.place(key), UploadId=upload_id))()

    def unless(self, codes: tuple[str, ...], call: Callable[[], T]) -> Callable[[], T | None]:
        """The call with None for these errors of the service."""

        def attempt() -> T | None:
            try:
                return call()
            except self.refusals as error:
                if error.response["Error"]["Code"] not in codes:
                    raise
                return None

        return attempt

    def close(self) -> None:
        self.threads.close()
        self.client.close()


class S3Upload(BufferedUpload):
    def __init__(self, storage: S3) -> None:
        super().__init__(storage.threads, PART)
        self._storage = storage
        self._client = storage.client
        self._place = storage.place(self.key)
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []

    def store(self, piece: bytearray) -> None:
        if self._upload_id is None:
            self._upload_id = self._client.create_multipart_upload(**self._place)["UploadId"]
        number = len(self._parts) + 1
        sent = self._client.upload_part(**self._place, UploadId=self._upload_id, PartNumber=number, Body=piece)
        self._parts.append({"ETag": sent["ETag"], "PartNumber": number})

    def complete(self, piece: bytearray) -> None:
        if self._upload_id is None:
            self._client.put_object(**self._place, Body=piece)
            return
        if piece:
            self.store(piece)
        self._client.complete_multipart_upload(
            **self._place, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
        )

    def drop(self) -> None:
        self._storage.remove(self.key)
