from __future__ import annotations

from functools import cache
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from integrations.compared_values import digests_of
from integrations.language.document import Template, compile_document
from integrations.language.errors import DocumentError
from portal.encryption import WrongKey


def fill(apps: Any, schema_editor: Any) -> None:
    """Finds out which values are blank, and keeps those that webhooks carry.

    What cannot be decrypted or compiled any more is left out: its keys are tried last.
    """
    rows = apps.get_model("integrations", "PropertyValues").objects
    compared = apps.get_model("integrations", "ComparedValue").objects
    integrations = apps.get_model("integrations", "Integration").objects
    sources = apps.get_model("integrations", "TemplateRevision").objects

    @cache
    def documents(keys: frozenset[int]) -> list[Template]:
        found = []
        for source in sources.filter(pk__in=keys).values_list("source", flat=True):
            try:
                found.append(compile_document(source, stored=True))
            except DocumentError:
                continue
        return found

    @cache
    def values_of(pk: int) -> dict[str, Any] | None:
        try:
            return dict(rows.values_list("values", flat=True).get(pk=pk))
        except WrongKey:
            return None

    shared = {(account, template): pk for pk, account, template in rows.exclude(account=None).values_list(
        "pk", "account", "template"
    )}  # fmt: skip
    used = rows.values_list(
        "pk", "account", "template", "template__published", "integration__revision",
        "integration__organization__account", "integration__template", "integration__template__published",
    )  # fmt: skip
    for pk, account, template, published, pinned, of, uses, current in list(used):
        values = values_of(pk)
        if values is None:
            continue
        if not values:
            rows.filter(pk=pk).update(blank=True)
            continue
        if account is not None:
            others = integrations.filter(template=template, organization__account=account)
            revisions = {published, *others.values_list("revision", flat=True)}
        else:
            account, template, revisions = of, uses, {pinned or current}
            inherited = shared.get((account, template))
            values = {**((values_of(inherited) if inherited else None) or {}), **values}
        for digest in digests_of(values, documents(frozenset(revisions - {None}))):
            compared.create(values_id=pk, account_id=account, template_id=template, digest=digest)


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0003_hold_secrets"),
        ("portal", "0002_wording"),
    ]

    operations = [
        migrations.AddField(
            model_name="propertyvalues",
            name="blank",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.CreateModel(
            name="ComparedValue",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="portal.account",
                    ),
                ),
                (
                    "template",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="integrations.template",
                    ),
                ),
                (
                    "values",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="compared",
                        to="integrations.propertyvalues",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["account", "template", "digest"], name="compared_value")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("values", "digest"), name="compared_value_once")
                ],
            },
        ),
        # Apart from the table, or PostgreSQL cannot change what has pending triggers.
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
