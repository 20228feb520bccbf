"""SMS as networks count them (3GPP TS 23.038 and 23.040): alphabets, segments, and the splitting of texts."""

from __future__ import annotations

import bisect
import itertools
import unicodedata
from typing import Literal

import regex

Unit = Literal["characters", "bytes", "segments"]

GSM7 = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = {10: "\f", 20: "^", 40: "{", 41: "}", 47: "\\", 60: "[", 61: "~", 62: "]", 64: "|", 101: "€"}
_ESCAPE = "\x1b"
_SEPTETS = {character: 1 for character in GSM7 if character != _ESCAPE} | dict.fromkeys(EXTENSION.values(), 2)
_NEAREST = {
    "‘": "'", "’": "'", "‚": ",", "‛": "'", "“": '"', "”": '"', "„": '"', "‟": '"', "′": "'", "″": '"',
    "«": '"', "»": '"', "‹": "'", "›": "'", "`": "'", "´": "'", "‐": "-", "‑": "-", "‒": "-", "–": "-",
    "—": "-", "―": "-", "−": "-", "…": "...", "•": "*", "·": ".", "⁄": "/", "×": "x", "÷": "/", "™": "TM",
    "©": "(C)", "®": "(R)", "№": "No", "\t": " ", "\u200b": "", "\u200c": "", "\u200d": "",
    "\ufeff": "", "\u00ad": "", "\u2028": "\n", "\u2029": "\n", "Œ": "OE", "œ": "oe", "ð": "d", "Ð": "D",
    "þ": "th", "Þ": "Th", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i",
}  # fmt: skip
SINGLE_GSM7, PART_GSM7, SINGLE_UCS2, PART_UCS2 = 160, 153, 70, 67
# How many bytes or characters from its end a part may be cut earlier, at a space.
NEAR = 6


def is_gsm7(text: str) -> bool:
    """Whether every character is in the GSM 7-bit default alphabet or its extension."""
    return all(character in _SEPTETS for character in text)


def to_gsm7(text: str, *, strict: bool = False) -> str | None:
    """The text in the GSM alphabet: any other character becomes the most similar one, or `?`.

    With `strict`, a text with a character that has no similar one gives None.
    """
    found = [character if character in _SEPTETS else _nearest(character) for character in text]
    return None if strict and None in found else "".join("?" if each is None else each for each in found)


def _nearest(character: str) -> str | None:
    if character in _NEAREST:
        return _NEAREST[character]
    if character.isspace():
        return " "
    plain = unicodedata.normalize("NFKD", character)
    kept = "".join(each for each in plain if each in _SEPTETS)
    return kept or ("" if unicodedata.combining(character) else None)


def gsm7_text(septets: bytes) -> str:
    """The text encoded as septets, one in each byte; a code outside the alphabet is U+FFFD."""
    found, escaped = "", False
    for code in septets:
        if escaped:
            found += EXTENSION.get(code, GSM7[code] if code < 128 else "\ufffd")
            escaped = False
        elif code == 27:
            escaped = True
        else:
            found += GSM7[code] if code < 128 else "\ufffd"
    return found


def count_segments(text: str) -> int:
    """The number of messages that a network makes of the text; an empty text is one."""
    if is_gsm7(text):
        sizes, single, part = [_SEPTETS[character] for character in text], SINGLE_GSM7, PART_GSM7
    else:
        sizes, single, part = [1 + (character > "\uffff") for character in text], SINGLE_UCS2, PART_UCS2
    if sum(sizes) <= single:
        return 1
    count, room = 1, part
    for size in sizes:  # neither an escape sequence nor a surrogate pair is split
        if size > room:
            count, room = count + 1, part
        room -= size
    return count


def measure(text: str, unit: Unit) -> int:
    """The size of a text in a unit; characters are code points, bytes are of UTF-8."""
    if unit == "bytes":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) if unit == "characters" else count_segments(text)


def split_text(text: str, most: int, unit: Unit) -> list[str]:
    """The text in parts of at most `most` units, cut at a space near the end of a part, or else anywhere.

    Parts are trimmed where they are cut, and none is empty. What a reader sees as one character is not split,
    unless it is larger than a part.
    """
    if measure(text, unit) <= most:
        return [text]
    clusters = regex.findall(r"\X", text)
    if any(measure(cluster, unit) > most for cluster in clusters):
        clusters = list(text)
    parts, start = [], 0
    while start < len(clusters):
        # No segment holds more than 160 characters.
        following = clusters[start : start + most * (SINGLE_GSM7 if unit == "segments" else 1) + 1]
        end = max(_fitting(following, most, unit), 1)
        if end < len(following):
            end = _at_space(following, end, unit)
        if part := "".join(following[:end]).strip():
            parts.append(part)
        start += end
        while start < len(clusters) and clusters[start].isspace():
            start += 1
    return parts


def _fitting(clusters: list[str], most: int, unit: Unit) -> int:
    """How many clusters, from the start, fit into a part."""
    if unit != "segments":
        sizes = itertools.accumulate(measure(cluster, unit) for cluster in clusters)
        return bisect.bisect_right(list(sizes), most)
    # A longer text never needs fewer segments.
    ends = range(1, len(clusters) + 1)
    return bisect.bisect_right(ends, most, key=lambda end: count_segments("".join(clusters[:end])))


def _at_space(clusters: list[str], end: int, unit: Unit) -> int:
    """Where to cut: at a space right after the part, else at one in its last units, else at its end."""
    if clusters[end].isspace():
        return end
    room, place = NEAR, end
    while place > 1 and room > 0:
        place -= 1
        if clusters[place].isspace():
            return place
        room -= len(clusters[place].encode()) if unit == "bytes" else len(clusters[place])
    return end
