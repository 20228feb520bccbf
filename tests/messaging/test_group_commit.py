"""Group commit by leader and followers, with real threads and a real table."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from messaging.engine import group_commit
from messaging.engine.group_commit import GroupCommit
from messaging.models import Contact
from portal.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)


class Writer(GroupCommit[str, int]):
    """Writes contacts by group commit; can hold the first batch until others queue behind it."""

    def __init__(self, organization: Organization) -> None:
        super().__init__()
        self.organization = organization
        self.batches: list[list[str]] = []
        self.over: list[list[str]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.used: list[Any] = []

    def write(self, batch: Sequence[str]) -> list[int]:
        self.batches.append(list(batch))
        self.used.append(connection.connection)
        assert self.go_on.wait(10)
        if "away" in batch:
            raise OperationalError("the database is away")
        if "stop" in batch:
            raise SystemExit
        contacts = [Contact(organization=self.organization, address=address) for address in batch]
        Contact.objects.bulk_create(contacts)
        return [contact.pk for contact in contacts]

    def after(self, batch: Sequence[str], results: Sequence[int]) -> None:
        self.over.append(list(batch))


@pytest.fixture
def writer(acme: Organization) -> Iterator[Writer]:
    made = Writer(acme)
    yield made
    made.close()


def in_threads(does: Callable[[str], Any], items: Sequence[str], queue: Callable[[], int]) -> dict[str, Any]:
    """What `does` returns or raises for each item, each in a thread; they queue one after the other."""
    results: dict[str, Any] = {}

    def run(item: str) -> None:
        try:
            results[item] = does(item)
        except BaseException as error:
            results[item] = error
        finally:
            connections.close_all()

    threads = []
    for count, item in enumerate(items, 1):
        thread = threading.Thread(target=run, args=[item])
        thread.start()
        threads.append(thread)
        while queue() < count and thread.is_alive():
            time.sleep(0.001)
    results["threads"] = threads
    return results


def behind_a_leader(writer: Writer, items: Sequence[str]) -> dict[str, Any]:
    """What `put` came to for items that queued while another batch was being written."""
    writer.go_on.clear()
    leader = in_threads(writer.put, ["+1"], lambda: len(writer.batches))
    followers = in_threads(writer.put, items, lambda: writer.queued)
    writer.go_on.set()
    for thread in leader.pop("threads") + followers.pop("threads"):
        thread.join(10)
        assert not thread.is_alive()
    return {**leader, **followers}


def test_a_lone_item_waits_for_nobody(writer: Writer) -> None:
    assert writer.put("+1") == Contact.objects.get(address="+1").pk
    assert (writer.batches, writer.over) == ([["+1"]], [["+1"]])


def test_what_comes_meanwhile_is_one_batch_and_each_gets_its_own_result(writer: Writer) -> None:
    items = [f"+{number}" for number in range(2, 12)]
    results = behind_a_leader(writer, items)
    assert writer.batches == [["+1"], items]
    assert results == dict(Contact.objects.values_list("address", "pk"))
    assert sorted(writer.over, key=len) == [["+1"], items]


def test_a_batch_has_its_limit(writer: Writer) -> None:
    writer.most = 4
    results = behind_a_leader(writer, [f"+{number}" for number in range(2, 12)])
    assert [len(batch) for batch in writer.batches] == [1, 4, 4, 2]
    assert results == dict(Contact.objects.values_list("address", "pk"))


def test_a_poisoned_row_raises_only_for_itself(writer: Writer) -> None:
    results = behind_a_leader(writer, ["+2", "+1", "+3"])  # the second is there already
    assert writer.batches[1:] == [["+2", "+1", "+3"], ["+2"], ["+1"], ["+3"]]
    assert isinstance(results["+1"], IntegrityError)
    assert set(Contact.objects.values_list("address", flat=True)) == {"+1", "+2", "+3"}
    assert results["+3"] == Contact.objects.get(address="+3").pk


def kept() -> dict[str, int]:
    return dict(Contact.objects.values_list("address", "pk"))


def test_items_of_one_thread_share_batches(writer: Writer) -> None:
    writer.most = 4
    items = [f"+{number}" for number in range(10)]
    assert writer.put_all([]) == []
    keys = writer.put_all(items)
    assert writer.batches == writer.over == [items[:4], items[4:8], items[8:]]
    assert dict(zip(items, keys, strict=True)) == kept()


def test_items_of_one_thread_share_batches_with_others(writer: Writer) -> None:
    pairs = ["+2 +3", "+4 +5", "+6 +7"]
    writer.go_on.clear()
    leader = in_threads(writer.put, ["+1"], lambda: len(writer.batches))
    followers = in_threads(lambda pair: writer.put_all(pair.split()), pairs, lambda: writer.queued // 2)
    writer.go_on.set()
    for thread in leader.pop("threads") + followers.pop("threads"):
        thread.join(10)
        assert not thread.is_alive()
    assert writer.batches == [["+1"], ["+2", "+3", "+4", "+5", "+6", "+7"]]
    assert followers == {pair: [kept()[item] for item in pair.split()] for pair in pairs}


@pytest.mark.parametrize("inside", [False, True])
def test_a_poisoned_one_among_several_is_given_its_error(writer: Writer, inside: bool) -> None:
    writer.put("+1")
    with transaction.atomic() if inside else nullcontext():
        first, poisoned, third = writer.put_all(["+2", "+1", "+3"])
    assert isinstance(poisoned, IntegrityError)
    assert (first, third) == (kept()["+2"], kept()["+3"])
    assert sorted(kept()) == ["+1", "+2", "+3"]
    assert [item for batch in writer.over for item in batch if item != "+1"] == ["+2", "+3"]


def test_a_thread_that_is_stopped_in_the_middle_passes_the_lead_on(writer: Writer) -> None:
    writer.most = 1
    with pytest.raises(SystemExit):
        writer.put_all(["+1", "stop", "+2"])
    assert writer.put("+3") == kept()["+3"]
    assert sorted(kept()) == ["+1", "+2", "+3"]


def test_while_the_database_is_away_nobody_is_tried_for_the_others(writer: Writer) -> None:
    results = behind_a_leader(writer, ["away", "+2", "+3"])
    assert writer.batches[1:] == [["away", "+2", "+3"], ["away"]]
    assert {type(results[item]) for item in ("away", "+2", "+3")} == {OperationalError}
    assert Contact.objects.count() == 1
    assert writer.put("+4") == Contact.objects.get(address="+4").pk


def test_a_leader_that_is_stopped_leaves_nobody_waiting(writer: Writer) -> None:
    results = behind_a_leader(writer, ["stop", "+2"])
    assert isinstance(results["stop"], SystemExit)
    assert "was stopped" in str(results["+2"])
    assert writer.put("+3") == Contact.objects.get(address="+3").pk


def test_what_follows_a_batch_delays_no_other(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, there = threading.Event(), threading.Event()

    def after(batch: Sequence[str], results: Sequence[int]) -> None:
        if batch == ["+1"]:
            there.set()
            assert slow.wait(10)

    monkeypatch.setattr(writer, "after", after)
    first = in_threads(writer.put, ["+1"], lambda: there.wait(10))
    assert writer.put("+2") == Contact.objects.get(address="+2").pk
    slow.set()
    first["threads"][0].join(10)
    assert first["+1"] == Contact.objects.get(address="+1").pk


def test_inside_a_transaction_it_is_written_there(writer: Writer) -> None:
    with transaction.atomic():
        writer.put("+1")
        assert (writer.batches, writer.over) == ([["+1"]], [])
        with pytest.raises(IntegrityError):
            writer.put("+1")
        writer.put("+2")
    assert writer.over == [["+1"], ["+2"]]
    with pytest.raises(LookupError), transaction.atomic():
        writer.put("+3")
        raise LookupError
    assert Contact.objects.count() == 2
    assert not connection.in_atomic_block


def test_a_crowd_is_all_committed(writer: Writer) -> None:
    count = 200
    results = in_threads(writer.put, [f"+{number}" for number in range(count)], lambda: count)
    for thread in results.pop("threads"):
        thread.join(30)
    assert results == dict(Contact.objects.values_list("address", "pk"))
    assert sum(len(batch) for batch in writer.batches) == count


def test_whoever_leads_writes_through_the_same_connection(writer: Writer) -> None:
    mine = connection.connection
    for item in ("+1", "+2"):
        for thread in in_threads(writer.put, [item], lambda: 1).pop("threads"):
            thread.join()
    writer.put("+3")
    assert len(writer.used) == 3
    assert len({id(found) for found in writer.used}) == 1
    assert writer.used[0] is not mine
    assert connection.connection is mine


def test_after_a_crowd_a_batch_is_gathered(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(group_commit, "time", SimpleNamespace(sleep=waited.append))
    behind_a_leader(writer, [f"+{number}" for number in range(2, 2 + group_commit.CROWD)])
    writer.put("+20")
    writer.put("+21")
    assert [len(batch) for batch in writer.batches] == [1, group_commit.CROWD, 1, 1]
    assert waited == [group_commit.GATHER_SECONDS]
