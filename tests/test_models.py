"""What holds for every model of ours."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import models

OURS = [
    model
    for app in ("portal", "integrations", "messaging")
    for model in apps.get_app_config(app).get_models()
]


def unsaved(model: type[models.Model]) -> models.Model:
    """A row with all that it must point to, none of them stored: what the database fills in is missing."""
    required = [field for field in model._meta.fields if field.is_relation and not field.null]
    return model(**{field.name: unsaved(field.related_model) for field in required})


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_a_row_that_is_not_stored_can_be_named(model: type[models.Model]) -> None:
    assert isinstance(str(unsaved(model)), str)
