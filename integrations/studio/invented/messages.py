"""A message of nobody's: its numbers, text, name and file."""

from __future__ import annotations

from integrations.language.values import Value

OURS, CONTACT = "+15005550006", "+15005550001"
TEXT, NAME = "Hello", "Ann"
FILE = "https://media.example.com/a.png"
MESSAGE: dict[str, Value] = {"from": OURS, "to": CONTACT, "text": TEXT}
PICTURE: dict[str, Value] = {
    "url": FILE,
    "content_type": "image/gif",
    "filename": "a.gif",
    "base64": "R0lGODlhAQABAAAAACw=",
}
