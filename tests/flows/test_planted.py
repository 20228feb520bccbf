"""After a day of real processes, planted secrets are searched for everywhere, in every form in which they could hide."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
import requests

from integrations.sandbox import Sandbox
from tests.flows.test_watching import SECRETS, TEXT_OUT, a_day
from tests.flows.test_watching import provider as provider  # a fixture
from tests.installation import PASSWORD, Embedded, Installation, Separate

# Run in the installation: what a person or a provider would have entered or sent.
PLANT = """if True:
    import os, django
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    django.setup()
    from allauth.mfa.adapter import get_adapter
    from allauth.mfa.models import Authenticator
    from integrations.models import AccessToken, Integration
    from portal.models import PersonalToken, User
    alice, integration = User.objects.get(), Integration.objects.get()
    AccessToken.objects.create(
        integration=integration,
        secrets={"access_token": "planted-access-token", "refresh_token": "planted-refresh-token"},
    )
    Authenticator.objects.create(
        user=alice, type="recovery_codes",
        data={"seed": get_adapter().encrypt("planted-recovery-seed"), "used_mask": 0},
    )
    print(PersonalToken.objects.issue(alice, "A program"))
"""
PLANTED = [
    "sandbox-key",
    "planted-access-token",
    "planted-refresh-token",
    "planted-recovery-seed",
    PASSWORD,
    *SECRETS.values(),
]


def forms(secret: str) -> Iterator[bytes]:
    """A secret plain, URL-encoded, as base64 at each place, in JSON, in hexadecimal digits, and reversed."""
    raw = secret.encode()
    yield raw
    yield raw[::-1]
    yield quote(secret, safe="").encode()
    yield "".join(f"%{byte:02X}" for byte in raw).encode()
    yield "".join(f"\\u{byte:04x}" for byte in raw).encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw)
        # Without the characters at both ends, which depend on what stands beside it.
        yield encoded[4 if before else 0 : len(encoded) // 4 * 4 - 4]


def found(places: dict[str, bytes], secrets: list[str]) -> list[tuple[str, str]]:
    return [
        (place, secret)
        for place, content in places.items()
        for secret in secrets
        if any(form in content for form in forms(secret))
    ]


def test_each_form_would_be_found() -> None:
    for form in forms("planted-access-token"):
        assert len(form) > 12
        assert found({"here": b"before" + form + b"after"}, ["planted-access-token"])


def plant(patchbay: Installation) -> str:
    """The API token that was issued."""
    process = patchbay.run("-c", PLANT)
    assert process.popen.wait(60) == 0, patchbay.output
    token = next(line for line in patchbay.output.splitlines() if line.startswith("pb_"))
    patchbay.log.write_text("")
    return token


def used(patchbay: Installation, token: str) -> None:
    """A program uses its token, rightly and wrongly."""
    url, headers = f"{patchbay.url}/api/v1/messages", {"Authorization": f"Bearer {token}"}
    assert requests.get(url, headers=headers, timeout=10).status_code == 200
    requests.post(url, json={"text": token}, headers=headers, timeout=10)


def backup(patchbay: Installation, folder: Path) -> dict[str, bytes]:
    """The files in a backup that is made while the processes work."""
    path = folder / "backup.tar.gz"
    process = patchbay.run("manage.py", "backup", str(path))
    assert process.popen.wait(60) == 0, patchbay.output
    places = {}
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        for item in archive:
            if (file := archive.extractfile(item)) is not None:
                content = file.read()
                places[f"backup/{item.name}"] = content
                if content[:2] == b"\x1f\x8b":
                    places[f"backup/{item.name}, unpacked"] = gzip.decompress(content)
    assert places
    return places


def metrics(patchbay: Installation) -> bytes:
    token = {"Authorization": f"Bearer {SECRETS['PATCHBAY_METRICS_TOKEN']}"}
    return requests.get(f"{patchbay.url}/metrics", headers=token, timeout=10).content


def test_one_process_keeps_no_secret_anywhere(
    embedded: Callable[..., AbstractContextManager[Embedded]], provider: Sandbox, tmp_path: Path
) -> None:
    with embedded(**SECRETS, PATCHBAY_LOG_LEVEL="DEBUG") as patchbay:
        patchbay.fill({"name": "acme", "url": provider.api_url})
        token = plant(patchbay)
        server = patchbay.serve()
        server.wait_until_ready(patchbay.url)
        a_day(patchbay, provider)
        used(patchbay, token)
        places = {"metrics": metrics(patchbay), **backup(patchbay, tmp_path)}
        server.stop()
        places["log"] = patchbay.log.read_bytes()
        for path in patchbay.data.rglob("*"):
            if path.is_file():
                places[str(path.relative_to(patchbay.data))] = path.read_bytes()
    assert found(places, [*PLANTED, token]) == []
    # What is no secret is found, in the database and in its backup.
    assert len(found({name: places[name] for name in places if "sqlite3" in name}, [TEXT_OUT])) > 1


@pytest.mark.services
def test_separate_processes_keep_no_secret_anywhere(
    separate: Callable[..., AbstractContextManager[Separate]], provider: Sandbox, tmp_path: Path
) -> None:
    folder = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    with separate(**SECRETS, **folder) as patchbay:
        patchbay.redis.start()
        patchbay.fill({"name": "acme", "url": provider.api_url})
        token = plant(patchbay)
        web, worker = patchbay.web(), patchbay.worker()
        web.wait_until_ready(patchbay.url)
        a_day(patchbay, provider)
        used(patchbay, token)
        places = {"metrics": metrics(patchbay), **backup(patchbay, tmp_path)}
        client = redis.Redis.from_url(patchbay.redis.url)
        places["redis"] = b"\n".join(key + b" " + (client.dump(key) or b"") for key in client.scan_iter())
        web.stop()
        worker.stop()
        places["log"] = patchbay.log.read_bytes()
        for path in (tmp_path / "metrics").iterdir():
            places[path.name] = path.read_bytes()
    assert found(places, [*PLANTED, token]) == []
