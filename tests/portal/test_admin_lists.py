"""What the URLs of the administration's lists may ask for: what the pages declare, and never a 500."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db.models import Field, Model
from django.db.models.constants import LOOKUP_SEP
from django.http import Http404, QueryDict
from django.test import Client, RequestFactory
from django.urls import resolve, reverse

from messaging.models import Message, WebhookRequest
from portal.models import Organization, User
from tests.portal.test_admin_walk import everything as everything  # a fixture: a row of each model
from tests.portal.test_admin_walk import signed_in

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
LABELS = [model._meta.label for model in MODELS]
# The page Health has a view of its own, which reads two parameters and ignores others.
LISTS = [model for model in MODELS if model._meta.label != "messaging.ServiceHealth"]
ODD = [
    *("", "x", "-1", "0", "1", "²", "٣", "1.5", "1e999", "NaN", "9" * 18, "9" * 19, "9" * 40, "9" * 5000),
    *("a" * 5000, "a " * 5000, "1." * 5000, "%", "^(a+)+$", "[", "\\", "'", '"', "\ud83d\ude00", "\u202e"),
    *("0001-01-01", "9999-12-31", "2026-02-30", "True", "None", "null", "\n", "a\0b"),
]


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def paths(model: type[Model], depth: int = 2) -> Iterator[tuple[str, Any]]:
    """The fields of a model and, to the depth, of the models related to it in either direction."""
    for field in model._meta.get_fields():
        name = field.name
        yield name, field
        if depth and field.is_relation and field.related_model is not None:
            for inner, found in paths(field.related_model, depth - 1):
                yield f"{name}{LOOKUP_SEP}{inner}", found


def lookups(path: str, field: Any) -> list[str]:
    """The look-ups and transforms that Django has for a field, and none; some of them for fields of others."""
    if LOOKUP_SEP in path:
        return ["", "__startswith", "__regex"] if path.count(LOOKUP_SEP) == 1 else ["__startswith"]
    kind = field if isinstance(field, Field) else field.target_field
    return ["", *(f"{LOOKUP_SEP}{name}" for name in sorted(kind.get_lookups()))]


def declared(model: type[Model]) -> set[str]:
    """The parameters of the list's own filters."""
    found: set[str] = set()
    for item in admin.site.get_model_admin(model).list_filter:
        if isinstance(item, type) and issubclass(item, SimpleListFilter):
            found.add(str(item.parameter_name))
        elif isinstance(item, tuple):  # a field, and its own kind of filter
            found |= {f"{item[0]}_from", f"{item[0]}_to"}
        else:
            found |= {f"{item}__exact", f"{item}__isnull"}
    return found


@pytest.mark.parametrize("model", LISTS, ids=[model._meta.label for model in LISTS])
def test_a_list_is_filtered_by_nothing_but_its_filters(model: type[Model], operator: User) -> None:
    page, allowed, refused = admin.site.get_model_admin(model), declared(model), 0
    request = RequestFactory().get(list_of(model))
    request.user = operator
    taken = []
    for path, field in paths(model):
        for lookup in lookups(path, field):
            name = path + lookup
            if name in allowed:
                continue
            request.GET = QueryDict(f"{name}=1")
            try:
                page.get_changelist_instance(request)
            except BadRequest:
                refused += 1
            else:
                taken.append(name)
    assert taken == []
    assert refused > 100


@pytest.mark.parametrize("model", LISTS, ids=[model._meta.label for model in LISTS])
def test_it_is_filtered_by_these(model: type[Model], everything: dict[str, Any], operator: User) -> None:
    client = signed_in(operator)
    for name in sorted(declared(model)):
        value = "2026-11-26" if name.endswith(("_from", "_to")) else "1"
        assert client.get(list_of(model), {name: value}).status_code == 200, name
    assert client.get(list_of(model), {"q": "a", "o": "", "p": "1", "all": ""}).status_code == 200


def asked(model: type[Model]) -> list[tuple[str, str]]:
    """Each parameter that a list has or might have, with each odd value."""
    flags = ["all", "e", "_popup", "_facets", "pk", "nothing", "", "\0", "a" * 3000]
    values = ["q", "o", "p", "_to_field", "_changelist_filters", "organization", *sorted(declared(model))]
    return [*((name, "1") for name in flags), *((name, value) for name in values for value in ODD)]


def encoded(name: str, value: str) -> str:
    return urlencode({name: value}, errors="surrogatepass")


