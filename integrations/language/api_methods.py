"""The methods of the API section. Each is declared here, once, and called in one place."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.language.names import SENDING


@dataclass(frozen=True)
class ApiMethod:
    """A method that a template may describe under `API`.

    `purpose` and `called_when` are its cells in the reference. `variables` may be read by its shapes, besides
    the properties. The message decides whether a method with `sends_message` is called; any other is called
    by its name. A method with `per_file` makes a request for each file, unless its shapes read all files.
    Its `response_map` and `response_headers` may bind the names in `binds` (None: any own names), and have to
    bind `must_bind`. One that `receives` has events, which are matched against its answers.
    """

    name: str
    purpose: str
    called_when: str
    variables: frozenset[str]
    sends_message: bool = True
    per_file: bool = False
    binds: frozenset[str] | None = frozenset(["messageid"])
    must_bind: str = ""
    receives: bool = False


SEND_MESSAGE = ApiMethod(
    "SendMessage",
    "sends a text",
    "a message has no files, or has files that `SendFile` does not take: their URLs follow the text",
    SENDING,
)
SEND_FILE = ApiMethod(
    "SendFile",
    "sends files, with or without a text",
    "a message has files, and `when` holds",
    SENDING,
    per_file=True,
)
SEND_GROUP = ApiMethod(
    "SendGroup",
    "sends a text, files or both to all members of a group",
    "a message is for a group: `$to$` is the list of its members; without it, groups are answered one by one",
    SENDING,
    per_file=True,
)
UPLOAD_FILE = ApiMethod(
    "UploadFile",
    "uploads a file; what its `response_map` binds become keys of that file in `$media$`",
    "a message has files that a method reads from `$media$`: once for each file for which `when` holds, "
    "before the message is sent",
    SENDING,
    sends_message=False,
    per_file=True,
    binds=None,
)
CHECK_CREDENTIALS = ApiMethod(
    "CheckCredentials",
    "shows whether the credentials are right, at no cost",
    "an administrator clicks *Check credentials*; without this method there is no such button",
    frozenset(["access_token", "now", "nonce", "orgid", "domain", "webhook_url"]),
    sends_message=False,
)
LOGIN = ApiMethod(
    "Login",
    "obtains an access token, at a service whose login is its own and not OAuth2",
    "values have changed, before the token expires, and once after a 401",
    frozenset(["now", "nonce", "orgid", "domain", "webhook_url"]),
    sends_message=False,
    binds=frozenset(["access_token", "expires_in", "expires_at"]),
    must_bind="access_token",
)

RECEIVE_MESSAGES = ApiMethod(
    "ReceiveMessages",
    "asks for what has arrived, at a provider that calls no webhook",
    "every `interval` seconds, while the integration is switched on and not held; if it is paused, only once "
    "the pause is over",
    CHECK_CREDENTIALS.variables | {"cursor"},
    sends_message=False,
    binds=frozenset(),
    receives=True,
)
SUBSCRIBE = ApiMethod(
    "Subscribe",
    "has the provider call the webhook",
    "the integration is switched on, its webhook URL or values change, or its subscription is about to end",
    CHECK_CREDENTIALS.variables | {"subscription_id"},
    sends_message=False,
    binds=frozenset(["subscription_id", "subscription_expires_in"]),
)
UNSUBSCRIBE = ApiMethod(
    "Unsubscribe",
    "ends a subscription",
    "the integration is switched off, or a new subscription has replaced this one",
    CHECK_CREDENTIALS.variables | {"subscription_id"},
    sends_message=False,
    binds=frozenset(),
)

METHODS = {
    method.name: method
    for method in (
        SEND_MESSAGE,
        SEND_FILE,
        SEND_GROUP,
        UPLOAD_FILE,
        CHECK_CREDENTIALS,
        LOGIN,
        RECEIVE_MESSAGES,
        SUBSCRIBE,
        UNSUBSCRIBE,
    )
}
