"""Encryption keys: which rows need which, their rotation, and what a process says that has not the right ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from integrations.models import AccessToken, Capture, Integration, PastedSamples, PropertyValues
from messaging import erasure
from messaging.models import Device, Erasure, Number, Receiver, WebhookEvent, WebhookRequest
from messaging.notices import push
from messaging.outbound.submit import submit
from messaging.transfer import imports
from portal import keys
from portal.encryption import encrypt, fingerprint
from portal.models import KeyCheck, User
from tests.processes import Process, free_port

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def stored(settings: Any, service: Integration, private: Number, client: Client, alice: User) -> Integration:
    """A row in each model that has an encrypted field, encrypted with the old key, which alone is listed."""
    settings.ENCRYPTION_KEYS = [OLD]
    PropertyValues.objects.update(values={"API URL": "https://sms.example", "API key": "planted-key"})
    AccessToken.objects.create(integration=service, secrets={"access_token": "planted-token"})
    webhook = {
        "method": "message",
        "params": {"from": "+61412345678", "to": private.number, "content": "Hi"},
    }
    answer = client.post(service.account_webhook_url, json.dumps(webhook), content_type="application/json")
    assert answer.status_code == 200
    erasure.start(service.organization, "+61412345678", None)
    picture = SimpleUploadedFile("a.txt", b"words", "text/plain")
    message = submit(alice, private, "+61412345679", files=[picture, picture])  # only one is uploaded
    file = message.attachments.first()
    assert file is not None
    file.set_uploaded(service.pk, {"media_id": "planted-id"})
    file.save()
    Authenticator.objects.create(
        user=alice, type="totp", data={"secret": get_adapter().encrypt("PLANTEDSECRET"), "other": 1}
    )
    capture = Capture.objects.create(
        account=service.organization.account, template=service.template, author=alice
    )
    capture.requests.create(request={"text": "planted-request"})
    assert service.template.published is not None
    PastedSamples.objects.create(
        template=service.template,
        revision=service.template.published,
        fields={"request": ["planted-sample"]},
        saved_at=timezone.now(),
    )
    Device.objects.create(user=alice, digest="d", subscription={"auth": "planted-auth"}, name="Phone")
    push.public_key()
    organization = service.organization
    Receiver.objects.create(
        account=organization.account,
        organization=organization,
        url="https://x.example/",
        received=True,
        old_secret=b"whsec_planted",
    )
    imports.start(alice, "contacts", "planted.csv", b"planted-file")
    KeyCheck.objects.all().delete()
    keys.remember()
    for item in keys.encrypted_models():
        assert item.model._base_manager.exists(), f"Store a {item.name} here, so that its rotation is tested."
    return service


def contents() -> dict[str, Any]:
    """What is encrypted, as it is read."""
    return {
        f"{item.name}.{name}": list(item.model._base_manager.order_by("pk").values_list(name, flat=True))
        for item in keys.encrypted_models()
        for name in item.fields
        if item.model is not Authenticator
    } | {"totp": [get_adapter().decrypt(item.data["secret"]) for item in Authenticator.objects.all()]}


def run(command: str) -> str:
    out = StringIO()
    call_command(command, stdout=out)
    return out.getvalue()


def test_every_field_that_is_encrypted_is_found() -> None:
    assert [(item.name, item.fields) for item in keys.encrypted_models()] == [
        ("mfa.authenticator", ("secret", "seed")),
        ("integrations.propertyvalues", ("values",)),
        ("integrations.accesstoken", ("secrets",)),
        ("integrations.pastedsamples", ("fields",)),
        ("integrations.capturedrequest", ("request",)),
        ("messaging.receiver", ("secret", "old_secret")),
        ("messaging.attachment", ("uploaded",)),
        ("messaging.erasure", ("address",)),
        ("messaging.pushkey", ("private",)),
        ("messaging.device", ("subscription",)),
        ("messaging.webhookrequest", ("query", "headers", "body")),
        ("messaging.webhookevent", ("payload",)),
        ("messaging.transferpart", ("data",)),
        ("portal.keycheck", ("value",)),
    ]


def test_a_rotation_step_by_step(stored: Integration, settings: Any) -> None:
    before = contents()
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    with pytest.raises(CommandError, match=rf"Key 2 \({fingerprint(OLD)}\) is still needed"):
        run("check_keys")
    said = run("rotate_keys")
    assert "Encrypted again: 14 of them." in said
    assert contents() == before
    said += run("check_keys")
    assert f"Key 1 ({fingerprint(NEW)}), which encrypts: 14 rows" in said
    assert f"Key 2 ({fingerprint(OLD)}), old: 0 rows\n  It may be removed from the list." in said
    settings.ENCRYPTION_KEYS = [NEW]
    assert contents() == before
    keys.require()
    assert "Encrypted again: 0 of them." in run_with(settings, [NEW, OLD], "rotate_keys")
    for secret in (OLD, NEW, "planted"):
        assert secret not in said


def run_with(settings: Any, listed: list[str], command: str) -> str:
    settings.ENCRYPTION_KEYS = listed
    return run(command)


def test_the_counts_say_which_model_needs_which_key(stored: Integration, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    PropertyValues.objects.update(values={"API key": "another"})
    # One of three fields: the row needs both keys.
    WebhookRequest.objects.update(query=b"a=b")
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("check_keys", stdout=out)
    assert out.getvalue() == (
        f"Key 1 ({fingerprint(NEW)}), which encrypts: 2 rows "
        "(integrations.propertyvalues 1, messaging.webhookrequest 1)\n"
        f"Key 2 ({fingerprint(OLD)}), old: 13 rows (integrations.accesstoken 1, "
        "integrations.capturedrequest 1, integrations.pastedsamples 1, messaging.attachment 1, "
        "messaging.device 1, messaging.erasure 1, "
        "messaging.pushkey 1, messaging.receiver 1, messaging.transferpart 1, messaging.webhookevent 1, "
        "messaging.webhookrequest 1, mfa.authenticator 1, portal.keycheck 1)\n"
    )
    assert "Encrypted again: 13 of them." in run("rotate_keys")
    run("check_keys")


def test_what_no_key_decrypts_is_named_and_left_alone(stored: Integration, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    WebhookEvent.objects.update(payload={"lost": "key"})
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    lost = f"messaging.webhookevent {WebhookEvent.objects.defer('payload').get().pk}"
    with pytest.raises(CommandError, match=f"No key of the list decrypts {lost}"):
        run("check_keys")
    with pytest.raises(CommandError, match=f"1 rows cannot be decrypted with any key of the list: {lost}"):
        run("rotate_keys")
    assert dict(keys.needed().rows) == {
        (0, name): 1
        for name in [
            "integrations.accesstoken",
            "integrations.capturedrequest",
            "integrations.pastedsamples",
            "integrations.propertyvalues",
            "messaging.attachment",
            "messaging.device",
            "messaging.erasure",
            "messaging.pushkey",
            "messaging.receiver",
            "messaging.transferpart",
            "messaging.webhookrequest",
            "mfa.authenticator",
            "portal.keycheck",
        ]
    }


def test_a_lost_key_is_given_up(stored: Integration, settings: Any, alice: User) -> None:
    settings.ENCRYPTION_KEYS = [NEW]
    said = (
        "14 rows (mfa.authenticator 1, integrations.propertyvalues 1, integrations.accesstoken 1, "
        "integrations.pastedsamples 1, integrations.capturedrequest 1, messaging.receiver 1, messaging.attachment 1, messaging.erasure 1, "
        "messaging.pushkey 1, "
        "messaging.device 1, messaging.webhookrequest 1, messaging.webhookevent 1, "
        "messaging.transferpart 1, portal.keycheck 1)"
    )
    with pytest.raises(CommandError) as refused:
        run("give_up_keys")
    assert str(refused.value) == (
        f"No key of the list decrypts {said}. Nothing was changed. If the key is lost for ever, make a "
        "backup, then add --yes to delete them."
    )
    assert keys.needed().unreadable.total() == 14
    out = StringIO()
    call_command("give_up_keys", "--yes", stdout=out)
    assert out.getvalue().startswith("Given up: 14 rows (messaging.transferpart 1, messaging.webhookevent 1")
    keys.require()
    assert contents() == {
        "integrations.propertyvalues.values": [],
        "integrations.accesstoken.secrets": [],
        "integrations.pastedsamples.fields": [],
        "integrations.capturedrequest.request": [],
        "messaging.attachment.uploaded": [None, None],
        "messaging.device.subscription": [],
        "messaging.erasure.address": [""],
        "messaging.pushkey.private": [],
        "messaging.receiver.secret": [b""],
        "messaging.receiver.old_secret": [None],
        "messaging.transferpart.data": [],
        "messaging.webhookrequest.query": [],
        "messaging.webhookrequest.headers": [],
        "messaging.webhookrequest.body": [],
        "messaging.webhookevent.payload": [],
        "portal.keycheck.value": [b"patchbay"],
        "totp": [],
    }
    assert Integration.objects.get().own_values == {}
    pending = Erasure.objects.get()
    assert erasure.carry_out(pending.pk) is False  # of whom nobody knows
    assert Erasure.objects.get().finished_at is None
    assert (
        run("check_keys")
        == f"Key 1 ({fingerprint(NEW)}), which encrypts: 3 rows (messaging.erasure 1, messaging.receiver 1, portal.keycheck 1)\n"
    )
    assert run("give_up_keys") == "The keys of the list decrypt everything. Nothing was changed.\n"


def test_only_what_is_lost_is_given_up(stored: Integration, settings: Any) -> None:
    before = contents()
    settings.ENCRYPTION_KEYS = [NEW]
    WebhookRequest.objects.update(query=b"a=b")  # one field of three
    settings.ENCRYPTION_KEYS = [OLD]
    call_command("give_up_keys", "--yes", stdout=StringIO())
    after = contents()
    assert not WebhookRequest.objects.exists() and not WebhookEvent.objects.exists()
    assert {name: value for name, value in after.items() if "webhook" not in name} == {
        name: value for name, value in before.items() if "webhook" not in name
    }


def test_a_rotation_needs_two_keys(stored: Integration) -> None:
    with pytest.raises(CommandError, match=r"has a single key\. Put the new key in front of it"):
        run("rotate_keys")


def test_what_is_written_meanwhile_is_kept_and_rotated_too(stored: Integration, settings: Any) -> None:
    """Between the reading and the writing of a batch, a process that still has the old list changes a row."""
    settings.ENCRYPTION_KEYS = [OLD]
    changed, written = encrypt(b'{"API key": "changed meanwhile"}'), []
    settings.ENCRYPTION_KEYS = [NEW, OLD]

    def meanwhile(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not written and sql.startswith('UPDATE "integrations_propertyvalues"'):
            written.append(sql)
            with connection.cursor() as cursor:
                cursor.execute('UPDATE integrations_propertyvalues SET "values" = %s', [changed])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(meanwhile):
        run("rotate_keys")
    assert len(written) == 1
    assert PropertyValues.objects.get().values == {"API key": "changed meanwhile"}
    run("check_keys")


def test_an_interrupted_rotation_goes_on(stored: Integration, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [NEW, OLD]

    class Interrupted(Exception):
        pass

    def stop(name: str, seen: int, total: int) -> None:
        if name == "messaging.webhookrequest" and seen:
            raise Interrupted

    with pytest.raises(Interrupted):
        keys.rotate(stop)
    assert keys.needed().by(1) == {
        "messaging.transferpart": 1,
        "messaging.webhookevent": 1,
        "portal.keycheck": 1,
    }
    # The check value goes last: until then a process without the old key does not start.
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(ImproperlyConfigured, match="is not in PATCHBAY_ENCRYPTION_KEYS"):
        keys.require()
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert "Encrypted again: 3 of them." in run("rotate_keys")
    run("check_keys")


def test_the_work_grows_with_the_rows_and_no_faster(stored: Integration, settings: Any) -> None:
    """A batch is a statement to read, one to lock, and one for each row; rows that are done are only read."""
    request = WebhookRequest.objects.get()
    for _copy in range(99):
        request.pk = None
        request.save()
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    rows = sum(keys.needed().by(1).values())
    assert rows > 100
    statements: list[str] = []

    def count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append(sql.split()[0])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        keys.rotate(lambda *_: None)
    assert statements.count("UPDATE") == rows
    statements.clear()
    with connection.execute_wrapper(count):
        keys.rotate(lambda *_: None)
    assert set(statements) == {"SELECT"}


def test_a_database_without_a_check_value_is_asked_for_its_rows(stored: Integration, settings: Any) -> None:
    KeyCheck.objects.all().delete()
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(ImproperlyConfigured, match="is not in PATCHBAY_ENCRYPTION_KEYS"):
        keys.remember()
    assert KeyCheck.objects.count() == 0
    settings.ENCRYPTION_KEYS = [OLD]
    keys.remember()
    keys.remember()
    assert KeyCheck.objects.count() == 1


COMMANDS = {
    "serve": ["manage.py", "serve", "--port"],
    "install": ["manage.py", "install"],
    "web": ["-m", "granian", "--interface", "wsgi", "portal.wsgi:application", "--port"],
    "worker": ["-m", "celery", "-A", "portal", "worker", "--pool", "threads"],
    "beat": ["-m", "celery", "-A", "portal", "beat"],
}


def start(name: str, folder: Path, environment: dict[str, str]) -> Process:
    """Starts a process of an installation, which must end by itself, and not well."""
    command = COMMANDS[name]
    port = [str(free_port())] if command[-1] == "--port" else []
    environment = {"REDIS_URL": "redis://127.0.0.1:1"} | environment  # which nobody gets to ask
    process = Process([sys.executable, *command, *port], environment, folder / f"{name}.log")
    assert process.popen.wait(60) != 0 or name == "web", process.output
    return process


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of an installation with the old key."""
    folder = tmp_path_factory.mktemp("installed") / "data"
    environment = {"PATCHBAY_DATA": str(folder), "PATCHBAY_ENCRYPTION_KEYS": OLD}
    Process.manage("install", "-v0", environment=environment, log=folder.with_name("log")).finish()
    return folder


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("another", "Error: This database was encrypted with a key that is not in PATCHBAY_ENCRYPTION_KEYS."),
        ("unfit", "Key 1 of PATCHBAY_ENCRYPTION_KEYS is not 32 bytes in URL-safe base64."),
    ],
)
def test_a_wrong_key_is_one_sentence_at_the_start(
    installed: Path, tmp_path: Path, name: str, listed: str, said: str
) -> None:
    listed = NEW if listed == "another" else listed
    environment = {"PATCHBAY_DATA": str(installed), "PATCHBAY_ENCRYPTION_KEYS": listed}
    process = start(name, tmp_path, environment)
    assert process.output.count(said) == 1, process.output
    assert "Traceback" not in process.output
    assert listed not in process.output


