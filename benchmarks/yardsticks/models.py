"""The only table of the Django pipelines."""

from django.db import models


class Message(models.Model):
    """A text, out or in."""

    direction = models.CharField(max_length=3)
    sender = models.CharField(max_length=20)
    recipient = models.CharField(max_length=20)
    text = models.TextField()
    status = models.CharField(max_length=10)
    provider_id = models.CharField(max_length=80, blank=True, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "message"

    def __str__(self) -> str:
        return self.text
