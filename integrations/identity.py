"""The requests to identity providers, made by the portal's own transport."""

from __future__ import annotations

from typing import Any

from integrations.http.identity import Session
from portal.identities import sign_in


class Adapter(sign_in.Adapter):
    """Signs people in with identity providers; SOCIALACCOUNT_ADAPTER."""

    def get_requests_session(self) -> Any:
        return Session()
