"""Every link of the administration, followed by each role: none leads to a refusal or goes round."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urldefrag, urljoin, urlsplit

import pytest
from django.test import Client

from portal.models import Membership, Organization, User
from tests.conftest import person
from tests.portal.test_admin_walk import everything as everything  # a fixture: a row of each model


class _Links(HTMLParser):
    """The addresses that a page links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a" and (address := dict(attrs).get("href")):
            self.found.append(address)


def links_of(page: str, content: str) -> list[str]:
    """Where the page leads within this site, without fragments."""
    parser = _Links()
    parser.feed(content)
    addresses = (urldefrag(urljoin(page, address)).url for address in parser.found)
    return [address for address in addresses if address.startswith("/")]


def kind(address: str) -> tuple[str, frozenset[str]]:
    """The path and the names in the query: a list that is sorted or filtered otherwise is the same page."""
    parts = urlsplit(address)
    return parts.path, frozenset(parse_qs(parts.query, keep_blank_values=True))


def walk(client: Client, start: str) -> dict[str, tuple[int, str]]:
    """The status of each page that can be reached from the start, and the page that led there."""
    waiting, seen, found = [(start, "")], {kind(start)}, {}
    while waiting:
        address, origin = waiting.pop(0)
        answer = client.get(address)
        followed = [address]
        while answer.status_code in (301, 302):
            address = urljoin(address, answer["Location"])
            assert address not in followed, f"{origin} leads round: {followed}"
            followed.append(address)
            answer = client.get(address)
        found[followed[0]] = answer.status_code, origin
        if answer.status_code == 200 and "text/html" in answer["Content-Type"] and not answer.streaming:
            for link in links_of(address, answer.content.decode()):
                if kind(link) not in seen:
                    seen.add(kind(link))
                    waiting.append((link, address))
        if answer.streaming:
            answer.getvalue()  # which closes the file
    return found


@pytest.fixture
def limited(acme: Organization) -> User:
    """An account admin who administers Acme only."""
    return person("Lee", acme, role=Membership.Role.ACCOUNT_ADMIN)


@pytest.mark.parametrize("who", ["admin_of_acme", "admin_of_globex", "limited", "reseller", "operator"])
def test_each_link_leads_to_a_page(everything: dict[str, Any], request: Any, who: str) -> None:
    client = Client()
    client.force_login(request.getfixturevalue(who))
    found = walk(client, "/admin/")
    assert len(found) > 20
    assert {address: seen for address, seen in found.items() if seen[0] != 200} == {}


def test_a_page_has_the_title_of_its_entry_in_the_menu(everything: dict[str, Any], operator: User) -> None:
    client = Client()
    client.force_login(operator)
    entries = client.get("/admin/").context["sidebar_navigation"]
    titles = {}
    for entry in (entry for group in entries for entry in group["items"]):
        name, link = str(entry["title"]), str(entry.get("link_callback") or entry["link"])
        page = client.get(link).content.decode()
        title = re.search("<title>(.*?)</title>", page, re.DOTALL)
        heading = re.search("<h1.*?>(.*?)</h1>", page, re.DOTALL)
        assert title and heading, name
        titles[name] = re.split("[|–]", title[1])[0].strip()
        if link.startswith("/admin/"):
            assert re.sub("<.*?>", "", heading[1]).split("(")[0].strip().startswith(name), name
    assert titles == {name: name for name in titles}
    assert list(titles) == [
        *("Overview", "Inbox"),
        *("Accounts", "Organizations", "Users", "Invitations", "API tokens"),
        *("Integrations", "Templates", "Event receivers"),
        *("Numbers", "Contacts", "Opt-outs", "Messages", "Erasures"),
        *("Health", "Delivery attempts", "Webhooks", "Quarantine", "Audit"),
        "Imports and exports",
    ]
