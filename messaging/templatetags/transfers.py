"""Which lists can be imported and exported, for their toolbars."""

from __future__ import annotations

from typing import Any

from django import template

from messaging.transfer import exports
from messaging.transfer.imports import KINDS

register = template.Library()


@register.simple_tag
def transfer_list(opts: Any) -> dict[str, Any] | None:
    """The name of the list of a model, given by its options, and whether it is imported; None for others."""
    for name, each in exports.models().items():
        if each._meta is opts:
            return {"name": name, "imported": name in KINDS}
    return None
