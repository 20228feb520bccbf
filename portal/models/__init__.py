"""Who: accounts of resellers, their organizations, users with their roles, and API tokens."""

from portal.models.audit_entries import AuditEntry
from portal.models.invitations import Invitation
from portal.models.keys import KeyCheck
from portal.models.organizations import Account, Organization, SecondFactor, is_domain
from portal.models.people import Membership, User
from portal.models.sessions import SeenSession
from portal.models.tokens import PersonalToken
from portal.models.views import SavedView

__all__ = [
    "Account",
    "AuditEntry",
    "Invitation",
    "KeyCheck",
    "Membership",
    "Organization",
    "PersonalToken",
    "SavedView",
    "SecondFactor",
    "SeenSession",
    "User",
    "is_domain",
]
