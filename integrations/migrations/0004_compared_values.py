import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0003_hold_secrets"),
        ("portal", "0002_wording"),
    ]

    operations = [
        migrations.AddField(
            model_name="propertyvalues",
            name="blank",
            field=models.BooleanField(editable=False, null=True),
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
    ]
