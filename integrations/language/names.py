"""The variables that shapes may read or bind, by where they may, each with its line in the reference."""

from __future__ import annotations

# What a request may read. Editors show these lines without their links.
REQUEST_VARIABLES = {
    "from": "our number, in the format set for it",
    "to": "the contact's number; in [`SendGroup`](#groups-sendgroup) a list of the numbers of all members",
    "content": "the text in SendMessage and SendGroup, the file's URL in SendFile",
    "text": 'always the text, `""` if there is none',
    "url": "the URL of the first file",
    "urls": "the URLs of all files",
    "media": "a list of files with `url`, `content_type`, `filename`, `size`, `content` (bytes in multipart, "
    "else Base64)",
    "text_with_media": "the text, followed by the URLs, each on its own line",
    "parts": "the [parts](#long-texts-split) of the text, a list",
    "part_no": "the number of the request, from 1. Uploads are not counted; in one, the number is the file's",
    "first_part": "whether the request is the first of its message",
    "last_part": "whether the request is the last of its message",
    "message_uuid": "Patchbay's id of the message, the same for each attempt",
    "attempt_no": "the number of the attempt, from 1",
    "webhook_url": "the URL for the provider's webhook requests",
    "now": "the current time, ISO 8601 in UTC",
    "nonce": "32 hexadecimal digits that no other request has",
    "country": "the country of our number, two letters",
    "domain": "the domain of the organization",
    "orgid": "the id of the organization",
    "extension": "the extension of the user who sends the message, if there is one",
    "userid": "the id of the user who sends the message, if there is one",
    "username": "the name of the user who sends the message, if there is one",
    "reply_to": "the provider's id of the message to which this one replies, if known",
    "access_token": "with OAuth2 or [`Login`](#login): the token",
}
# What methods keep from one call to the next.
KEPT_VARIABLES = {
    "cursor": "in [`ReceiveMessages`](#receivemessages): what an event bound last; unset at first",
    "subscription_id": "in [`Subscribe` and `Unsubscribe`](#subscribe-and-unsubscribe): the provider's id of "
    "the subscription",
    "subscription_expires_in": "in [`Subscribe`](#subscribe-and-unsubscribe), which binds it: the seconds "
    "until the subscription ends",
}
RESPONSE_VARIABLES = {
    "response": "the body of the response as a document",
    "headers": "the headers of the response",
    "status": "the status of the response",
    "body": "the body of the response as text",
}
BOUND_VARIABLES = {
    "from": "the sender, [read](numbers.md) with the country of our number. Short codes, names and whatever "
    "is no number stay as they are; the filters of numbers leave them, too. If the provider writes the "
    "country code without a plus, say so: `$from|international$`",
    "to": "our number, or a list of numbers, as it is written in the [settings of the "
    "number](../how-to/set-up-a-number.md#add-it), by default with a plus: `$to|international$` adds it. By "
    "default `?to=` of the webhook URL, or else the integration's only number",
    "members": "in a [group](#groups-sendgroup): the numbers of those who take part, a list; the sender's "
    "and those in `to` may be among them, and are left out",
    "content": "the text; another name of it is `text`",
    "text": "the text; another name of it is `content`",
    "url": "the files; another name of them is `urls`; `data:` URIs are possible",
    "urls": "the files; another name of them is `url`; `data:` URIs are possible",
    "messageid": "the provider's id of the message",
    "message_uuid": "our id, if the provider returns it; any other id counts as missing",
    "date": "the time of the event, ISO 8601 after filters; any other text counts as unset",
    "sendername": "the contact's name, if the provider knows it",
    "status": "the provider's word for the [status](#statuses)",
    "error_code": "of a status: the provider's code of the error",
    "error_text": "of a status: what the provider says of the error",
}
# What further shapes of responses may bind.
RESULT_VARIABLES = {
    "messageid": "the provider's id of the message",
    "expires_in": "in [`Login`](#login): the seconds for which the token is valid",
    "expires_at": "in [`Login`](#login): until when the token is valid, a date or seconds since 1970",
}
EVENT_KEY = {"event_key": "the `event_key` of the event"}
EXCHANGE_VARIABLES = {
    "request": "the body of the request as a document; for GET and forms with the fields of the query",
    "query": "the fields of the query",
    "headers": "the headers of the request",
    "body": "the body of the request as it arrived",
    "method": "the method of the request, such as `POST`",
}
VERIFY_VARIABLES = EXCHANGE_VARIABLES | {
    "url": "the complete public URL of the request",
    "ip": "the address that the request comes from",
    "now": "the current time, ISO 8601 in UTC",
}

SENDING = frozenset(REQUEST_VARIABLES)
KEPT = frozenset(KEPT_VARIABLES)
RESPONSE = frozenset(RESPONSE_VARIABLES)
BOUND = frozenset(BOUND_VARIABLES)
EXCHANGE = frozenset(EXCHANGE_VARIABLES)
# Variables of later versions: a document that was stored before may have a property with such a name.
RECENT = KEPT | {"nonce", "members"}
BUILT_IN = SENDING | BOUND | EXCHANGE | RESPONSE | KEPT | {"event_key", "_"}
