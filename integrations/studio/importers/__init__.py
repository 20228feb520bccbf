"""What describes a provider in another system, read as a document of the template language, with a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.utils.translation import gettext as _

from integrations.studio.importers import fusionpbx, kannel, postman, published, rapidpro
from integrations.studio.importers.report import ImportProblem, ImportReport

__all__ = ["KINDS", "MAX_TEXT", "ImportProblem", "ImportReport", "detect", "read"]

MAX_TEXT = 2 * 1024 * 1024
_READERS: Mapping[str, Callable[[str, str], ImportReport]] = {
    "published": published.read,
    "kannel": kannel.read,
    "fusionpbx": fusionpbx.read,
    "rapidpro": rapidpro.read,
    "postman": postman.read,
}
KINDS = tuple(_READERS)
# From the one whose texts are told apart most easily; a document of the published format may be anything.
_DETECTORS = {
    "postman": postman.fits,
    "rapidpro": rapidpro.fits,
    "fusionpbx": fusionpbx.fits,
    "kannel": kannel.fits,
    "published": published.fits,
}


def detect(text: str) -> str:
    """The kind of a text, one of KINDS; "" if it is none of them."""
    if len(text) > MAX_TEXT:
        return ""
    return next((kind for kind, fits in _DETECTORS.items() if fits(text)), "")


def read(text: str, kind: str = "", name: str = "") -> ImportReport:
    """The document that a text describes, which compiles, and what was taken and not.

    Without `kind`, the text tells it. `name` chooses among several: a request of a Postman collection, an
    smsc-id, a provider of FusionPBX. No secret of the text is in the report. Raises ImportProblem with a
    sentence. Limit: 2 MiB of text.
    """
    if len(text) > MAX_TEXT:
        raise ImportProblem(_("The text is larger than 2 MiB. Import a part of it."))
    if not text.strip():
        raise ImportProblem(_("There is nothing to import. Paste or upload what the other system has."))
    kind = kind or detect(text)
    if kind not in _READERS:
        raise ImportProblem(
            _(
                "Nobody knows what this is. Importable are a template document, an smsc group of a "
                "kannel.conf, provider settings of FusionPBX (CSV, SQL or JSON), an External channel of "
                "RapidPro (JSON), and a Postman collection (v2.1)."
            )
        )
    return _READERS[kind](text.replace("\r\n", "\n").lstrip("\ufeff"), name.strip())
