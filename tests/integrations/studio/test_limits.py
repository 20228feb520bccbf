"""What is pasted, captured or saved at the same moment is too long, too late or too much, and does no harm."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.language.document import compile_document
from integrations.models import Capture, Template
from integrations.studio.cases.anonymous import Anonymizer
from integrations.studio.example.curl import commands_in
from integrations.studio.example.http_text import read_http
from integrations.studio.example.meanings import date_filter
from integrations.studio.example.sample_limits import UnreadableText
from integrations.studio.example.samples import Leaf
from integrations.studio.importers import fusionpbx_rows
from integrations.studio.preview.forms import _body
from portal.models import User
from tests.integrations.studio.conftest import PREVIEWED, Previewed

LONG = 200_000  # characters, with which what is quadratic takes minutes


@pytest.mark.parametrize("words", ["a" * LONG, "-eyJ" * (LONG // 4), "a+/9" * (LONG // 4)])
def test_long_words_are_replaced_at_once(words: str) -> None:
    anonymizer = Anonymizer(compile_document(json.dumps(PREVIEWED)), {})
    assert anonymizer.text(words) != words


@pytest.mark.parametrize("words", ["1e9", "1.", "aA0", "1-"])
def test_a_long_value_is_no_date(words: str) -> None:
    assert date_filter(Leaf("text", (0,), words * LONG)) == ""


def test_urls_within_urls_are_replaced() -> None:
    anonymizer = Anonymizer(compile_document(json.dumps(PREVIEWED)), {})
    assert "private" not in anonymizer.text("http://private.example/" * 5_000)


def test_a_request_line_with_many_blanks_is_read_at_once() -> None:
    with pytest.raises(UnreadableText):
        read_http(f"GET /{' ' * LONG}x HTTP/1.1\nHost: a.example", "request")


@pytest.mark.parametrize("line", ["GET /v1/a b HTTP/1.1", "GET /v1/a b  HTTP/2 ", "GET /v1/a b"])
def test_a_request_line_is_read_with_its_version_or_without(line: str) -> None:
    assert read_http(f"{line}\nHost: a.example", "request").url == "https://a.example/v1/a%20b"


def test_many_commands_are_not_all_read() -> None:
    found = list(commands_in("curl x\n" * 30_000))
    assert sum(map(len, found[1:])) <= 256 * 1024
    assert len(list(commands_in("curl x\n" * 60))) == 50


@pytest.mark.parametrize(
    "statement",
    [
        "copy v_provider_settings (provider_setting_name) from stdin;\n",
        "insert into v_provider_settings (provider_setting_name) values ('a','",
    ],
)
def test_statements_within_rows_are_not_read_again(statement: str) -> None:
    assert len(list(fusionpbx_rows._rows(statement * 100))) <= 101


@pytest.mark.parametrize("words", ['{"a": 1e400}', "[-1e999999]"])
def test_a_number_out_of_range_is_text(words: str) -> None:
    assert _body(words) == {"text": words}


def test_an_answer_with_a_number_out_of_range_is_previewed(previewed: Previewed) -> None:
    assert "1e400" in previewed.preview(body='{"a": 1e400}')


def test_what_was_captured_for_an_expired_capture_is_not_shown(previewed: Previewed, reseller: User) -> None:
    template = previewed.template
    assert template.account is not None
    capture = Capture.objects.create(account=template.account, template=template, author=reseller)
    row = capture.requests.create(request={"method": "POST", "text": "from a person"})
    url = f"{previewed.url}preview/?capture={row.pk}"
    assert "from a person" in previewed.client.get(url).content.decode()
    Capture.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert previewed.client.get(url).status_code == 404


def test_who_publishes_does_not_hide_a_draft_saved_meanwhile(previewed: Previewed) -> None:
    def source(**changes: Any) -> str:
        return json.dumps(PREVIEWED | changes)

    first = previewed.template.save_draft(source(name="First"))
    publisher = Template.objects.get(pk=previewed.template.pk)
    second = Template.objects.get(pk=previewed.template.pk).save_draft(source(name="Second"))
    publisher.publish(first)
    publisher.refresh_from_db()
    assert (publisher.published, publisher.draft) == (first, second)
