from django.db import migrations, models
from django.db.models import F, Q


def mark(apps, schema_editor):
    """Up to version 0.1, what was saved was published at once; drafts came later."""
    revisions = apps.get_model("integrations", "TemplateRevision").objects.using(schema_editor.connection.alias)
    pinned = apps.get_model("integrations", "Integration").objects.using(schema_editor.connection.alias)
    used = Q(number__lte=F("template__published__number")) | Q(
        pk__in=pinned.exclude(revision=None).values("revision")
    )
    revisions.filter(used).update(published_at=F("created_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0010_self_test"),
    ]

    operations = [
        migrations.AddField(
            model_name="templaterevision",
            name="published_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="published"),
        ),
        migrations.RunPython(mark, migrations.RunPython.noop, elidable=True),
    ]
