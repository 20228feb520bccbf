import django.db.models.deletion
import portal.encryption
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('portal', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Integration',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('enabled', models.BooleanField(default=True, verbose_name='enabled')),
                ('trouble', models.CharField(blank=True, editable=False, max_length=500, verbose_name='trouble')),
                ('trouble_since', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='trouble since')),
                ('failures', models.PositiveSmallIntegerField(default=0, editable=False)),
                ('paused_until', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='paused until')),
                ('pause_seconds', models.PositiveIntegerField(default=0, editable=False)),
                ('tell_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('last_sent_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='last sent')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='integrations', to='portal.organization', verbose_name='organization')),
            ],
            options={
                'verbose_name': 'integration',
                'verbose_name_plural': 'integrations',
                'ordering': ['template__name'],
            },
        ),
        migrations.CreateModel(
            name='AccessToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('secrets', portal.encryption.EncryptedJSONField(default=dict)),
                ('granted_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField(null=True)),
                ('renew_at', models.DateTimeField(db_index=True, null=True)),
                ('lease_until', models.DateTimeField(null=True)),
                ('fence', models.PositiveIntegerField(default=0)),
                ('refused_at', models.DateTimeField(null=True)),
                ('integration', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='access_token', to='integrations.integration')),
            ],
        ),
        migrations.CreateModel(
            name='Template',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('service_id', models.CharField(editable=False, max_length=64, verbose_name='service id')),
                ('name', models.CharField(editable=False, max_length=200, verbose_name='name')),
                ('logo', models.FileField(blank=True, editable=False, upload_to='logos', verbose_name='logo')),
                ('account', models.ForeignKey(blank=True, help_text='Empty: built in, visible to all accounts.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='templates', to='portal.account', verbose_name='account')),
            ],
            options={
                'verbose_name': 'template',
                'verbose_name_plural': 'templates',
                'ordering': ['name'],
            },
        ),
        migrations.AddField(
            model_name='integration',
            name='template',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='integrations', to='integrations.template', verbose_name='service'),
        ),
        migrations.CreateModel(
            name='TemplateRevision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(verbose_name='number')),
                ('source', models.TextField(verbose_name='document')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('author', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='author')),
                ('template', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='revisions', to='integrations.template', verbose_name='template')),
            ],
            options={
                'verbose_name': 'revision',
                'verbose_name_plural': 'revisions',
                'ordering': ['-number'],
            },
        ),
        migrations.AddField(
            model_name='template',
            name='published',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='integrations.templaterevision', verbose_name='published revision'),
        ),
        migrations.AddField(
            model_name='integration',
            name='revision',
            field=models.ForeignKey(blank=True, help_text='Empty: always the published revision.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='integrations.templaterevision', verbose_name='pinned revision'),
        ),
        migrations.CreateModel(
            name='PropertyValues',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('values', portal.encryption.EncryptedJSONField(default=dict)),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('free_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('account', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='portal.account')),
                ('integration', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='values_row', to='integrations.integration')),
                ('template', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='integrations.template')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('account__isnull', True), ('integration__isnull', False), ('template__isnull', True)), models.Q(('account__isnull', False), ('integration__isnull', True), ('template__isnull', False)), _connector='OR'), name='values_of_one_owner'), models.UniqueConstraint(fields=('account', 'template'), name='values_of_account')],
            },
        ),
        migrations.AddConstraint(
            model_name='templaterevision',
            constraint=models.UniqueConstraint(fields=('template', 'number'), name='revision_number'),
        ),
        migrations.AddConstraint(
            model_name='template',
            constraint=models.UniqueConstraint(condition=models.Q(('account__isnull', False)), fields=('account', 'service_id'), name='template_of_account'),
        ),
        migrations.AddConstraint(
            model_name='template',
            constraint=models.UniqueConstraint(condition=models.Q(('account__isnull', True)), fields=('service_id',), name='template_built_in'),
        ),
        migrations.AddIndex(
            model_name='integration',
            index=models.Index(condition=models.Q(('tell_at__isnull', False)), fields=['tell_at'], name='integration_tell'),
        ),
        migrations.AddConstraint(
            model_name='integration',
            constraint=models.UniqueConstraint(fields=('organization', 'template'), name='integration_once', violation_error_message='This service is set up for the organization already.'),
        ),
    ]