@pytest.mark.parametrize("label", LABELS)
def test_no_value_is_an_error_of_the_server(label: str, everything: dict[str, Any], operator: User) -> None:
    url = list_of(type(everything[label]))
    view = resolve(url).func
    for name, value in asked(type(everything[label])):
        if "\0" in name + value:  # refused by middleware, as the next test asserts
            continue
        request = RequestFactory().get(f"{url}?{encoded(name, value)}")
        request.user, request._messages = operator, CookieStorage(request)
        with suppress(BadRequest, Http404):
            assert view(request).status_code == 200, (name, value[:50])


def test_nor_when_the_page_is_drawn(everything: dict[str, Any], operator: User) -> None:
    client = signed_in(operator)
    for name, value in asked(WebhookRequest)[::5]:
        answer = client.get(f"{list_of(WebhookRequest)}?{encoded(name, value)}")
        assert answer.status_code in (200, 400), (name, value[:50])
        assert "Database error" not in answer.content.decode(), (name, value[:50])
    for name in ("q", "verdict__exact"):
        assert client.get(f"{list_of(WebhookRequest)}?{name}=a%00b").status_code == 400


def test_no_selected_row_is_an_error_of_the_server(everything: dict[str, Any], operator: User) -> None:
    client, before = signed_in(operator), Message.objects.count()
    for value in ODD:
        form = {
            "action": "resend",
            "index": "0",
            "_selected_action": value.encode("utf-8", "replace").decode(),
        }
        assert client.post(list_of(Message), form).status_code in (200, 302, 400), value[:50]
    assert Message.objects.count() == before


@pytest.mark.parametrize("label", LABELS)
def test_no_key_in_a_path_is_an_error_of_the_server(
    label: str, everything: dict[str, Any], operator: User
) -> None:
    for path in key_paths(type(everything[label])):
        request = RequestFactory().get(path)
        request.user, request._messages = operator, CookieStorage(request)
        with suppress(BadRequest, Http404, PermissionDenied, SuspiciousOperation):
            view, args, kwargs = resolve(request.path_info)
            assert view(request, *args, **kwargs).status_code in (200, 302), path[:100]


def test_nor_when_the_page_of_a_key_is_drawn(everything: dict[str, Any], operator: User) -> None:
    client, seen = signed_in(operator), set()
    for path in key_paths(WebhookRequest):
        answer = client.get(path)
        assert answer.status_code in (200, 302, 400, 403, 404), path[:100]
        seen.add(answer.status_code)
    assert seen >= {302, 404}


def key_paths(model: type[Model]) -> Iterator[str]:
    """The pages of a row, for each odd value as its key."""
    for value in ODD:
        key = quote(value.encode("utf-8", "surrogatepass"), safe="")
        for page in ("change/", "change/?_to_field=password&_changelist_filters=x", "history/", "delete/"):
            yield f"{list_of(model)}{key}/{page}"


