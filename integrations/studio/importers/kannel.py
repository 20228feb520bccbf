"""An `smsc` group of a kannel.conf, of the type http and the system type generic.

Its facts are those of Kannel 1.4.5 (gw/smsc/smsc_http.c, gw/urltrans.c): the message that goes out is not
turned around as in an sms-service, so `%p` is its recipient and `%P` its sender.
"""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.language.values import Number
from integrations.studio.importers.report import Draft, ImportProblem, ImportReport, chosen
from integrations.studio.importers.variables import Variables
from integrations.studio.writing import literal, plain_value

_GROUP = re.compile(r'(?m)^[ \t]*group[ \t]*=[ \t]*"?smsc"?[ \t]*$')
_SETTING = re.compile(r"[ \t]*([\w-]+)[ \t]*=[ \t]*(.*?)[ \t]*")
_CODE = r"%(#[^#\n]*#[^#\n]*#|[aAbBcCdDfFiIkmMnoOpPqQrRsStTuvV%])"
_CODES = {
    **dict.fromkeys("aAb", "$content$"),
    **dict.fromkeys("pq", "$to$"),
    **dict.fromkeys("PQ", "$from$"),
    **dict.fromkeys("IF", "$message_uuid$"),
    "R": "$webhook_url$",
    "t": "$now|date:'%Y-%m-%d %H:%M:%S'$",
    "T": "$now|timestamp$",
    "C": "UTF-8",
    "c": "0",
    "d": "31",
    "%": "%",
}
_CODING = {"$first": [{"$when": {"$content|is_gsm7$": True}, "$value": "0"}, "2"]}
_IDS = ("generic-foreign-id-regex", "generic-message-id-regex")
_READ = {
    "group", "smsc", "system-type", "smsc-id", "send-url", "status-success-regex", "status-permfail-regex",
    "status-tempfail-regex", "generic-foreign-id-regex", "generic-message-id-regex", "smsc-username",
    "smsc-password", "throughput", "connect-allow-ip", "port", "generic-param-username",
    "generic-param-password", "generic-param-from", "generic-param-to", "generic-param-text",
    "generic-param-dlr-mask", "generic-param-dlr-mid", "generic-param-dlr-err", "generic-message-sent",
    "generic-status-sent", "generic-status-error",
}  # fmt: skip
_WHY = {
    "alt-charset": gettext_lazy("Texts are sent and read in UTF-8."),
    "use-ssl": gettext_lazy("The URL says whether TLS is used."),
}


def fits(text: str) -> bool:
    """Whether the text has an smsc group."""
    return _GROUP.search(text) is not None


def read(text: str, name: str) -> ImportReport:
    """The document for an smsc group, chosen by its smsc-id. Raises ImportProblem."""
    groups = _groups(text)
    candidates = [group for group in groups if group.get("group") == "smsc" and group.get("smsc") == "http"]
    if not candidates:
        raise ImportProblem(
            _("There is no group with “group = smsc” and “smsc = http”. Only those are requests over HTTP.")
        )
    names = [group.get("smsc-id", "smsc") for group in candidates]
    several = _("There are several smsc groups. Choose one by its smsc-id:")
    group = candidates[chosen(names, name, several)]
    system = group.get("system-type", "")
    if system != "generic":
        raise ImportProblem(
            _(
                "The system-type of this group is “%(type)s”. Only “generic” says how a request looks. For a "
                "Kannel behind it, enable the service Kannel of the catalogue."
            )
            % {"type": system[:40]}
        )
    draft = Draft()
    for other in groups:
        if other is not group and other.get("group"):
            draft.leave(_("The group “%(name)s” was not taken.") % {"name": other["group"][:60]})
    return _imported(group, draft)


def _groups(text: str) -> list[dict[str, str]]:
    """The settings of each group; groups are apart by empty lines."""
    groups: list[dict[str, str]] = [{}]
    for line in text.split("\n"):
        if not line.strip():
            groups.append({})
        elif not line.lstrip().startswith("#") and (found := _SETTING.fullmatch(line)):
            value = found[2]
            if len(value) > 1 and value[0] == value[-1] == '"':
                value = value[1:-1].replace('\\"', '"')
            groups[-1][found[1].lower()] = value
    return [group for group in groups if group]


def _imported(group: dict[str, str], draft: Draft) -> ImportReport:
    url = group.get("send-url", "")
    variables = Variables(draft, _CODE, lambda code: _code(code, group, draft))
    base, query, host = variables.url("send-url", url)
    for key in re.findall(r"[?&]([^=&#]+)=%c(?=&|#|$)", url):
        if key in query:
            query[key] = _CODING
    method: dict[str, Any] = {"request_method": "GET", "request_url": base}
    if query:
        method["request_parameters"] = query
    draft.take(_("“send-url” is the request that sends a text."))
    draft.leave(_("Texts are sent in UTF-8. Check that the provider reads accents and emojis so."))
    identified = _response(group, method, draft) or bool(re.search("%[IF]", url))
    document: dict[str, Any] = {"API": {"SendMessage": method}}
    if rate := group.get("throughput"):
        try:
            document["limits"] = {"per_second": plain_value(Number(f"{float(rate):g}"))}
            draft.take(_("“throughput” is the limit of messages per second."))
        except ValueError:
            draft.leave_key("throughput")
    document["Webhook"] = _webhook(group, draft, identified)
    for key in group:
        if key not in _READ:
            draft.leave_key(key, str(_WHY.get(key, "")))
    return draft.report(document, host=host, name=group.get("smsc-id", ""))


