"""GIF files (GIF89a) without what is not drawn."""

from __future__ import annotations

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_PLAIN_TEXT, _COMMENT, _APPLICATION = 0x01, 0xFE, 0xFF
# How often an animation is repeated; other applications keep metadata in such blocks.
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def without_comments(gif: bytes) -> bytes:
    """The same pictures without comments, metadata of applications, and whatever follows the end.

    Raises ValueError if the file is not a GIF; one that was cut off ends with its last complete block.
    """
    if gif[:6] not in (b"GIF87a", b"GIF89a") or len(gif) < 13:
        raise ValueError("This is not a GIF.")
    place = 13 + _colors(gif[10])
    kept = [gif[:place]]
    while place < len(gif) and gif[place] != _TRAILER:
        start = place
        if gif[place] == _EXTENSION:
            place = _after(gif, place + 2)
        elif gif[place] == _IMAGE and place + 9 < len(gif):
            place = _after(gif, place + 11 + _colors(gif[place + 9]))
        else:
            break
        if place > len(gif):
            break
        if gif[start] == _IMAGE:
            kept.append(gif[start:place])
        elif gif[start + 1] == _APPLICATION:
            # Of these only the number of repetitions is kept: 19 bytes.
            if gif[start + 3 : start + 14] in _LOOPS and gif[start + 14] == 3 and place - start >= 19:
                kept.append(gif[start : start + 18] + b"\0")
        elif gif[start + 1] not in (_COMMENT, _PLAIN_TEXT):
            kept.append(gif[start:place])
    return b"".join(kept) + bytes([_TRAILER])


def _colors(flags: int) -> int:
    """The bytes of the table of colours that the flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after(gif: bytes, place: int) -> int:
    """Where a sequence of blocks ends, each of which begins with its length; beyond the file if it is cut."""
    while place < len(gif):
        size = gif[place]
        place += size + 1
        if not size:
            return place
    return len(gif) + 1
