import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from portal.database.online import AddCheckOnline


class Migration(migrations.Migration):

    # The check reads the table while others write. It comes first: if it is broken off, all begins anew.
    atomic = False

    dependencies = [
        ('integrations', '0011_published_at'),
        ('messaging', '0011_lists'),
        ('portal', '0008_lists'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # The check is dropped and made anew at once, so that it can be repeated.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveConstraint(model_name='message', name='message_status')],
        ),
        AddCheckOnline(
            model_name='message',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', [0, 10, 20, 30, 40, 50, 60, 70])), name='message_status'),
        ),
        migrations.CreateModel(
            name='CannedReply',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, verbose_name='name')),
                ('text', models.TextField(max_length=1600, verbose_name='text')),
            ],
            options={
                'verbose_name': 'canned reply',
                'verbose_name_plural': 'canned replies',
                'ordering': ['name', 'id'],
            },
        ),
        migrations.CreateModel(
            name='Draft',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField()),
                ('changed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='WritingChoices',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='writing_choices', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('undo_seconds', models.PositiveSmallIntegerField(default=5, verbose_name='Undo')),
                ('signature', models.CharField(blank=True, max_length=100, verbose_name='Signature')),
            ],
        ),
        migrations.AddField(
            model_name='message',
            name='send_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='to be sent'),
        ),
        migrations.AlterField(
            model_name='deliveryattempt',
            name='status',
            field=models.SmallIntegerField(choices=[(0, 'queued'), (10, 'sending'), (20, 'unknown'), (30, 'sent'), (40, 'failed'), (50, 'delivered'), (60, 'read'), (70, 'canceled')], verbose_name='status of the part'),
        ),
        migrations.AlterField(
            model_name='message',
            name='status',
            field=models.SmallIntegerField(choices=[(0, 'queued'), (10, 'sending'), (20, 'unknown'), (30, 'sent'), (40, 'failed'), (50, 'delivered'), (60, 'read'), (70, 'canceled')], default=0, verbose_name='status'),
        ),
        migrations.AddField(
            model_name='cannedreply',
            name='number',
            field=models.ForeignKey(blank=True, help_text='Leave empty for all numbers of the organization.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='canned_replies', to='messaging.number', verbose_name='number'),
        ),
        migrations.AddField(
            model_name='cannedreply',
            name='organization',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='canned_replies', to='portal.organization', verbose_name='organization'),
        ),
        migrations.AddField(
            model_name='cannedreply',
            name='owner',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='draft',
            name='conversation',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='drafts', to='messaging.conversation'),
        ),
        migrations.AddField(
            model_name='draft',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='draft',
            constraint=models.UniqueConstraint(fields=('conversation', 'user'), name='draft_once'),
        ),
    ]
