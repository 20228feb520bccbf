from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0016_snoozes")]

    operations = [
        migrations.AddField(
            model_name="alert", name="mailed", field=models.JSONField(default=list, db_default=[])
        ),
        migrations.AddField(
            model_name="noticechoices", name="mailed_apart", field=models.JSONField(default=dict, db_default={})
        ),
    ]
