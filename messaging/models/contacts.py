"""Contacts: whom organizations exchange messages with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.language import phones
from messaging import numbers
from portal.database import locks
from portal.models import Organization


class ContactQuerySet(models.QuerySet["Contact"]):
    def known_as(self, written: Iterable[tuple[int, str]]) -> dict[tuple[int, str], str]:
        """The address of each contact, given by organization and by one of the ways in which it is written.

        That is how it was written first. A query is only needed for numbers that are written in several ways.
        Until the caller's transaction ends, nobody else is told an address for those that are not known yet.
        """
        found = {pair: pair[1] for pair in written}
        several = {pair: ways for pair in found if len(ways := phones.ways(pair[1])) > 1}
        if not several:
            return found
        known = self._stored(several)
        new = {
            locks.key_of(f"contact {organization} {ways[0]}")
            for (organization, _), ways in several.items()
            if known.isdisjoint((organization, way) for way in ways)
        }
        if new:
            locks.hold(*new)
            known = self._stored(several)
        for (organization, address), ways in several.items():
            if (organization, address) not in known:
                before = (way for way in ways if (organization, way) in known)
                found[organization, address] = next(before, address)
                known.add((organization, found[organization, address]))
        return found

    def _stored(self, several: Mapping[tuple[int, str], Iterable[str]]) -> set[tuple[int, str]]:
        rows = self.filter(
            organization__in={organization for organization, _ in several},
            address__in={way for ways in several.values() for way in ways},
        )
        return set(rows.values_list("organization", "address"))


class Contact(models.Model):
    """A person or system that an organization exchanges messages with, by number, short code or name."""

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="contacts", db_index=False)
    address = models.CharField(_("number"), max_length=numbers.ADDRESS_LENGTH)
    name = models.CharField(_("name"), max_length=120, blank=True)

    objects = ContactQuerySet.as_manager()

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        constraints = [models.UniqueConstraint(fields=["organization", "address"], name="contact_once")]
        indexes = [models.Index(fields=["address"], name="contact_address")]

    def __str__(self) -> str:
        return self.name or self.address

    @property
    def answerable(self) -> bool:
        """Whether messages can be sent to it; texts also come from names, e-mail addresses and the like."""
        return numbers.answerable(self.address)
