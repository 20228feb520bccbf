"""Finding messages: by words of their texts, and by what the lists are filtered by."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from messaging import erasure
from messaging.models import DeliveryAttempt, Message, Number
from messaging.statuses import Direction, Status
from portal.database import bulk, text_search
from portal.models import Organization, User
from tests.messaging.queues import write_many

LIST = "/admin/messaging/message/"


def say(number: Number, *texts: str, **fields: Any) -> list[Message]:
    messages = write_many(number, len(texts), **fields)
    for message, text in zip(messages, texts, strict=True):
        message.text = text
    bulk.update(messages, "text")
    Message.objects.bulk_update(messages, ["text"])
    return messages


def found(term: str) -> list[str]:
    return list(Message.objects.containing(term).order_by("pk").values_list("text", flat=True))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "term", "is_found"),
    [
        ("Your parcel arrives today", "parcel", True),
        ("Your parcel arrives today", "PARC", True),
        ("Your parcel arrives today", "today parcel", True),
        ("Your parcel arrives today", "arcel", False),
        ("Your parcel arrives today", "parcel tomorrow", False),
        ("See https://shop.example.com/track/77?id=9", "example", True),
        ("See https://shop.example.com/track/77?id=9", "track 77", True),
        ("Mail ann.lee@example.com", "lee", True),
        ("Call +61412345678", "61412", True),
        ("Code: A1-B2_C3", "c3", True),
        ("<b>bold</b> & plain", "bold", True),
        ("Straße, naïve, Ελλάδα", "straße", True),
        ("Straße, naïve, Ελλάδα", "naïve ελλ", True),
        ("It's 100% free", "it's", True),
        ("a b", "a", True),
        ("apple", "a", False),
        ("anything", "", False),
        ("anything", "' | !& :* \" ( -", False),
        ("anything", "x" * 100, False),
        ("AND OR NOT", "not and", True),
    ],
)
def test_words_are_found_by_how_they_begin(private: Number, text: str, term: str, is_found: bool) -> None:
    say(private, text)
    assert found(term) == ([text] if is_found else [])


@pytest.mark.django_db
def test_the_index_follows_inserts_changes_and_deletions(private: Number) -> None:
    first, second = say(private, "alpha one", "alpha two")
    made = [
        Message(
            organization=private.organization,
            conversation=first.conversation,
            direction=Direction.IN,
            text=text,
            expires_at=timezone.now(),
        )
        for text in ("alpha three", "")
    ]
    bulk.insert(made, "id")
    assert found("alpha") == ["alpha one", "alpha two", "alpha three"]
    Message.objects.filter(pk=second.pk).update(status=Status.SENT)
    assert found("alpha two") == ["alpha two"]
    Message.objects.filter(text="alpha three").delete()
    Message.objects.filter(pk=first.pk).update(text="beta")
    assert (found("alpha"), found("beta")) == (["alpha two"], ["beta"])


@pytest.mark.django_db
def test_an_erased_contact_leaves_no_word_in_the_index(acme: Organization, private: Number) -> None:
    erased, _kept = say(private, "zanzibar", "yokohama", queue_state=2)
    for row in Message.objects.exclude(pk=erased.pk):
        row.save()
    address = erased.conversation.contact.address
    row = erasure.start(acme, address, None)
    erasure.carry_out(row.pk)
    assert (found("zanzibar"), found("yokohama")) == ([], ["yokohama"])
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT block FROM messaging_message_words_data")
            blocks = b"".join(bytes(block) for (block,) in cursor.fetchall())
        assert (b"zanzibar" in blocks, b"yokohama" in blocks) == (False, True)


@pytest.mark.django_db
def test_triggers_that_a_migration_dropped_come_back(private: Number) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("Only SQLite writes a table anew to change it.")
    with connection.cursor() as cursor:
        for moment in ("insert", "update", "delete"):
            cursor.execute(f"DROP TRIGGER messaging_message_words_{moment}")
    say(private, "gamma")
    text_search.repair("messaging_message", "text")
    assert found("gamma") == ["gamma"]
    say(private, "delta")
    assert found("delta") == ["delta"]


@pytest.mark.django_db
def test_each_filter_of_messages_narrows_the_list(private: Number, bob: User, reseller: User) -> None:
    old, failed, plain = say(private, "old", "failed", "plain", queue_state=2, status=Status.DELIVERED)
    Message.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=30))
    Message.objects.filter(pk=failed.pk).update(status=Status.FAILED, status_code="30007")
    Message.objects.filter(pk=plain.pk).update(author=bob)
    client = Client()
    client.force_login(reseller)
    day = (timezone.now() - timedelta(days=30)).date().isoformat()
    yesterday = (timezone.now() - timedelta(days=1)).date().isoformat()
    for query, texts in {
        f"created_at_from={day}&created_at_to={day}": ["old"],
        f"created_at_from={yesterday}": ["plain", "failed"],
        "outcome=failed": ["failed"],
        "code=30007": ["failed"],
        "code=1": [],
        f"author={bob.pk}": ["plain"],
        "number=%2B61855550000": [],
        f"number=%2B{private.number[1:]}": ["plain", "failed", "old"],
        f"service={private.integration_id}": ["plain", "failed", "old"],
        "q=fail": ["failed"],
        f"q=pla&author={bob.pk}": ["plain"],
        "q=old&outcome=failed": [],
    }.items():
        page = client.get(f"{LIST}?{query}")
        assert [row.text for row in page.context["cl"].result_list] == texts, query


@pytest.mark.django_db
def test_nobody_finds_messages_of_others(private: Number, admin_of_acme: User, admin_of_globex: User) -> None:
    say(private, "secret words")
    for user, number in ((admin_of_acme, 1), (admin_of_globex, 0)):
        client = Client()
        client.force_login(user)
        for query in (
            "q=secret",
            f"service={private.integration_id}",
            f"number=%2B{private.number[1:]}",
        ):
            page = client.get(f"{LIST}?{query}")
            assert len(page.context["cl"].result_list) == number, (user.name, query)
        assert ("secret words" in client.get(LIST).content.decode()) == bool(number)


@pytest.mark.django_db
def test_attempts_are_found_by_http_status_and_contact(private: Number, reseller: User) -> None:
    (message,) = say(private, "x", queue_state=2)
    for place, (status, result) in enumerate(((503, "retry"), (200, "sent"))):
        DeliveryAttempt.objects.create(
            message=message,
            organization=message.organization,
            integration=message.integration,
            fence=place,
            started_at=timezone.now(),
            result=result,
            answer_status=status,
            status=Status.SENT,
        )
    client = Client()
    client.force_login(reseller)
    address = message.conversation.contact.address.replace("+", "%2B")
    for query, statuses in {
        "http=503": [503],
        "http=200": [200],
        "http=404": [],
        "result=retry": [503],
        "result=problem": [503],
        "result=sent": [200],
        f"q={address}": [200, 503],
    }.items():
        page = client.get(f"/admin/messaging/deliveryattempt/?{query}")
        assert [row.answer_status for row in page.context["cl"].result_list] == statuses, query
