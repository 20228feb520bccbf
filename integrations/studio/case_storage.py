"""The cases that authors keep with a template, at most 100 of 64 KiB each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from integrations.case_schema import check_case
from integrations.language.document import Template as Compiled
from integrations.language.errors import Problem, json_problem
from integrations.language.source import placed
from integrations.language.values import Value, load, text
from integrations.models import Template, TemplateCase
from integrations.models.studio import NAME_LENGTH, named_apart
from portal import audit

MAX_CASES, MAX_BYTES = 100, 64 * 1024


def problems_in(compiled: Compiled, source: str) -> list[Problem]:
    """All that is wrong with the text of a case, each with its place."""
    try:
        found = load(source)
    except json.JSONDecodeError as error:
        return [json_problem(error)]
    except (ValueError, RecursionError) as error:
        return [Problem("", f"The case cannot be read: {error}", line=1, column=1)]
    return placed(check_case(compiled, found), source)


def written(case: Value) -> str:
    """A case as text, line by line."""
    return json.dumps(case, indent=2, ensure_ascii=False)


def keep(template: Template, case: dict[str, Any]) -> TemplateCase:
    """Stores a new case; it gets a number after its name if there is one of this name.

    Raises ValidationError for one that is too many or too large.
    """
    with transaction.atomic():
        Template.objects.select_for_update(no_key=True).get(pk=template.pk)
        names = set(template.cases.values_list("name", flat=True))
        if len(names) >= MAX_CASES:
            raise ValidationError(
                _("There are %(count)d cases already. Delete one of them first.") % {"count": MAX_CASES}
            )
        name = named_apart(text(case.get("name")).strip() or _("A case"), names)
        source = written({**case, "name": name})
        _check_size(source)
        case_kept = template.cases.create(name=name, source=source)
        _record(template, ("", name))
    return case_kept


def stamp(source: str) -> str:
    """A short text that is another one for another text of a case."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def change(case: TemplateCase, source: str, seen: str = "") -> None:
    """Stores another text of a case, whose name is in it.

    One that was built by example is the author's own from then on. `seen` is the stamp of the text that the
    author has changed. Raises ValidationError, also if somebody else
    has changed the case since.
    """
    _check_size(source)
    found = load(source)
    name = text(found.get("name")).strip()[:NAME_LENGTH] or case.name
    with transaction.atomic():
        Template.objects.select_for_update(no_key=True).get(pk=case.template_id)
        now = case.template.cases.get(pk=case.pk).source
        if seen not in ("", stamp(now)) and now != source:
            raise ValidationError(
                _(
                    "Somebody else has changed this case since you opened it. Look at it in another tab, or "
                    "save again: then yours replaces theirs."
                )
            )
        if case.template.cases.filter(name=name).exclude(pk=case.pk).exists():
            raise ValidationError(_("There is another case named %(name)s.") % {"name": name})
        case.by_example = case.by_example and source == now
        before, case.name, case.source = case.name, name, source
        case.save(update_fields=["name", "source", "by_example"])
        _record(case.template, (before, name))


@transaction.atomic
def replace_by_example(template: Template, cases: Iterable[Mapping[str, Any]]) -> None:
    """Puts cases that were built by example in the place of earlier ones; an author's own stay.

    A name that one of these has, or an earlier one of the cases, gets a number. Raises ValidationError for
    cases that are too many, with the author's own, or too large.
    """
    Template.objects.select_for_update(no_key=True).get(pk=template.pk)
    template.cases.filter(by_example=True).delete()
    taken = set(template.cases.values_list("name", flat=True))
    made = []
    for case in cases:
        name = named_apart(str(case["name"]), taken)
        taken.add(name)
        source = written({**case, "name": name})
        _check_size(source)
        made.append(TemplateCase(template=template, name=name, source=source, by_example=True))
    if len(taken) > MAX_CASES:
        raise ValidationError(
            _("With those of this document, there are more than %(count)d cases. Delete some of yours first.")
            % {"count": MAX_CASES}
        )
    TemplateCase.objects.bulk_create(made)


@transaction.atomic
def delete(case: TemplateCase) -> None:
    """Deletes a case."""
    case.delete()
    _record(case.template, (case.name, ""))


def _record(template: Template, names: tuple[str, str]) -> None:
    audit.record(audit.Action.CHANGED, template, {_("case"): names})


def _check_size(source: str) -> None:
    if len(source.encode()) > MAX_BYTES:
        raise ValidationError(_("The case is larger than 64 KiB."))
