"""Passwords that somebody who knows this installation would try first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext as _

from portal.models import Organization, User

SHORTEST_WORD = 4
LEAST_REST = 8


class NotOfKnownWords:
    """Refuses a password with fewer than 8 letters and digits beside the words that are no secret.

    These are "patchbay", the words of PATCHBAY_PUBLIC_URL's host, of the user's address and name, and of the
    names and domains of their organizations and accounts, from 4 characters on.
    """

    def validate(self, password: str, user: Any = None) -> None:
        rest = password.casefold()
        for word in sorted(set(_known_words(user)), key=lambda word: (-len(word), word)):
            rest = rest.replace(word, "")
        if rest != password.casefold() and len(re.findall(r"\w", rest)) < LEAST_REST:
            raise ValidationError(
                _("This password consists of names that are known here. Add other words."), code="known_words"
            )

    def get_help_text(self) -> str:
        return _("Your password needs more than the names of people, organizations and addresses.")


def _known_words(user: Any) -> Iterator[str]:
    texts = ["patchbay", urlsplit(settings.PUBLIC_URL).hostname or ""]
    if isinstance(user, User):
        texts += [user.email, user.name]
    if isinstance(user, User) and user.pk:
        within = Organization.objects.filter(
            Q(memberships__user=user) | Q(account__memberships__user=user)
        ).distinct()
        for names in within.values_list("name", "domain", "account__name")[:20]:
            texts += names
    for text in texts:
        yield from (word for word in re.findall(r"\w+", text.casefold()) if len(word) >= SHORTEST_WORD)
