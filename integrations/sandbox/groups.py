"""Groups on the phones: whom a message is for, and whom each phone talks with in one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from integrations.senders import sender


def recipients(to: str, country: str | None) -> list[str]:
    """Those that are written with commas between, each once, as phones show them; one alone as it is."""
    found = [each.strip() for each in to.split(",") if each.strip()]
    return list(dict.fromkeys(sender(each, country) for each in found)) if len(found) > 1 else [to]


def together(whom: Sequence[str], here: str) -> str:
    """Whom a phone talks with in a group: all others."""
    return ", ".join(sorted({*whom} - {here}))


def outside(whom: Sequence[str], portal: Collection[str]) -> list[str]:
    """Those that are phones: all but the portal's numbers, or all but the first if none of them is known."""
    ours = {*portal} & {*whom} or {*whom[:1]}
    return [each for each in whom if each not in ours]