@pytest.mark.parametrize(
    "query",
    [
        "password__startswith=a",
        "memberships__account__name=x",
        "password__regex=[",
        "is_active__exact=1&password__startswith=a",
        "is_active__startswith=1",
        "is_active__exact=perhaps",
        "nothing=1",
        "e=1&nothing=1",
        "o=99",
        "o=1.1",
        "o=-1.x",
        "o=" + "1." * 5000,
        "_to_field=password",
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_refusal_says_so_and_leads_to_the_whole_list(operator: User, query: str, method: str) -> None:
    url = list_of(User)
    answer = getattr(signed_in(operator), method)(f"{url}?{query}")
    page = answer.content.decode()
    assert (answer.status_code, answer.templates[0].name) == (400, "400.html")
    assert f'href="{url}"' in page
    assert operator.email not in page.split("<main")[1]


def test_a_page_that_does_not_exist_is_refused(
    operator: User, everything: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(admin.site.get_model_admin(User)), "list_per_page", 1)
    client = signed_in(operator)
    assert client.get(list_of(User), {"p": "2"}).status_code == 200
    for page in ("0", "-1", "9" * 40):
        assert client.get(list_of(User), {"p": page}).status_code == 400


def test_a_list_that_cannot_be_sorted_is_not(operator: User, everything: dict[str, Any]) -> None:
    assert signed_in(operator).get(list_of(Message), {"o": "1"}).status_code == 400


def test_a_search_is_short(operator: User, everything: dict[str, Any]) -> None:
    page = signed_in(operator).get(list_of(User), {"q": "a " * 5000})
    assert "Search for at most 100 characters." in page.content.decode()


def test_pages_that_libraries_register_obey_the_same(operator: User) -> None:
    site = type(admin.site)()
    site.register(Group, GroupAdmin)
    page = site.get_model_admin(Group)
    for query, taken in [("name__startswith=a", False), ("permissions__codename=x", False), ("q=a", True)]:
        request = RequestFactory().get(f"/admin/auth/group/?{query}")
        request.user = operator
        if taken:
            assert page.get_changelist_instance(request).result_count == 0
        else:
            with pytest.raises(BadRequest):
                page.get_changelist_instance(request)


def test_a_date_hierarchy_is_declared_too(operator: User, everything: dict[str, Any]) -> None:
    site = type(admin.site)()
    site.register(User, admin.ModelAdmin, date_hierarchy="date_joined")
    page = site.get_model_admin(User)
    for query, taken in [
        ("date_joined__year=2026", True),
        ("date_joined__year=2026&date_joined__month=2&date_joined__day=28", True),
        ("date_joined__year=9999", False),
        ("date_joined__year=0", False),
        ("date_joined__year=9999&date_joined__month=12&date_joined__day=31", False),
        ("date_joined__year=x", False),
        ("date_joined__month=2", False),
        ("last_login__year=2026", False),
    ]:
        request = RequestFactory().get(f"/admin/portal/user/?{query}")
        request.user = operator
        if taken:
            assert page.get_changelist_instance(request).result_count >= 0
        else:
            with pytest.raises(BadRequest):
                page.get_changelist_instance(request)


# The filters of long lists suggest these.
DECLARED = {
    ("message", "author"),
    ("message", "integration"),
    ("deliveryattempt", "integration"),
    ("webhookrequest", "template"),
}


def every_relation() -> list[tuple[str, str, str]]:
    return [
        (model._meta.app_label, str(model._meta.model_name), field.name)
        for model in {
            *MODELS,
            *(field.related_model for model in MODELS for field in model._meta.get_fields()),
        }
        if isinstance(model, type) and issubclass(model, Model)
        for field in model._meta.get_fields()
    ]


def test_no_undeclared_field_has_suggestions(operator: User, everything: dict[str, Any]) -> None:
    client, seen = signed_in(operator), 0
    for app, model, field in every_relation():
        if (model, field) in DECLARED:
            continue
        query = {"app_label": app, "model_name": model, "field_name": field, "term": "a"}
        assert client.get("/admin/autocomplete/", query).status_code == 403, query
        seen += 1
    assert seen > 100
    for name in ("app_label", "model_name", "field_name", "term", "page"):
        whole = {"app_label": "portal", "model_name": "membership", "field_name": "user", "term": ""}
        for value in ODD:
            query = urlencode(whole | {name: value}, errors="surrogatepass")
            assert client.get(f"/admin/autocomplete/?{query}").status_code in (400, 403), (name, value[:50])


def test_a_declared_field_has_suggestions(
    operator: User, everything: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = type(admin.site.get_model_admin(type(everything["portal.PersonalToken"])))
    monkeypatch.setattr(page, "autocomplete_fields", ["user"])
    query = {"app_label": "portal", "model_name": "personaltoken", "field_name": "user", "term": "Alice"}
    found = signed_in(operator).get("/admin/autocomplete/", query).json()
    assert [item["text"] for item in found["results"]] == ["Alice"]


@pytest.mark.parametrize("name", ["s", "page", "extended"])
def test_the_search_of_the_menu_takes_any_value(operator: User, name: str) -> None:
    client = signed_in(operator)
    for value in ODD:
        query = urlencode({"s": "user", name: value}, errors="surrogatepass")
        assert client.get(f"/admin/search/?{query}").status_code in (200, 400), value[:50]


def test_each_list_is_as_it_was_for_who_follows_its_links(client: Client, operator: User) -> None:
    """`tests/portal/test_admin_links.py` follows them; here each column is sorted both ways."""
    client.force_login(operator)
    for model in LISTS:
        page = client.get(list_of(model))
        listed = page.context["cl"]
        for place, name in enumerate(listed.list_display):
            for order in (f"{place}", f"-{place}"):
                expected = 200 if name in listed.sortable_by else 400
                assert client.get(list_of(model), {"o": order}).status_code == expected, (model, name)


def test_an_empty_list_of_an_organization_leads_to_adding_there(
    acme: Organization, admin_of_acme: User
) -> None:
    client = Client()
    client.force_login(admin_of_acme)
    page = client.get(f"/admin/messaging/number/?organization={acme.pk}").content.decode()
    assert "No entries match the search and the filters." in page
    to_add = f"/admin/messaging/number/add/?_changelist_filters=organization%3D{acme.pk}"
    assert f'href="{to_add}"' in page
    assert client.get(to_add).status_code == 200