def _code(code: str, group: dict[str, str], draft: Draft) -> str | None:
    if code == "i":
        return literal(group.get("smsc-id", ""))
    if code in _CODES:
        return _CODES[code]
    draft.leave(
        _("The code %(code)s of “send-url” has no counterpart, and was left out.") % {"code": f"%{code[:60]}"}
    )
    return ""


def _response(group: dict[str, str], method: dict[str, Any], draft: Draft) -> bool:
    """Writes how answers are read; whether they have an id of the message."""
    method["response_format"] = "text"
    if success := group.get("status-success-regex"):
        method["response_success"] = {"$body$": {"matches": success}}
        draft.take(_("“status-success-regex” says which answers mean that the text is sent."))
        draft.leave(_("Kannel passes over the status of an answer; here, it must be from 200 to 299."))
    rules = []
    for key, result in (("status-permfail-regex", "failed"), ("status-tempfail-regex", "retry")):
        if pattern := group.get(key):
            found = {"matches": pattern, **({"not": {"matches": success}} if success else {})}
            rules.append({"when": {"$body$": found}, "result": result, "text": "$body|trim$"})
            draft.take(_("“%(key)s” is a rule for answers that mean a failure.") % {"key": key})
    if rules:
        method["response_errors"] = rules
    key = next((key for key in _IDS if group.get(key)), "")
    if not key:
        return False
    pattern = group[key].replace("'", "''")
    method["response_map"] = f"$messageid?|match:'{pattern}'$"
    draft.take(_("“%(key)s” finds the id of the message in the answer.") % {"key": key})
    return True


def _webhook(group: dict[str, str], draft: Draft, identified: bool) -> dict[str, Any]:
    """What comes from the provider, at the port of the group."""

    def called(name: str) -> str:
        key = draft.vocabulary.key(group.get(f"generic-param-{name}") or name)
        return key or name

    response: dict[str, Any] = {"content_type": "text/plain"}
    response["status"] = _status(group, "generic-status-sent") or 202
    answer = Variables(draft, _CODE, lambda code: "$message_uuid$" if code in "IF" else "")
    response["body"] = answer.text(answer.mark(group.get("generic-message-sent", "Sent")))
    if error := _status(group, "generic-status-error"):
        response["error"] = {"status": error}
    section: dict[str, Any] = {"response": response}
    if password := group.get("smsc-password"):
        value = draft.secret("smsc-password", "Webhook password", password)
        check = {"name": called("password"), "value": value}
        section["verify"] = [
            {"when": {"$method$": "GET"}, "type": "query", **check},
            {"type": "field", **check},
        ]
        if group.get("smsc-username"):
            draft.leave_key("smsc-username", _("The password alone proves who calls."))
    elif addresses := group.get("connect-allow-ip"):
        section["verify"] = {
            "type": "ip",
            "ranges": [*map(_network, re.split(r"[;,\s]+", addresses.strip("; ")))],
        }
        draft.take(_("“connect-allow-ip” says from which addresses webhooks may come."))
    else:
        draft.leave(_("Nothing proves who calls the webhook URL, as in Kannel. Add “verify” if you can."))
    identifier = "$messageid$" if any(group.get(key) for key in _IDS) else "$message_uuid$"
    events: list[dict[str, Any]] = []
    if identified:
        events.append(
            {
                "event_type": "messageStatus",
                "request_parameters": {
                    called("dlr-mid"): identifier,
                    called("dlr-mask"): "$status$",
                    f"{called('dlr-err')}?": "$error_code?$",
                },
                "status_map": {"1": "delivered", "2": "failed", "4": "queued", "8": "sent", "16": "failed"},
            }
        )
        draft.take(_("Delivery reports are read from the fields that “generic-param-dlr-…” name."))
    else:
        draft.leave(
            _(
                "Delivery reports were not taken, because nothing identifies their message: there is neither "
                "“generic-foreign-id-regex” nor %I in “send-url”."
            )
        )
    shape = {called("from"): "$from$", called("to"): "$to$", called("text"): "$content?$"}
    events.append({"event_type": "message", "request_parameters": shape})
    draft.take(_("Received texts are read from the fields that “generic-param-from”, -to and -text name."))
    draft.leave(_("“port” was not taken: have the provider call the webhook URL of the integration instead."))
    section["events"] = events
    return section


def _network(address: str) -> str:
    """The range of an address whose last parts may be asterisks."""
    parts = address.removesuffix(".").split(".")
    known = next((index for index, part in enumerate(parts) if part == "*"), 4)
    return address if known == 4 else ".".join([*parts[:known], *["0"] * (4 - known)]) + f"/{8 * known}"


def _status(group: dict[str, str], key: str) -> int | None:
    value = group.get(key, "")
    return int(value) if re.fullmatch(r"[2-5]\d\d", value) else None
