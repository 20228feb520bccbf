import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import messaging.numbers
import portal.encryption
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('integrations', '0001_initial'),
        ('portal', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ServiceHealth',
            fields=[
            ],
            options={
                'verbose_name': 'health of a service',
                'verbose_name_plural': 'health of services',
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('integrations.integration',),
        ),
        migrations.CreateModel(
            name='Assignment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='assignments', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'user of a number',
                'verbose_name_plural': 'users of numbers',
            },
        ),
        migrations.CreateModel(
            name='Contact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.CharField(max_length=20, verbose_name='number')),
                ('name', models.CharField(blank=True, max_length=120, verbose_name='name')),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='contacts', to='portal.organization')),
            ],
            options={
                'verbose_name': 'contact',
                'verbose_name_plural': 'contacts',
            },
        ),
        migrations.CreateModel(
            name='Conversation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('last_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='last message')),
                ('private_until', models.DateTimeField(blank=True, null=True)),
                ('contact', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='conversations', to='messaging.contact')),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='conversations', to='portal.organization')),
                ('private_to', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'conversation',
                'verbose_name_plural': 'conversations',
            },
        ),
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('direction', models.CharField(choices=[('out', 'sent'), ('in', 'received')], max_length=3, verbose_name='direction')),
                ('text', models.TextField(blank=True, verbose_name='text')),
                ('automatic', models.CharField(blank=True, max_length=60)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created')),
                ('changed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='changed')),
                ('status', models.SmallIntegerField(choices=[(0, 'queued'), (10, 'sending'), (20, 'unknown'), (30, 'sent'), (40, 'failed'), (50, 'delivered'), (60, 'read')], default=0, verbose_name='status')),
                ('status_code', models.CharField(blank=True, max_length=60, verbose_name='code')),
                ('status_text', models.CharField(blank=True, max_length=500, verbose_name='reason')),
                ('queue_state', models.SmallIntegerField(choices=[(0, 'waiting'), (1, 'claimed'), (2, 'done')], default=0, verbose_name='queue')),
                ('next_attempt_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='next attempt')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('fence', models.PositiveIntegerField(default=0)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('author', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='author')),
                ('conversation', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='messaging.conversation')),
                ('integration', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='integrations.integration', verbose_name='service')),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='portal.organization')),
                ('resend_of', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='resent_as', to='messaging.message')),
            ],
            options={
                'verbose_name': 'message',
                'verbose_name_plural': 'messages',
            },
        ),
        migrations.CreateModel(
            name='DeliveryAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('part', models.PositiveSmallIntegerField(default=1, verbose_name='part')),
                ('parts', models.PositiveSmallIntegerField(default=1, verbose_name='parts')),
                ('fence', models.PositiveIntegerField()),
                ('started_at', models.DateTimeField(verbose_name='started')),
                ('milliseconds', models.PositiveIntegerField(default=0, verbose_name='took ms')),
                ('method', models.CharField(blank=True, max_length=8)),
                ('url', models.TextField(blank=True)),
                ('headers', models.JSONField(default=dict)),
                ('body', models.TextField(blank=True)),
                ('answer_status', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('answer_headers', models.JSONField(default=dict)),
                ('answer_body', models.TextField(blank=True)),
                ('result', models.CharField(max_length=14, verbose_name='result')),
                ('code', models.CharField(blank=True, max_length=60)),
                ('text', models.CharField(blank=True, max_length=500, verbose_name='in words')),
                ('provider_id', models.CharField(blank=True, max_length=200, verbose_name="provider's id")),
                ('status', models.SmallIntegerField(choices=[(0, 'queued'), (10, 'sending'), (20, 'unknown'), (30, 'sent'), (40, 'failed'), (50, 'delivered'), (60, 'read')], verbose_name='status of the part')),
                ('integration', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='integrations.integration')),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portal.organization')),
                ('message', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='delivery_attempts', to='messaging.message')),
            ],
            options={
                'verbose_name': 'delivery attempt',
                'verbose_name_plural': 'delivery attempts',
                'ordering': ['id'],
            },
        ),
        migrations.AddField(
            model_name='conversation',
            name='last_message',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='messaging.message'),
        ),
        migrations.CreateModel(
            name='Attachment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('file', models.FileField(blank=True, max_length=200, upload_to='')),
                ('content_type', models.CharField(blank=True, max_length=100)),
                ('name', models.CharField(blank=True, max_length=200)),
                ('size', models.PositiveIntegerField(default=0)),
                ('state', models.CharField(choices=[('waiting', 'being fetched'), ('kept', 'kept'), ('failed', 'not fetched')], default='kept', max_length=10)),
                ('problem', models.CharField(blank=True, max_length=500)),
                ('source_url', models.TextField(blank=True)),
                ('with_auth', models.BooleanField(default=False)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='attachments', to='messaging.message')),
            ],
            options={
                'verbose_name': 'file',
                'verbose_name_plural': 'files',
                'ordering': ['position', 'id'],
            },
        ),
        migrations.CreateModel(
            name='Number',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.CharField(help_text="Like +61 8 5555 5555, a short code, or a sender's name.", max_length=20, verbose_name='number')),
                ('kind', models.CharField(choices=[('e164', 'phone number'), ('short', 'short code'), ('name', "sender's name")], editable=False, max_length=10, verbose_name='kind')),
                ('country', models.CharField(blank=True, choices=messaging.numbers.countries, help_text='Numbers without a country code are read as numbers of this country.', max_length=2, verbose_name='country')),
                ('display_name', models.CharField(blank=True, max_length=120, verbose_name='display name')),
                ('inbound_format', models.CharField(choices=[('e164', '+61855555555'), ('intl', '61855555555 (without +)'), ('national', '855555555 (national)'), ('national0', '0855555555 (national, as dialled)')], default='e164', help_text='How webhooks spell this number as the recipient.', max_length=10, verbose_name='how the service writes it')),
                ('outbound_format', models.CharField(choices=[('e164', '+61855555555'), ('intl', '61855555555 (without +)'), ('national', '855555555 (national)'), ('national0', '0855555555 (national, as dialled)')], default='e164', help_text='How this number is written as the sender.', max_length=10, verbose_name='how it is sent')),
                ('spelling', models.CharField(editable=False, max_length=20)),
                ('sticky_hours', models.PositiveSmallIntegerField(default=0, help_text='On a number of several users: how long an answer stays with the one who began the conversation. 0: everybody sees it at once. At most 720 (30 days).', validators=[django.core.validators.MaxValueValidator(720)], verbose_name='session stickiness in hours')),
                ('header', models.CharField(blank=True, help_text='Stands above every message that is sent.', max_length=160, verbose_name='header')),
                ('footer', models.CharField(blank=True, help_text='Stands below every message that is sent.', max_length=160, verbose_name='footer')),
                ('opt_out_keyword', models.CharField(blank=True, help_text='A word of your own, besides STOP.', max_length=20, verbose_name='opt-out keyword')),
                ('opt_out_answer', models.CharField(blank=True, help_text='Empty: a sensible default.', max_length=480, verbose_name='answer to STOP')),
                ('help_answer', models.CharField(blank=True, help_text='Empty: a sensible default.', max_length=480, verbose_name='answer to HELP')),
                ('active', models.BooleanField(default=True, help_text='Untick when the number has moved away; its conversations stay.', verbose_name='active')),
                ('free_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='added')),
                ('account', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='numbers', to='portal.account', verbose_name='account')),
                ('integration', models.ForeignKey(blank=True, help_text='The service that carries what is sent from this number.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='numbers', to='integrations.integration', verbose_name='sends through')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='numbers', to='portal.organization', verbose_name='organization')),
                ('users', models.ManyToManyField(related_name='numbers', through='messaging.Assignment', to=settings.AUTH_USER_MODEL, verbose_name='users')),
            ],
            options={
                'verbose_name': 'number',
                'verbose_name_plural': 'numbers',
                'ordering': ['number'],
            },
        ),
        migrations.AddField(
            model_name='conversation',
            name='number',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='conversations', to='messaging.number'),
        ),
        migrations.CreateModel(
            name='AutoReply',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('keyword', models.CharField(help_text='The whole message, in any case of letters; * is the first.', max_length=40, verbose_name='keyword')),
                ('text', models.CharField(max_length=480, verbose_name='answer')),
                ('number', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='auto_replies', to='messaging.number')),
            ],
            options={
                'verbose_name': 'auto-reply',
                'verbose_name_plural': 'auto-replies',
                'ordering': ['keyword'],
            },
        ),
        migrations.AddField(
            model_name='assignment',
            name='number',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='assignments', to='messaging.number'),
        ),
        migrations.CreateModel(
            name='OptOut',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.CharField(max_length=20, verbose_name='contact')),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='since')),
                ('number', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='opt_outs', to='messaging.number')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='opt_outs', to='portal.organization')),
            ],
            options={
                'verbose_name': 'opt-out',
                'verbose_name_plural': 'opt-outs',
            },
        ),
        migrations.CreateModel(
            name='Reading',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('read_to', models.BigIntegerField(default=0)),
                ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='readings', to='messaging.conversation')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='WebhookRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='received')),
                ('owner', models.CharField(blank=True, max_length=20)),
                ('ip', models.CharField(blank=True, max_length=45, verbose_name='caller')),
                ('method', models.CharField(max_length=8, verbose_name='method')),
                ('path', models.CharField(blank=True, max_length=200, verbose_name='path')),
                ('query', portal.encryption.EncryptedBinaryField()),
                ('headers', portal.encryption.EncryptedJSONField()),
                ('body', portal.encryption.EncryptedBinaryField()),
                ('digest', models.CharField(max_length=64)),
                ('verdict', models.CharField(choices=[('accepted', 'accepted'), ('duplicate', 'duplicate'), ('ignored', 'ignored'), ('unmatched', 'unmatched'), ('unknown_number', 'unknown number'), ('disabled', 'integration disabled'), ('unparsable', 'unreadable'), ('unverified', 'bad signature')], max_length=16, verbose_name='verdict')),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
                ('tried', models.JSONField(default=list)),
                ('answer_status', models.PositiveSmallIntegerField(verbose_name='answer')),
                ('answer_headers', models.JSONField(default=dict)),
                ('answer_body', models.TextField(blank=True)),
                ('more', models.PositiveIntegerField(default=0, verbose_name='more like it')),
                ('replayed_at', models.DateTimeField(blank=True, null=True, verbose_name='read again')),
                ('account', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='webhook_requests', to='portal.account')),
                ('integration', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='integrations.integration')),
                ('organization', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='webhook_requests', to='portal.organization')),
                ('template', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='integrations.template', verbose_name='service')),
            ],
            options={
                'verbose_name': 'webhook request',
                'verbose_name_plural': 'webhook requests',
            },
        ),
        migrations.CreateModel(
            name='WebhookEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('type', models.CharField(max_length=10, verbose_name='event')),
                ('payload', portal.encryption.EncryptedJSONField()),
                ('provider_id', models.CharField(blank=True, max_length=200, verbose_name="provider's id")),
                ('key', models.CharField(blank=True, max_length=64, null=True)),
                ('part_of', models.CharField(blank=True, max_length=64)),
                ('message_uuid', models.UUIDField(default=uuid.uuid4)),
                ('consent', models.CharField(blank=True, db_default='', default='', max_length=10)),
                ('state', models.CharField(choices=[('waiting', 'to be filed'), ('done', 'filed'), ('orphan', 'waits for its message'), ('part', 'waits for the other parts'), ('failed', 'could not be filed')], default='waiting', max_length=10, verbose_name='state')),
                ('reason', models.CharField(blank=True, max_length=500, verbose_name='reason')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='received')),
                ('integration', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='integrations.integration')),
                ('message', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='webhook_events', to='messaging.message')),
                ('number', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.number')),
                ('organization', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='webhook_events', to='portal.organization')),
                ('request', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='messaging.webhookrequest')),
            ],
            options={
                'verbose_name': 'webhook event',
                'verbose_name_plural': 'webhook events',
            },
        ),
        migrations.CreateModel(
            name='BulkResend',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('wanted', models.JSONField(default=list)),
                ('done', models.PositiveIntegerField(default=0)),
                ('sent', models.PositiveIntegerField(default=0)),
                ('refused', models.JSONField(default=list)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='started')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
                ('author', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'resending of many',
                'verbose_name_plural': 'resendings of many',
                'indexes': [models.Index(condition=models.Q(('finished_at__isnull', True)), fields=['id'], name='bulk_resend_waiting')],
            },
        ),
        migrations.AddIndex(
            model_name='contact',
            index=models.Index(fields=['address'], name='contact_address'),
        ),
        migrations.AddConstraint(
            model_name='contact',
            constraint=models.UniqueConstraint(fields=('organization', 'address'), name='contact_once'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('queue_state', 0)), fields=['next_attempt_at'], name='message_any_due'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('queue_state', 0)), fields=['integration', 'next_attempt_at', 'id'], name='message_due_of'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('queue_state', 1)), fields=['lease_until'], name='message_leases'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('queue_state', 1)), fields=['conversation'], name='message_in_flight'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['conversation', '-id'], name='message_thread'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['organization', '-id'], name='message_log'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('status__in', [20, 40])), fields=['organization', '-id'], name='message_not_sent'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['created_at'], name='message_age'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('direction', 'out'), models.Q(('automatic', ''), _negated=True)), fields=['conversation', 'created_at'], name='message_automatic'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('author__isnull', False)), fields=['author', 'created_at'], name='message_of_author'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('direction', 'out')), fields=['organization', 'created_at'], name='message_sent_by'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', [0, 10, 20, 30, 40, 50, 60])), name='message_status'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('lease_until__isnull', False), ('queue_state', 1)), models.Q(('queue_state', 1), _negated=True), _connector='OR'), name='message_lease'),
        ),
        migrations.AddIndex(
            model_name='deliveryattempt',
            index=models.Index(condition=models.Q(('provider_id', ''), _negated=True), fields=['provider_id', 'integration'], name='attempt_of_provider_id'),
        ),
        migrations.AddIndex(
            model_name='deliveryattempt',
            index=models.Index(fields=['started_at'], name='attempt_age'),
        ),
        migrations.AddIndex(
            model_name='deliveryattempt',
            index=models.Index(fields=['integration', 'started_at'], name='attempt_of_service'),
        ),
        migrations.AddIndex(
            model_name='deliveryattempt',
            index=models.Index(fields=['organization', '-id'], name='attempt_log'),
        ),
        migrations.AddIndex(
            model_name='deliveryattempt',
            index=models.Index(condition=models.Q(('result', 'sent'), _negated=True), fields=['organization', '-id'], name='attempt_not_sent'),
        ),
        migrations.AddConstraint(
            model_name='deliveryattempt',
            constraint=models.UniqueConstraint(fields=('message', 'fence', 'part'), name='attempt_once'),
        ),
        migrations.AddConstraint(
            model_name='deliveryattempt',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', [0, 10, 20, 30, 40, 50, 60])), name='attempt_status'),
        ),
        migrations.AddIndex(
            model_name='attachment',
            index=models.Index(condition=models.Q(('state', 'waiting')), fields=['next_attempt_at'], name='attachment_due'),
        ),
        migrations.AddIndex(
            model_name='number',
            index=models.Index(condition=models.Q(('active', True)), fields=['account', 'spelling'], name='number_spelling'),
        ),
        migrations.AddConstraint(
            model_name='number',
            constraint=models.UniqueConstraint(condition=models.Q(('active', True), models.Q(('kind', 'name'), _negated=True)), fields=('account', 'number'), name='number_one_active_owner', violation_error_message='An organization of this account uses the number already.'),
        ),
        migrations.AddConstraint(
            model_name='number',
            constraint=models.UniqueConstraint(condition=models.Q(('active', True), ('kind', 'name')), fields=('organization', 'number'), name='name_once_per_organization', violation_error_message='The organization has this sender already.'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(fields=['number', '-last_at'], name='conversation_recent'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('private_to__isnull', False)), fields=['private_to'], name='conversation_private'),
        ),
        migrations.AddConstraint(
            model_name='conversation',
            constraint=models.UniqueConstraint(fields=('number', 'contact'), name='conversation_once'),
        ),
        migrations.AddConstraint(
            model_name='autoreply',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('keyword'), models.F('number'), name='auto_reply_once', violation_error_message='There is an answer to this keyword already.'),
        ),
        migrations.AddConstraint(
            model_name='assignment',
            constraint=models.UniqueConstraint(fields=('number', 'user'), name='assignment_once'),
        ),
        migrations.AddConstraint(
            model_name='optout',
            constraint=models.UniqueConstraint(fields=('number', 'address'), name='opt_out_once'),
        ),
        migrations.AddConstraint(
            model_name='reading',
            constraint=models.UniqueConstraint(fields=('conversation', 'user'), name='reading_once'),
        ),
        migrations.AddIndex(
            model_name='webhookrequest',
            index=models.Index(fields=['account', '-id'], name='webhook_log'),
        ),
        migrations.AddIndex(
            model_name='webhookrequest',
            index=models.Index(fields=['organization', '-id'], name='webhook_org_log'),
        ),
        migrations.AddIndex(
            model_name='webhookrequest',
            index=models.Index(fields=['integration', '-id'], name='webhook_of_service'),
        ),
        migrations.AddIndex(
            model_name='webhookrequest',
            index=models.Index(fields=['digest', 'received_at'], name='webhook_digest'),
        ),
        migrations.AddIndex(
            model_name='webhookrequest',
            index=models.Index(fields=['received_at'], name='webhook_age'),
        ),
        migrations.AddIndex(
            model_name='webhookrequest',
            index=models.Index(condition=models.Q(('verdict__in', ['unmatched', 'unknown_number', 'disabled', 'unparsable'])), fields=['account', '-id'], name='webhook_quarantine'),
        ),
        migrations.AddIndex(
            model_name='webhookrequest',
            index=models.Index(condition=models.Q(('verdict__in', ['unmatched', 'unknown_number', 'disabled', 'unparsable'])), fields=['organization', '-id'], name='webhook_org_quarantine'),
        ),
        migrations.AddIndex(
            model_name='webhookrequest',
            index=models.Index(condition=models.Q(('verdict', 'unverified')), fields=['account', 'template', '-received_at'], name='webhook_unverified'),
        ),
        migrations.AddIndex(
            model_name='webhookevent',
            index=models.Index(condition=models.Q(('state', 'waiting')), fields=['id'], name='event_waiting'),
        ),
        migrations.AddIndex(
            model_name='webhookevent',
            index=models.Index(condition=models.Q(('state', 'orphan')), fields=['provider_id'], name='event_orphan'),
        ),
        migrations.AddIndex(
            model_name='webhookevent',
            index=models.Index(condition=models.Q(('provider_id', ''), _negated=True), fields=['provider_id'], name='event_provider_id'),
        ),
        migrations.AddIndex(
            model_name='webhookevent',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['request'], name='event_failed'),
        ),
        migrations.AddIndex(
            model_name='webhookevent',
            index=models.Index(condition=models.Q(('state', 'part')), fields=['part_of'], name='event_part'),
        ),
        migrations.AddIndex(
            model_name='webhookevent',
            index=models.Index(condition=models.Q(('state', 'part')), fields=['created_at'], name='event_part_age'),
        ),
        migrations.AddConstraint(
            model_name='webhookevent',
            constraint=models.UniqueConstraint(fields=('key',), name='event_key'),
        ),
    ]
