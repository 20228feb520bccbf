from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("portal", "0008_lists")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="second_factor",
            field=models.CharField(
                choices=[("nobody", "nobody"), ("admins", "admins"), ("everybody", "everybody")],
                db_default="nobody",
                default="nobody",
                max_length=10,
                verbose_name="second factor required of",
            ),
        ),
    ]
