"""Browsers and systems, as their User-Agent names them."""

from __future__ import annotations

# The first that a browser names; those that pretend to be others come first.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def read(agent: str) -> tuple[str, str]:
    """The names of browser and system; "" for what nobody knows."""
    browser = next((name for sign, name in BROWSERS if f"{sign}/" in agent), "")
    return browser, next((name for sign, name in SYSTEMS if sign in agent), "")
