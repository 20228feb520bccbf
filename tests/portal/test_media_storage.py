"""Media in an S3-compatible bucket, served by a real server: nothing else of Patchbay notices the difference."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import requests
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from moto.server import ThreadedMotoServer

from integrations.sandbox import Sandbox
from messaging import media
from messaging.errors import Refused
from messaging.models import Attachment, Message, Number
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from portal import startup
from portal.backup import files
from portal.models import User
from tests.faults.test_backup import lose, manage
from tests.installation import Embedded
from tests.processes import Process, free_port

KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "planted-secret"}


class Service:
    """A service for objects on a real port, with one bucket."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        self.server.start()
        requests.post(
            f"{self.url}/moto-api/reset", timeout=10
        ).raise_for_status()  # what servers before it kept
        self.client: Any = boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **KEYS)
        self.client.create_bucket(Bucket="media")

    def names(self, bucket: str = "media") -> list[str]:
        return [item["Key"] for item in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def environment(self, bucket: str) -> dict[str, str]:
        return {
            "PATCHBAY_MEDIA_S3_BUCKET": bucket,
            "PATCHBAY_MEDIA_S3_ENDPOINT": self.url,
            "PATCHBAY_MEDIA_S3_REGION": "us-east-1",
            "PATCHBAY_MEDIA_S3_KEY": KEYS["aws_access_key_id"],
            "PATCHBAY_MEDIA_S3_SECRET": KEYS["aws_secret_access_key"],
        }


@pytest.fixture
def service_of_objects() -> Iterator[Service]:
    service = Service()
    yield service
    service.client.close()
    service.server.stop()


@pytest.fixture
def bucket(service_of_objects: Service, settings: Any, tmp_path: Path) -> Service:
    """Media are in the bucket; the media folder is no folder, and fails whoever looks there."""
    settings.S3_BUCKET = "media"
    settings.MEDIA_ROOT = tmp_path / "nowhere"
    settings.STORAGES = settings.STORAGES | {"default": options(service_of_objects.url)}
    return service_of_objects


def options(url: str, **changed: str | None) -> dict[str, Any]:
    given = {
        "bucket_name": "media",
        "endpoint_url": url,
        "region_name": "us-east-1",
        "access_key": KEYS["aws_access_key_id"],
        "secret_key": KEYS["aws_secret_access_key"],
    }
    return {"BACKEND": "portal.media_storage.Bucket", "OPTIONS": given | changed}


def upload(name: str = "plan.pdf") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, b"%PDF-1.7 plan", "application/pdf")


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_a_file_goes_out_from_the_bucket_through_patchbay(
    bucket: Service, private: Number, alice: User, sandbox: Sandbox, client: Client
) -> None:
    message = submit(alice, private, "+61412345678", files=[upload()])
    attachment = message.attachments.get()
    assert bucket.names() == [attachment.file.name]
    dispatch.drain()
    url = json.loads(sandbox.received[0].body)["media_url"]
    # The provider is given a link to Patchbay, never one to the bucket.
    assert url == media.public_url(attachment, message)
    answer = client.get(urlsplit(url).path)
    assert (answer.status_code, body(answer), answer["Content-Length"]) == (200, b"%PDF-1.7 plan", "13")
    assert media.variable(attachment, message, with_content=True)["content"] == b"%PDF-1.7 plan"
    client.force_login(alice)
    assert body(client.get(f"/inbox/files/{attachment.uuid}")) == b"%PDF-1.7 plan"
    attachment.file.delete(save=False)
    assert bucket.names() == []
    assert client.get(urlsplit(url).path).status_code == 404


def test_two_files_of_one_name_are_two(bucket: Service) -> None:
    first = default_storage.save("2026/a.txt", ContentFile(b"first"))
    second = default_storage.save("2026/a.txt", ContentFile(b"second"))
    assert first == "2026/a.txt" != second
    default_storage.save("top.txt", ContentFile(b""))
    assert list(files.media(default_storage)) == sorted(
        ["top.txt", first, second], key=lambda name: "/" in name
    )
    for name, content in ((first, b"first"), (second, b"second")):
        with default_storage.open(name, "rb") as file:
            assert file.read() == content