@pytest.mark.parametrize("name", ["web", "worker", "beat", "install"])
def test_a_missing_key_is_one_sentence_at_the_start(tmp_path: Path, name: str) -> None:
    environment = {
        "PATCHBAY_DATA": str(tmp_path / "data"),
        "PATCHBAY_SECRET_KEY": "x" * 50,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    }
    process = start(name, tmp_path, environment)
    said = "Error: PATCHBAY_ENCRYPTION_KEYS (or PATCHBAY_ENCRYPTION_KEYS_FILE) must be set"
    assert process.output.count(said) == 1, process.output
    assert "Traceback" not in process.output


def test_a_key_is_made_before_there_is_any_setting(tmp_path: Path) -> None:
    environment = {"PATCHBAY_DATA": str(tmp_path / "data"), "DATABASE_URL": "postgresql://nobody@db/nothing"}
    process = Process.manage("new_key", environment=environment, log=tmp_path / "log")
    Fernet(process.finish().strip())
    assert not (tmp_path / "data").exists()


def test_second_factors_of_version_0_1_are_encrypted_by_the_rotation(
    stored: Integration, settings: Any
) -> None:
    Authenticator.objects.update(data={"secret": "PLAINTOTPSECRET", "other": 1})
    item = Authenticator.objects.get()
    assert get_adapter().decrypt(item.data["secret"]) == "PLAINTOTPSECRET"  # it still works
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    run("rotate_keys")
    item.refresh_from_db()
    assert "PLAINTOTPSECRET" not in json.dumps(item.data)
    settings.ENCRYPTION_KEYS = [NEW]
    assert (get_adapter().decrypt(item.data["secret"]), item.data["other"]) == ("PLAINTOTPSECRET", 1)
