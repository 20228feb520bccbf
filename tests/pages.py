"""Forms as a browser sends them: with the hidden fields of the page."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.test import Client


def named(page: str) -> dict[str, str]:
    """The hidden field in which a page has noted where it says that secrets go."""
    found = re.search(r'name="named" value="([^"]*)"', page)
    return {"named": unescape(found[1])} if found else {}


def post(client: Client, url: str, form: dict[str, str]) -> Any:
    """Opens the page of an integration, and sends its form."""
    return client.post(url, named(client.get(url).content.decode()) | form)