def test_a_bucket_that_does_not_answer_is_a_full_disk(
    bucket: Service, private: Number, alice: User, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    message = submit(alice, private, "+61412345678", files=[upload()])
    path = urlsplit(media.public_url(message.attachments.get(), message)).path
    bucket.client.delete_object(Bucket="media", Key=message.attachments.get().file.name)
    assert client.get(path).status_code == 404
    bucket.client.delete_bucket(Bucket="media")
    with caplog.at_level(logging.CRITICAL):
        with pytest.raises(
            Refused, match=r"Patchbay cannot store the file \(the bucket answers NoSuchBucket\)"
        ):
            submit(alice, private, "+61412345678", files=[upload()])
        bucket.server.stop()
        with pytest.raises(Refused, match=r"Patchbay cannot store the file \(the bucket does not answer\)"):
            submit(alice, private, "+61412345678", files=[upload()])
        assert client.get(path).status_code == 503
    assert (Message.objects.count(), Attachment.objects.count()) == (1, 1)


def test_the_bucket_is_tried_at_the_start(bucket: Service, settings: Any, db: None) -> None:
    startup.check()
    settings.STORAGES = settings.STORAGES | {"default": options(bucket.url, bucket_name="missing")}
    with pytest.raises(ImproperlyConfigured, match=r"Media cannot be stored\. There is no bucket missing\."):
        startup.check()
    bucket.server.stop()
    startup.check()  # it may come back


@pytest.mark.parametrize(
    ("url", "changed", "said"),
    [
        ("s3.example.com", {}, "PATCHBAY_MEDIA_S3_ENDPOINT must look like"),
        (
            "https://s3.example.com",
            {"secret_key": None},
            "needs PATCHBAY_MEDIA_S3_KEY and PATCHBAY_MEDIA_S3_SECRET",
        ),
        (
            "https://s3.example.com",
            {"access_key": None},
            "needs PATCHBAY_MEDIA_S3_KEY and PATCHBAY_MEDIA_S3_SECRET",
        ),
    ],
)
def test_settings_that_are_incomplete_say_so(settings: Any, url: str, changed: Any, said: str) -> None:
    settings.S3_BUCKET = "media"
    settings.STORAGES = settings.STORAGES | {"default": options(url, **changed)}
    (found,) = [check for check in run_checks() if check.id == "portal.E007"]
    assert said in found.msg


def test_a_wrong_bucket_is_one_sentence(service_of_objects: Service, tmp_path: Path) -> None:
    environment = {"PATCHBAY_DATA": str(tmp_path / "data"), **service_of_objects.environment("missing")}
    process = Process.manage(
        "serve", "--port", str(free_port()), environment=environment, log=tmp_path / "log"
    )
    assert process.popen.wait(60) == 1
    assert process.output.count("Media cannot be stored. There is no bucket missing.") == 1
    assert "Traceback" not in process.output and "planted-secret" not in process.output


def test_a_backup_has_what_is_in_the_bucket(
    service_of_objects: Service,
    embedded: Callable[..., AbstractContextManager[Embedded]],
    sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    service = service_of_objects
    service.client.create_bucket(Bucket="other")
    service.client.put_object(Bucket="media", Key="2026/11/a b.txt", Body=b"kept")
    with embedded(**service.environment("media")) as patchbay:
        patchbay.fill({"name": "acme", "url": sandbox.api_url, "count": 1, "due": [3600]})
        assert "1 media file." in manage(patchbay, "backup", str(tmp_path / "backup.tar.gz"))
        lose(patchbay)
        said = manage(patchbay, "restore", str(tmp_path / "backup.tar.gz"), code=1)
        assert "The media folder is not empty" in said
        patchbay.environment |= service.environment("other")
        manage(patchbay, "restore", str(tmp_path / "backup.tar.gz"))
        assert service.names("other") == ["2026/11/a b.txt"]
        assert service.client.get_object(Bucket="other", Key="2026/11/a b.txt")["Body"].read() == b"kept"
        assert patchbay.one("SELECT count(*) FROM messaging_message") == 1
