import django.db.models.deletion
import portal.encryption
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0011_published_at'),
    ]

    operations = [
        migrations.CreateModel(
            name='PastedSamples',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fields', portal.encryption.EncryptedJSONField()),
                ('saved_at', models.DateTimeField()),
                ('revision', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='integrations.templaterevision')),
                ('template', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='pasted', to='integrations.template')),
            ],
            options={
                'verbose_name': 'pasted samples',
                'verbose_name_plural': 'pasted samples',
                'indexes': [models.Index(fields=['saved_at'], name='pasted_samples_saved')],
            },
        ),
    ]
