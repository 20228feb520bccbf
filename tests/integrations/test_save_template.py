"""`manage.py save_template`: a document from the command line into an account."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from integrations.models import Template
from portal.models import Organization


def document(folder: Path, name: str) -> str:
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"id": name, "name": "Mine", "Webhook": {"event_type": "ignore"}}))
    return str(file)


def saved(acme: Organization) -> list[tuple[str, int]]:
    return [
        (template.service_id, template.revisions.count())
        for template in Template.objects.filter(account=acme.account).order_by("pk")
    ]


def test_a_document_is_saved_and_revised(
    acme: Organization, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accountid = acme.account.accountid
    call_command("save_template", accountid, document(tmp_path, "mine"))
    call_command("save_template", accountid, document(tmp_path, "mine"))
    assert saved(acme) == [("mine", 2)]
    template = Template.objects.get(account=acme.account)
    assert (template.published, template.draft.number) == (None, 2)  # type: ignore[union-attr]
    assert capsys.readouterr().out.endswith(
        "Saved draft 2 of Mine. Nobody uses it until it is published: in the studio, or with --publish.\n"
    )
    call_command("save_template", accountid, document(tmp_path, "mine"), "--publish")
    template.refresh_from_db()
    assert (template.published.number, template.draft) == (3, None)  # type: ignore[union-attr]
    assert capsys.readouterr().out.endswith(
        "Published revision 3 of Mine. "
        f"Its webhook URL is http://localhost:8000/services/mine/a{accountid}.\n"
    )


def test_another_id_is_asked_back(acme: Organization, tmp_path: Path) -> None:
    accountid = acme.account.accountid
    call_command("save_template", accountid, document(tmp_path, "mine"), "--publish")
    other = document(tmp_path, "other")
    with pytest.raises(CommandError) as caught:
        call_command("save_template", accountid, other, "--replace", "mine", "--publish")
    assert f"/services/mine/a{accountid} becomes" in str(caught.value)
    assert f"/services/other/a{accountid}." in str(caught.value)
    assert str(caught.value).endswith("Add --change-url to confirm.")
    assert saved(acme) == [("mine", 1)]
    call_command("save_template", accountid, other, "--replace", "mine", "--publish", "--change-url")
    assert saved(acme) == [("other", 2)]


def test_what_cannot_be_saved_is_told(acme: Organization, tmp_path: Path) -> None:
    accountid, file = acme.account.accountid, document(tmp_path, "mine")
    with pytest.raises(CommandError, match="There is no account with the id 'nobody'"):
        call_command("save_template", "nobody", file)
    with pytest.raises(CommandError, match="has no template with the id 'other'"):
        call_command("save_template", accountid, file, "--replace", "other")
    (tmp_path / "wrong.json").write_text("{}")
    with pytest.raises(CommandError, match=r"wrong\.json:1:1: error: the document: The template needs 'id'"):
        call_command("save_template", accountid, str(tmp_path / "wrong.json"))
    (tmp_path / "latin.json").write_bytes(b"\xe9")
    with pytest.raises(CommandError, match="not valid UTF-8"):
        call_command("save_template", accountid, str(tmp_path / "latin.json"))
    assert saved(acme) == []
