"""GIFs lose what is not drawn, and nothing else."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from integrations.gif import without_comments


def moving() -> bytes:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue", "lime")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], loop=0, comment=b"at home")
    return out.getvalue()


def test_only_comments_go() -> None:
    body = moving()
    comment = b"\x21\xfe\x07at home\x00"
    assert comment in body
    assert without_comments(body + b"more") == body.replace(comment, b"")
    assert without_comments(without_comments(body)) == without_comments(body)


@pytest.mark.parametrize("end", range(13, len(moving())))
def test_one_that_was_cut_off_ends_with_its_last_complete_block(end: int) -> None:
    made = without_comments(moving()[:end])
    assert made.endswith(b";")
    assert moving().replace(b"\x21\xfe\x07at home\x00", b"").startswith(made[:-1])


@given(st.binary(max_size=300))
def test_any_bytes_end(rest: bytes) -> None:
    assert len(without_comments(moving()[:20] + rest)) <= 21 + len(rest)


def test_another_file_is_no_gif() -> None:
    with pytest.raises(ValueError, match="not a GIF"):
        without_comments(b"\x89PNG\r\n\x1a\n" + b"x" * 20)
