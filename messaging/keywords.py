"""Words that numbers understand when they are the whole text, in ready sets for languages."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# Understood by every number.
STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "arret"})
START = frozenset({"start", "unstop", "yes"})
HELP = frozenset({"help", "info"})

LONGEST = 60


class Words(NamedTuple):
    """Words for an opt-out, an opt-in and help, as `word` gives them."""

    stop: frozenset[str]
    start: frozenset[str]
    help: frozenset[str]


class Language(NamedTuple):
    """A language's words, each list with blanks between them, as people write them."""

    name: str | Promise
    stop: str
    start: str
    help: str


LANGUAGES = {
    "da": Language(_("Danish"), "STOP AFMELD FRAMELD", "TILMELD", "HJÆLP HJAELP"),
    "de": Language(_("German"), "STOPP ABMELDEN ABBESTELLEN", "ANMELDEN", "HILFE"),
    "es": Language(_("Spanish"), "ALTO BAJA PARAR CANCELAR", "ALTA INICIAR", "AYUDA"),
    "fi": Language(_("Finnish"), "LOPETA PERUUTA", "ALOITA", "OHJE APUA"),
    "fr": Language(_("French"), "ARRÊT ARRÊTER DÉSABONNER DÉSINSCRIRE", "REPRENDRE", "AIDE"),
    "it": Language(_("Italian"), "FERMA ANNULLA DISISCRIVI", "INIZIA", "AIUTO"),
    "nb": Language(_("Norwegian"), "STOPP AVSLUTT", "START", "HJELP"),
    "nl": Language(_("Dutch"), "STOPPEN AFMELDEN", "AANMELDEN", "HULP"),
    "pl": Language(_("Polish"), "WYPISZ REZYGNUJĘ", "ZAPISZ", "POMOC"),
    "pt": Language(_("Portuguese"), "PARAR SAIR CANCELAR", "INICIAR VOLTAR", "AJUDA"),
    "sv": Language(_("Swedish"), "AVSLUTA STOPP", "STARTA", "HJÄLP"),
}

_COUNTRIES = {
    "da": "DK GL",
    "de": "AT BE CH DE LI LU",
    "es": "AR BO CL CO CR CU DO EC ES GQ GT HN MX NI PA PE PR PY SV UY VE",
    "fi": "AX FI",
    "fr": "BE BF BJ BL CA CD CF CG CH CI CM DJ FR GA GF GN GP HT LU MC MF ML MQ NC NE PF PM RE SN TD TG YT",
    "it": "CH IT SM VA",
    "nb": "NO SJ",
    "nl": "AW BE BQ CW NL SR SX",
    "pl": "PL",
    "pt": "AO BR CV GW MZ PT ST TL",
    "sv": "AX FI SE",
}


def word(text: str) -> str:
    """The text as it is compared with keywords: lower case, no accents, nothing but letters and digits.

    So `Stop.`, `STOP ALL` and `opt-out` are words. A text of more than LONGEST characters is none ("").
    """
    if len(text) > LONGEST:
        return ""
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return "".join(letter for letter in text if letter.isalnum()).casefold()


def listed(text: str) -> frozenset[str]:
    """The words in a text that separates them by commas."""
    return frozenset(map(word, text.split(","))) - {""}


def choices() -> list[tuple[str, str]]:
    """The languages for a form, by code: each with its words for an opt-out."""
    return [
        (code, f"{language.name}: {', '.join(language.stop.split())}") for code, language in LANGUAGES.items()
    ]


def spoken_in(country: str) -> tuple[str, ...]:
    """The languages with ready sets that are official in a two-letter country."""
    return tuple(language for language, countries in _COUNTRIES.items() if country in countries.split())


def words(languages: Iterable[str]) -> Words:
    """The words that are always understood, and those of the languages."""
    return _words(tuple(languages))


@functools.cache
def _words(languages: tuple[str, ...]) -> Words:
    found = [LANGUAGES[language] for language in languages if language in LANGUAGES]
    return Words(
        STOP.union(*(map(word, each.stop.split()) for each in found)),
        START.union(*(map(word, each.start.split()) for each in found)),
        HELP.union(*(map(word, each.help.split()) for each in found)),
    )
