"""What the names and words of providers usually mean."""

from __future__ import annotations

import re


def plain(name: str) -> str:
    """A name without case and punctuation: `messageId` and `message-id` are one."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _words(source: str) -> frozenset[str]:
    return frozenset(source.split())


RECIPIENT = _words(
    "to recipient recipients destination destinations dst dest destinationnumber destinationaddress "
    "destinationaddr sendto receiver tonumber toaddress toaddr smsto da shortcode inboundnumber tophone"
)
SENDER = _words(
    "from sender senderid originator source src origin fromnumber fromaddress fromaddr sourceaddress "
    "sourceaddr sourcenumber smsfrom oa sendernumber fromphone"
)
# Whose number this is depends on the direction.
NUMBER = _words(
    "phone phones phonenumber phonenumbers mobile mobiles mobilenumber msisdn msisdns number numbers "
    "address contact"
)
TEXT = _words(
    "text message body content msg sms messagetext smstext messagebody smsbody contents messagecontent "
    "msgtext smsmessage unicodetext"
)
# What stands under a name of a text and is none: what kind of text it is, or how it is written.
_KINDS_OF_TEXT = _words(
    "text plain plaintext html markdown sms mms rcs flash auto automatic default unicode utf8 utf16 ucs2 gsm "
    "gsm7 ascii latin1 binary hex base64 media image video audio document file template otp transactional "
    "promotional marketing notification alert normal standard premium long short concat single multipart "
    "inbound outbound incoming outgoing received sent delivered send mt mo dlr true false yes no on off none "
    "null undefined string object"
)
FILE = _words(
    "media mediaurl mediaurls mediaurl0 mediaurl1 attachment attachments attachmenturl image images "
    "imageurl file files fileurl picture pictureurl contenturl mediafile mediafiles mmsurl mmsmedia"
)
# The best name first.
IDS = tuple(
    """
    messageid messageuuid msgid smsid messagesid smsmessageid apimessageid mid sid uuid id guid requestid
    messageguid transactionid batchid jobid trackingid reference ref
    """.split()  # noqa: SIM905 (a list of names reads better without quotes)
)
REFERENCE = _words(
    "reference clientreference clientref customid customerid externalid correlator callbackdata "
    "clientmessageid userreference messagereference clientid ref custommessageid correlationid"
)
STATUS = _words(
    "status state messagestatus deliverystatus dlrstatus deliverystate smsstatus stat messagestate "
    "statusname dlr dlrcode statuscode deliverycode eventtype event"
)
ERROR_CODE = _words(
    "errorcode errcode err error code reasoncode statuserrorcode failurecode networkerrorcode errornumber "
    "faultcode"
)
ERROR_TEXT = _words(
    "errormessage errordescription errormsg errortext description reason detail details message error "
    "title statusdescription statusreason failurereason faultstring msg errors"
)
FAILURE = re.compile(
    r"err(or)?|fail(ed|ure)?|invalid|denied|reject(ed)?|refused|unauthori[sz]ed|forbidden|exception"
)
NAME = _words("sendername contactname fullname profilename displayname visitorname firstname")
CALLBACK = re.compile(
    r"callback|webhook|notif|hook|(report|dlr|dr|delivery|status)_?-?(url|uri)|whendelivered"
)
CREDENTIAL = _words(
    "key token password pass passwd pwd secret auth authorization hash jwt cookie bearer credential "
    "apipass signature passphrase"
)
CREDENTIAL_ENDS = ("apikey", "token", "secret", "password", "accesskey", "secretkey", "authkey", "userkey")
CREDENTIAL_PARTS = (
    "authoriz", "authoris", "authentication", "cookie", "password", "secret", "apikey", "subscriptionkey",
    "credential",
)  # fmt: skip
ACCOUNT = _words(
    "username user userid userkey login account accountid accountsid accountno accountnumber "
    "accountreference accountref clientid appid applicationid projectid organizationid profileid "
    "messagingprofileid subaccount tenantid workspaceid apiuser apiusername apiid accounts projects "
    "services users apps keyid"
)
ACCOUNT_ENDS = ("username", "userid", "accountid", "clientid")
KIND = _words(
    "type event eventtype direction kind action method recordtype messagetype name object category topic "
    "notificationtype webhooktype hooktype resource"
)
DATE = re.compile(
    r"date|time|timestamp|created|received|sent|delivered|updated|done|occurred|_at$|At$|^ts$|^at$"
)


def is_private(name: str) -> bool:
    """Whether the value of this name, of a header or a field, is a credential."""
    word = plain(name)
    return (
        word in CREDENTIAL
        or word.removeprefix("x") in CREDENTIAL - {"signature"}
        or word.endswith(CREDENTIAL_ENDS)
        or any(part in word for part in CREDENTIAL_PARTS)
    )


STATUSES = {
    "delivered": "delivered", "delivrd": "delivered", "deliveredtohandset": "delivered",
    "deliveredtoterminal": "delivered", "deliverysuccess": "delivered", "deliverysuccessful": "delivered",
    "sent": "sent", "submitted": "sent", "enroute": "sent", "dispatched": "sent", "senttocarrier": "sent",
    "deliveredtonetwork": "sent", "buffered": "sent",
    "queued": "queued", "accepted": "queued", "acceptd": "queued", "pending": "queued", "scheduled": "queued",
    "sending": "queued", "processing": "queued", "created": "queued",
    "read": "read", "seen": "read", "displayed": "read",
    "failed": "failed", "undelivered": "failed", "undeliv": "failed", "undeliverable": "failed",
    "rejected": "failed", "rejectd": "failed", "expired": "failed", "deleted": "failed", "error": "failed",
    "blocked": "failed", "canceled": "failed", "cancelled": "failed", "notdelivered": "failed",
    "deliveryfailed": "failed", "deliveryfailure": "failed", "failure": "failed", "invalid": "failed",
}  # fmt: skip
_USUAL = "queued sent delivered read failed undelivered rejected expired".split()  # noqa: SIM905
_OF_SMPP = "ENROUTE ACCEPTD DELIVRD UNDELIV REJECTD EXPIRED DELETED".split()  # noqa: SIM905
_LAST_WORD = re.compile(r"(?s)(.*[.:/ ])?([^.:/ ]+)")


def status_of(word: str) -> str:
    """Our status for a provider's word, also at the end of an event's name; "" if it is not known."""
    found = _LAST_WORD.fullmatch(word.strip())
    return STATUSES.get(plain(word)) or (STATUSES.get(plain(found[2]), "") if found else "")


def status_table(word: str) -> dict[str, str]:
    """A table for the words of a provider that says this one; a word that is not known is ignored."""
    status = status_of(word)
    if not status or not word.strip():
        return {word: "ignore"} if word.strip() else {}
    found = _LAST_WORD.fullmatch(word.strip())
    before = found[1] or "" if found and plain(found[2]) in STATUSES else ""
    usual = _OF_SMPP if plain(word.removeprefix(before)) in map(plain, _OF_SMPP) else _USUAL
    table = {word: status}
    known = {word.casefold()}
    for each in usual:
        name = f"{before}{each}"
        name = name.upper() if word.isupper() else name
        if name.casefold() not in known:
            table[name] = STATUSES[plain(each)]
    return table


_KIND = re.compile(r"[A-Z0-9_.:/-]+|[a-z0-9]+(?:[_.:/-][a-z0-9]+)+|[0-9 +().,:-]+")


def is_sentence(value: str) -> bool:
    """Whether a value can only be written for people, or stands for such a text."""
    return " " in value.strip() or len(value) > 12 or placeholder(value) is not None


def is_brief_text(value: str) -> bool:
    """Whether a single word may be a text, such as Hello, and no word of an API, such as PLAIN."""
    return bool(value.strip()) and plain(value) not in _KINDS_OF_TEXT and not _KIND.fullmatch(value)


_WORDS = re.compile(r"[A-Z]+[0-9]*(?![a-z])|[A-Z]?[a-z]+[0-9]*|[0-9]+")
_ACRONYMS = {"api", "id", "url", "sms", "sid", "uuid", "http", "tm", "mms"}
_JOINED = {
    "apikey": "API key", "apitoken": "API token", "accesskey": "access key", "authtoken": "auth token",
    "authkey": "auth key", "accesstoken": "access token", "apisecret": "API secret", "userid": "user ID",
    "accountid": "account ID", "accountsid": "account SID", "clientid": "client ID", "appid": "app ID",
    "accountreference": "account reference", "apiuser": "API user", "apiid": "API ID",
    "username": "user name", "secretkey": "secret key",
}  # fmt: skip


def label_of(name: str) -> str:
    """A label for people, made of a name: `X-Api-Key` is an API key; "" if nothing is left of it."""
    words = [word.casefold() for word in _WORDS.findall(name)]
    words = [word for word in words if word not in ("x", "your", "my", "the", "xxx")]
    joined = [_JOINED.get(word) or (word.upper() if word in _ACRONYMS else word) for word in words]
    label = " ".join(joined)[:50].strip()
    return label[:1].upper() + label[1:]


_RANDOM = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_~+/=-]{20,}")


def is_random(value: str) -> bool:
    """Whether a value looks like a key that was made by a machine."""
    return _RANDOM.fullmatch(value) is not None


_PLACEHOLDER = re.compile(
    r"<(?P<angle>[^<>]{1,60})>|\{\{?(?P<brace>[^{}]{1,60})\}?\}|\$\{?(?P<dollar>[A-Za-z_]\w{0,60})\}?"
    r"|\[(?P<bracket>[A-Za-z_ -]{1,60})\]|:(?P<colon>[A-Za-z_]{2,40})"
    r"|(?P<your>(?i:your)[ _-][A-Za-z_ -]{1,60})|(?P<crosses>[xX*•.]{3,}|\.\.\.|…)"
)


def placeholder(value: str) -> str | None:
    """The name in a text that documentation writes for a value, as `<token>`; None for any other text."""
    found = _PLACEHOLDER.fullmatch(value.strip())
    if found is None:
        return None
    return next((name for kind, name in found.groupdict().items() if name and kind != "crosses"), "").strip()


def stands_for_credential(value: str) -> bool:
    """Whether a text is what documentation writes for a credential: `$TOKEN`, no password `$ecret1`."""
    name = placeholder(value)
    if name is None:
        return plain(value) in CREDENTIAL | ACCOUNT
    return not name or is_private(name) or plain(name) in ACCOUNT
