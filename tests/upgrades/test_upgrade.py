"""A database of each version before is brought up to date, and nothing is lost.

A file per version has the migrations that made its tables, and rows in all of them. It is never changed: what
became of a value since then stands in `MOVED`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django_migration_linter import MigrationLinter

from integrations.events import InboundMessage, from_json
from integrations.models import PropertyValues, TemplateRevision
from messaging.models import WebhookEvent
from portal.encryption import EncryptedBinaryField, decrypt
from tests.processes import ROOT

VERSIONS = sorted(Path(__file__).parent.glob("*.json"))

# "messaging.Message.text": "messaging.Message.body", or None for what was meant to go, with the reason.
MOVED: dict[str, str | None] = {}


@pytest.fixture
def empty_database(tmp_path: Path, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database without tables instead of that of the tests."""
    connection.close()
    server, name = os.environ.get("PATCHBAY_TEST_DATABASE_URL"), f"patchbay_{os.getpid()}"
    if server:
        with psycopg.connect(urlsplit(server)._replace(path="/postgres").geturl(), autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}"')
    monkeypatch.setitem(connection.settings_dict, "NAME", name if server else str(tmp_path / name))
    with django_db_blocker.unblock():
        yield
        connection.close()
    ContentType.objects.clear_cache()
    if server:
        with psycopg.connect(urlsplit(server)._replace(path="/postgres").geturl(), autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}"')


def fill(migrations: list[tuple[str, str]], rows: dict[str, list[dict[str, Any]]]) -> None:
    """Makes the tables of a version, and stores the rows in them as they are."""
    MigrationExecutor(connection).migrate(migrations)
    store(models_of(migrations), rows)


def models_of(migrations: list[tuple[str, str]]) -> list[type[models.Model]]:
    """The models as they were at these migrations."""
    state = MigrationExecutor(connection).loader.project_state(migrations).apps
    return [
        model
        for model in state.get_models(include_auto_created=True)
        if model._meta.app_label in dict(migrations) and not model._meta.proxy
    ]


def store(ours: list[type[models.Model]], rows: dict[str, list[dict[str, Any]]]) -> None:
    """Stores the rows as they are."""
    assert rows.keys() == {model._meta.label for model in ours}
    with transaction.atomic():
        for model in ours:
            for row in rows[model._meta.label]:
                assert row.keys() == {field.attname for field in model._meta.concrete_fields}
                model(**{name: as_python(model, name, value) for name, value in row.items()}).save_base(
                    raw=True
                )
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), ours):
            cursor.execute(statement)


def as_python(model: type[models.Model], name: str, value: Any) -> Any:
    """A value of the file as the model's field has it."""
    field = model._meta.get_field(name)
    if isinstance(field, EncryptedBinaryField):
        return value.encode()
    return field.to_python(value)


@pytest.mark.database
@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.stem)
def test_each_value_survives(empty_database: None, version: Path) -> None:
    old = json.loads(version.read_text())
    fill(list(old["migrations"].items()), old["rows"])
    call_command("install", verbosity=0)
    lost = []
    for label, rows in old["rows"].items():
        for row in rows:
            for name, value in row.items():
                place = MOVED.get(f"{label}.{name}", f"{label}.{name}")
                if place is None:
                    continue
                model, attribute = apps.get_model(place.rpartition(".")[0]), place.rpartition(".")[2]
                expected = as_python(model, attribute, value)
                stored = model.objects.filter(pk=row["id"]).values_list(attribute, flat=True)
                if list(stored) != [expected]:
                    lost.append((place, row["id"], expected, list(stored)))
    assert lost == []
    event = from_json(WebhookEvent.objects.get(pk=1).payload)
    assert isinstance(event, InboundMessage)
    assert (event.sender, event.recipients, event.text) == ("+61412345678", ("+61855555501",), "hours")
    assert TemplateRevision.objects.get(pk=2).compiled.name == "Acme SMS"
    assert PropertyValues.objects.exists() and not PropertyValues.objects.filter(blank=None).exists()


@pytest.mark.database
@pytest.mark.parametrize("version", VERSIONS[-1:], ids=lambda path: path.stem)
def test_the_version_before_works_on_the_new_tables(empty_database: None, version: Path) -> None:
    """While the new version is rolled out, and after it is taken back, the old one writes and reads."""
    old = json.loads(version.read_text())
    call_command("migrate", verbosity=0)
    before = models_of(list(old["migrations"].items()))
    store(before, old["rows"])
    for model in before:
        stored = {row.pk: row for row in model._default_manager.all()}
        for row in old["rows"][model._meta.label]:
            found = {name: getattr(stored[row["id"]], name) for name in row}
            assert found == {name: as_python(model, name, value) for name, value in row.items()}


@pytest.mark.django_db
def test_migrations_are_safe_on_a_running_system() -> None:
    """Since 0.1.0 none drops, renames or locks what the version before uses."""
    if connection.vendor == "sqlite":
        pytest.skip("One process at a time has an SQLite database: none runs while it is migrated.")
    linter = MigrationLinter(
        str(ROOT),
        include_apps=["portal", "integrations", "messaging"],
        # They widen columns, which PostgreSQL only notes in its catalogue; the test above covers what they add.
        ignore_name=["0004_addresses_and_keywords", "0018_group_addresses"],
        ignore_initial_migrations=True,
        no_cache=True,
    )
    linter.lint_all_migrations()
    assert linter.nb_total >= 3
    assert not linter.has_errors  # it has printed them


def test_what_was_encrypted_still_opens() -> None:
    assert (
        decrypt(
            b"gAAAAABrB20E9OWNkzQ5LFShZ8xY-0eHLIhjTqW2VtqN5sLDBBdyQRrdVSyLBbpVY7co_92T4Au-qQdWQpGhqtlNN-qcrbIqNDDvRluHnwYN5DVcSkifc0I="
        )
        == b'{"API key": "key-1"}'
    )
