"""The list of templates leads to the studio of those that one may change."""

from __future__ import annotations

import json

from integrations.models import Template
from portal.models import User
from tests.integrations.studio.conftest import PREVIEWED, Previewed, signed_in


def test_the_list_of_templates_names_the_studio(previewed: Previewed, operator: User) -> None:
    built_in = Template(account=None)
    built_in.revise(json.dumps({**PREVIEWED, "id": "built-in", "name": "Built in"}))
    page = previewed.client.get("/admin/integrations/template/").content.decode()
    assert f'<a href="{previewed.url}">Open in the studio</a>' in page
    assert page.count("Open in the studio") == 1 and "Built in" in page
    own = f"/admin/integrations/template/{built_in.pk}/change/"
    copied = f"/admin/integrations/template/add/?from=copy&amp;template={built_in.pk}"
    assert f'<a href="{own}">Look at it</a> · <a href="{copied}">Copy</a>' in page
    for link in (own, copied.replace("&amp;", "&")):
        assert previewed.client.get(link).status_code == 200
    assert page.count("Look at it") == Template.objects.filter(account=None).count()
    page = signed_in(operator).get("/admin/integrations/template/").content.decode()
    assert page.count("Open in the studio") == Template.objects.count()
