"""Words that numbers understand when they are the whole text."""

from __future__ import annotations

import re
import unicodedata

STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "arret"})
START = frozenset({"start", "unstop", "yes"})
HELP = frozenset({"help", "info"})

LONGEST = 60
_AROUND = re.compile(r"\A[\W_]+|[\W_]+\Z")


def word(text: str) -> str:
    """The text as it is compared with keywords: lower case, no accents, nothing but letters at its ends.

    A text of more than LONGEST characters is no keyword ("").
    """
    if len(text) > LONGEST:
        return ""
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _AROUND.sub("", text).casefold()
