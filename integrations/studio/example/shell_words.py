"""The words of a command as documentation writes it: for a shell of Unix, or for Windows."""

from __future__ import annotations

import re

_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "a": "\a",
    "e": "\x1b",
    "E": "\x1b",
}
_NUMBERED = re.compile(r"x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3})")
_CONTINUED = re.compile(r"[\\^`][ \t]*\r?\n[ \t]*")
# A line that begins with an option belongs to the command, also where the mark of it was forgotten.
_NEXT_OPTION = re.compile(r"\r?\n\s*(?=-{1,2}[A-Za-z])")
_LINE_END = re.compile(r"\\\r?\n")
_BRACKETED = re.compile(r"<[A-Za-z][\w .-]{0,60}>|\{\{[^{}\n]{1,60}\}\}")
_ENDS = re.compile(r"[|;>]|&(?=[&\s]|$)")


class NoEnd(ValueError):
    """A quote has no end; the argument is the quote and what follows it."""


def words_of(source: str) -> list[str]:
    """The words of the first command in a text, without quotes; `$NAME` and `<name>` stay as they are.

    The command ends at the end of its line, unless the line is continued or the next begins with an option.
    Raises NoEnd.
    """
    if '^"' in source:
        source = re.sub(r"\^(?!\r?\n)(.)", r"\1", source)
    words: list[str] = []
    word: str | None = None
    position = 0

    def end_word() -> None:
        nonlocal word
        if word is not None:
            words.append(word)
        word = None

    while position < len(source):
        character = source[position]
        if gap := _CONTINUED.match(source, position) or _NEXT_OPTION.match(source, position):
            end_word()
            position = gap.end()
        elif character in " \t\xa0":
            end_word()
            position += 1
        elif character in "\r\n" or _ENDS.match(source, position) or (character == "#" and word is None):
            break
        elif character == "'" or source.startswith("$'", position):
            part, position = _quoted(source, position)
            word = (word or "") + part
        elif character in '"“”':
            part, position = _double_quoted(source, position)
            word = (word or "") + part
        elif bracketed := _BRACKETED.match(source, position):
            word, position = (word or "") + bracketed[0], bracketed.end()
        elif character == "\\" and position + 1 < len(source):
            word, position = (word or "") + source[position + 1], position + 2
        else:
            word, position = (word or "") + character, position + 1
    end_word()
    return words


def _quoted(source: str, start: int) -> tuple[str, int]:
    if source[start] == "'":
        end = source.find("'", start + 1)
        if end < 0:
            raise NoEnd(source[start : start + 30])
        return source[start + 1 : end], end + 1
    result, position = "", start + 2
    while position < len(source):
        character = source[position]
        if character == "'":
            return result, position + 1
        if character == "\\" and position + 1 < len(source):
            if number := _NUMBERED.match(source, position + 1):
                octal = number[4]
                code = int(octal, 8) if octal else int(number[1] or number[2] or number[3], 16)
                result += chr(code) if code < 0x110000 else "\ufffd"
                position = number.end()
                continue
            character, position = source[position + 1], position + 1
            character = _ESCAPES.get(character, character)
        result, position = result + character, position + 1
    raise NoEnd(source[start : start + 30])


def _double_quoted(source: str, start: int) -> tuple[str, int]:
    ends, result, position = ('"',) if source[start] == '"' else ("”", "“", '"'), "", start + 1
    while position < len(source):
        character = source[position]
        if character in ends:
            return result, position + 1
        if gap := _LINE_END.match(source, position):
            position = gap.end()
            continue
        if character == "\\" and source[position + 1 : position + 2] in tuple('"\\$`'):
            position += 1
            character = source[position]
        result, position = result + character, position + 1
    raise NoEnd(source[start : start + 30])
