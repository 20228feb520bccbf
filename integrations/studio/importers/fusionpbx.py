"""The provider settings of FusionPBX's messages app: the rows of v_provider_settings.

Its facts are those of fusionpbx-app-messages (message_send_outbound.php sends, index.php receives).
"""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as _

from integrations.language.placeholders import STEP
from integrations.studio.importers.fusionpbx_rows import Provider, Setting, providers
from integrations.studio.importers.report import Draft, ImportProblem, ImportReport, chosen
from integrations.studio.importers.variables import Variables

_IN_URL = {"from": "from", "message_from": "from", "to": "to", "message_to": "to", "message_text": "content"}
_PATH = re.compile(rf"(?:{STEP}|\d{{1,2}}|@{STEP})(?:\.(?:{STEP}|\d{{1,2}}|@{STEP})){{0,8}}")
_MEDIA = ("message_media_url", "message_media_other")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def fits(text: str) -> bool:
    """Whether the text has rows of v_provider_settings."""
    return "provider_setting_name" in text.lower()


def read(text: str, name: str) -> ImportReport:
    """The document for a provider, chosen by its name. Raises ImportProblem."""
    found = providers(text)
    if not found:
        raise ImportProblem(_("There are no provider settings in this text, only their names."))
    several = _("There are several providers. Choose one by its name or provider_uuid:")
    provider = found[chosen([each.name for each in found], name, several)]
    return _Importer(provider).report()


