import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from portal.database.online import AddDependency, AddIndexOnline
from portal.database.text_search import AddTextSearch


class Migration(migrations.Migration):

    # The indexes are made while others write. They come first: if one is broken off, all begins anew.
    atomic = False

    dependencies = [
        ('integrations', '0010_self_test'),
        ('messaging', "0010_contacts"),
        ('portal', "0008_lists"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddTextSearch('message', 'text'),
        AddDependency('message', 'message_whose', ['organization_id', 'integration_id', 'author_id']),
        AddIndexOnline(
            model_name='message',
            index=models.Index(fields=['integration', '-id'], name='message_of_service'),
        ),
        AddIndexOnline(
            model_name='deliveryattempt',
            index=models.Index(condition=models.Q(('answer_status__gte', 300)), fields=['organization', 'answer_status', '-id'], name='attempt_answered_no'),
        ),
        migrations.AddField(
            model_name='webhookrequest',
            name='about',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portal.organization'),
        ),
        migrations.AddField(
            model_name='webhookrequest',
            name='cleared_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='cleared'),
        ),
        migrations.AddField(
            model_name='webhookrequest',
            name='cleared_reason',
            field=models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='why it was cleared'),
        ),
        AddIndexOnline(
            model_name='webhookrequest',
            index=models.Index(condition=models.Q(('about__isnull', False)), fields=['about', '-id'], name='webhook_about'),
        ),
    ]
