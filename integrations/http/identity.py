"""What django-allauth takes for a session of the library requests, made of `fetch`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlencode

import requests
from django.conf import settings
from requests.auth import HTTPBasicAuth, _basic_auth_str

from integrations.events import Fault
from integrations.http.session import fetch

MAX_BYTES = 512 * 1024
SECONDS = 10


class Session:
    """Requests to the identity providers that the operator has configured, and to where these refer.

    The guard is the same as for all other requests; only the providers' own origins may be private, since an
    operator has named them. A response is at most 512 KiB, has ten seconds, and redirects nowhere.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def request(
        self,
        method: str,
        url: str,
        *,
        params: None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: HTTPBasicAuth | None = None,
    ) -> requests.Response:
        """Raises requests.RequestException for whatever keeps an answer from coming."""
        sent = {"Accept": "application/json", **(headers or {})}
        if auth is not None:
            sent["Authorization"] = _basic_auth_str(auth.username, auth.password)
        if data is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        answer = fetch(
            url,
            method=method,
            headers=sent,
            body=urlencode(data).encode() if data is not None else None,
            max_bytes=MAX_BYTES,
            timeout=SECONDS,
            max_redirects=0,
            trusted=[item.issuer for item in settings.IDENTITY_PROVIDERS],
        )
        if isinstance(answer, Fault):
            raise requests.ConnectionError(answer.text)
        found = requests.Response()
        found.status_code, found._content, found.url = answer.status, answer.body, url
        found.headers.update({"content-type": "application/json", **answer.headers})
        return found

    def get(self, url: str, **more: Any) -> requests.Response:
        return self.request("GET", url, **more)