class _Importer:
    def __init__(self, provider: Provider) -> None:
        self.provider, self.draft = provider, Draft()
        self.used: set[Setting] = set()
        self.variables = Variables(self.draft, r"\$\{(\w{1,40})\}", self._in_url)
        self.settings = [each for each in provider.settings if each.value]
        for each in self.settings:
            if not each.enabled:
                self.draft.leave_key(each.key, _("It is disabled."))
        self.settings = [each for each in self.settings if each.enabled]

    def report(self) -> ImportReport:
        api, host = self._api()
        document: dict[str, Any] = {"API": api}
        if events := self._events():
            document["Webhook"] = {"events": events}
            if self.provider.addresses:
                document["Webhook"]["verify"] = {"type": "ip", "ranges": self.provider.addresses}
                self.draft.take(_("“provider_address_cidr” says from which addresses webhooks may come."))
            else:
                self.draft.leave(
                    _(
                        "Nothing proves who calls the webhook URL: FusionPBX looks at addresses, which are "
                        "not part of the settings. Add “verify”."
                    )
                )
        for each in self.settings:
            if each not in self.used:
                self.draft.leave_key(each.key)
        name = self.provider.name if re.search("[A-Za-z]{2}", self.provider.name) else ""
        is_uuid = re.fullmatch(r"[0-9a-fA-F-]{32,36}", name)
        return self.draft.report(document, host=host, name="" if is_uuid else name)

    def _get(self, category: str, name: str, subcategory: str = "") -> str:
        """The value of a setting, "" without it."""
        value = ""
        for each in self._all(category, subcategory):
            if each.name == name:
                self.used.add(each)
                value = each.value
        return value

    def _all(self, category: str, subcategory: str = "") -> list[Setting]:
        return [
            each
            for each in self.settings
            if each.category == category and subcategory in ("", each.subcategory)
        ]

    def _in_url(self, name: str) -> str | None:
        variable = _IN_URL.get(name)
        return None if variable is None else self._number("outbound", variable)

    def _number(self, category: str, variable: str) -> str:
        """The placeholder of a number, as the format says that it is written."""
        form = self._get(category, f"message_{variable}", "format") if variable in ("from", "to") else ""
        before, rest = re.sub("[xXrR]+$", "", form), form
        filters = "plus" if before.startswith("+") else "digits" if before else "national"
        if not form or not re.fullmatch(r"\+?\d*[xXrR]+", rest):
            if form:
                self.draft.leave_key(f"{category} / format / message_{variable}")
            return f"${variable}$"
        if before.lstrip("+"):
            self.draft.leave(
                _("“%(key)s” writes numbers of one country; here, each has its own country code.")
                % {"key": f"{category} / format / message_{variable}"}
            )
        return f"${variable}|{filters}$"

    def _api(self) -> tuple[dict[str, Any], str]:
        address = self._get("outbound", "http_destination")
        if not address:
            raise ImportProblem(_("There is no setting http_destination, so nothing says where texts go."))
        base, query, host = self.variables.url("http_destination", address)
        self.draft.take(_("“http_destination” is the URL to which texts are sent."))
        method: dict[str, Any] = {"request_url": base}
        verb = (self._get("outbound", "http_method") or "POST").upper()
        if verb not in _METHODS:
            problem = _("“http_method” must be one of %(methods)s.")
            raise ImportProblem(problem % {"methods": ", ".join(_METHODS)})
        if verb != "POST":
            method["request_method"] = verb
        self._authentication()
        kind = (self._get("outbound", "content_type") or self._get("outbound", "type") or "json").lower()
        header = self._get("outbound", "http_content_type", "header").split(";")[0].strip().lower()
        is_json = kind == "json"
        if verb != "GET":
            if not is_json:
                method["request_content_type"] = "form"
            elif re.fullmatch(r"[\w.+-]+/[\w.+-]*json", header) and header != "application/json":
                method["request_content_type"] = header
            if header:
                self.draft.take(_("“http_content_type” is the content type of the request."))
        api: dict[str, Any] = {}
        wanted = {"SendMessage": False}
        if any(each.name == "message_media_url" for each in self._all("outbound", "content")):
            wanted["SendFile"] = True
        for key, with_files in wanted.items():
            fields = self._fields(with_files)
            own = dict(method)
            if verb == "GET":
                own["request_parameters"] = query | fields
            else:
                own |= {"request_query": query} if query else {}
                own |= {"request_parameters": fields} if fields else {}
            api[key] = own
        self.draft.leave(
            _(
                "FusionPBX does not look at the answer, so any status from 200 to 299 means that a text is "
                "sent, and delivery reports find no message. Add “response_map” with “$messageid$”."
            )
        )
        return api, host

    def _authentication(self) -> None:
        user, password = (self._get("outbound", f"http_auth_{each}") for each in ("username", "password"))
        self._get("outbound", "http_auth_type")
        if user and password:
            self.draft.basic("http_auth_password", user, password)
            self.draft.take(_("“http_auth_username” and “http_auth_password” are Basic authentication."))
        for each in self._all("outbound", "header"):
            if each.name.lower() != "http_content_type":
                self.used.add(each)
                self.draft.header(each.name, each.value)
                self.draft.take(_("Each request has the header “%(name)s”.") % {"name": each.name[:60]})

    def _fields(self, with_files: bool) -> Any:
        """The shape of the body, from paths with dots."""
        tree: dict[str, Any] = {}
        for each in self._all("outbound", "content"):
            if each.name not in ("message_from", "message_to", "message_content", "message_other", *_MEDIA):
                continue
            self.used.add(each)
            if each.name in _MEDIA and not with_files:
                continue
            path, shape = each.value, self._shape(each, with_files)
            if each.name in ("message_other", "message_media_other"):
                path, _equals, rest = each.value.partition("=")
                rest = rest.partition("=")[0]
                shape = self.draft.constant(path.rpartition(".")[2], rest)
            if each.name == "message_content" and with_files:
                path += "?"
            if not _PATH.fullmatch(path.removesuffix("?")) or not _put(tree, path.split("."), shape):
                self.draft.leave_key(each.key, _("Its value is not a path with dots that can be written."))
            else:
                self.draft.take(_("“%(key)s” says where a value stands in the request.") % {"key": each.key})
        return _lists(tree)

    def _shape(self, setting: Setting, with_files: bool) -> Any:
        if setting.name in ("message_from", "message_to"):
            number = self._number("outbound", setting.name.removeprefix("message_"))
            return [number] if setting.type == "array" else number
        if setting.name == "message_media_url":
            return "$urls$"
        return "$text$" if with_files else "$content$"

    def _events(self) -> list[dict[str, Any]]:
        """The events for a text and for a picture."""
        if not self._get("inbound", "message_from", "content"):
            return []
        kind = (self._get("inbound", "content_type", "content") or "json").lower()
        media = self._get("inbound", "message_media_array", "content")
        events = []
        for event_type in ("mms", "message") if media else ("message",):
            event: dict[str, Any] = {"event_type": event_type}
            if kind in ("get", "post"):
                event["request_method"] = kind.upper()
            tree: dict[str, Any] = {}
            variables: dict[str, Any] = {}
            for bound in ("from", "to", "content"):
                path = self._get("inbound", f"message_{bound}", "content")
                if path:
                    self._bind(tree, variables, path, bound, flat=kind in ("get", "post"))
            if event_type == "mms":
                self._bind_files(tree, variables, media)
            shape = _lists(tree)
            if shape:
                event["request_parameters"] = shape
            if variables:
                event["variables"] = variables
            events.append(event)
        for each in self._all("inbound", "format"):
            self.used.add(each)
            self.draft.leave_key(each.key, _("Numbers are read in any spelling."))
        self.draft.take(_("“inbound / content” says where the values of a received text stand."))
        return events

    def _bind(
        self, tree: dict[str, Any], variables: dict[str, Any], path: str, bound: str, *, flat: bool
    ) -> None:
        steps, key = [path] if flat else path.split("."), f"inbound / content / message_{bound}"
        shape = f"${bound}?$" if bound == "content" else f"${bound}$"
        if not _PATH.fullmatch(path):
            self.draft.leave_key(key, _("Its value is not a path with dots."))
        elif any(step.isdigit() for step in steps[1:]) and not steps[0].isdigit():
            name = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps)
            variables[bound] = f"$request{name}$"
        elif not _put(tree, steps, shape):
            self.draft.leave_key(key, _("Another value stands there, too."))

    def _bind_files(self, tree: dict[str, Any], variables: dict[str, Any], path: str) -> None:
        """Binds the URLs of files, which are the elements of a list or have a path in each element."""
        url = self._get("inbound", "message_media_url", "content")
        steps = path.split(".")
        if not _PATH.fullmatch(path) or (url and not _PATH.fullmatch(url)):
            self.draft.leave_key("inbound / content / message_media_array")
        elif not url or steps[0].isdigit():
            shape: Any = "$url$"
            for step in reversed(url.split(".") if url else []):
                shape = {step: shape}
            if not _put(tree, steps, ["$urls$"] if not url else [shape]):
                self.draft.leave_key("inbound / content / message_media_array")
        else:
            name = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps)
            variables["urls"] = f"$request{name}|pluck:'{url}'$"


def _put(tree: dict[str, Any], steps: list[str], shape: Any) -> bool:
    """Puts a shape at a path; whether there was room."""
    node: Any = tree
    for step in steps[:-1]:
        node = node.setdefault(step, {})
        if not isinstance(node, dict):
            return False
    if steps[-1] in node:
        return False
    node[steps[-1]] = shape
    return True


def _lists(node: Any) -> Any:
    """The tree with lists for objects whose keys are 0, 1, … ."""
    if isinstance(node, list):
        return [_lists(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node and list(node) == [str(index) for index in range(len(node))]:
        return [_lists(item) for item in node.values()]
    return {key: _lists(item) for key, item in node.items()}
