"""Media in an S3-compatible bucket, by django-storages; its faults are those of a disk: OSError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from django.core.files.base import File
from storages.backends.s3 import S3Storage  # type: ignore[import-untyped]

_SECONDS = 10  # to connect, and for each pause in an answer
_MEMORY = 1024 * 1024  # of a file that is read; what is larger is put on the disk meanwhile
_CONFIG = Config(
    connect_timeout=_SECONDS,
    read_timeout=_SECONDS,
    retries={"max_attempts": 3, "mode": "standard"},
    signature_version="s3v4",
    s3={"addressing_style": "path"},  # few services but Amazon's have a host name for each bucket
    # Newer sums are unknown to many services; the connection's TLS protects the content anyway.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class Bucket(S3Storage):  # type: ignore[misc]
    """The storage of media: private objects, which only Patchbay reads, named as in the media folder."""

    def get_default_settings(self) -> dict[str, Any]:
        own = {"file_overwrite": False, "max_memory_size": _MEMORY, "client_config": _CONFIG}
        return {**super().get_default_settings(), **own}

    def problem(self) -> str:
        """Why the bucket cannot be used, or "". Raises OSError if it does not answer."""
        try:
            self.connection.meta.client.head_bucket(Bucket=self.bucket_name)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            known = {
                "404": f"There is no bucket {self.bucket_name}.",
                "403": f"The bucket {self.bucket_name} may not be used with this key and secret.",
            }
            return known.get(code, f"The bucket {self.bucket_name} answers {code}.")
        except BotoCoreError as error:
            raise OSError(None, f"The bucket {self.bucket_name} does not answer: {error}") from error
        return ""

    def _open(self, name: str, mode: str = "rb") -> Any:
        with _as_os_errors():
            found = super()._open(name, mode)
            found.file  # noqa: B018 (read now, where its errors are expected)
            return found

    def _save(self, name: str, content: File[Any]) -> str:
        with _as_os_errors():
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        with _as_os_errors():
            super().delete(name)

    def exists(self, name: str) -> bool:
        with _as_os_errors():
            return bool(super().exists(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        with _as_os_errors():
            folders, names = super().listdir(path)
            return folders, names

    def size(self, name: str) -> int:
        with _as_os_errors():
            return int(super().size(name))


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """What the network and the service say, as those who use a storage expect it."""
    try:
        yield
    except ClientError as error:
        raise OSError(None, f"the bucket answers {error.response.get('Error', {}).get('Code')}") from error
    except BotoCoreError as error:
        raise OSError(None, "the bucket does not answer") from error
