"""Sign-ins and their ends, failures, lock-outs, second factors; failures are bounded, however many."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import user_logged_in
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.signals import user_logged_out
from django.core.cache import cache
from django.db.models.signals import post_save, pre_delete
from django.dispatch import receiver
from django.utils.translation import gettext as _

from portal.audit import origin
from portal.audit.recording import record
from portal.models import User
from portal.models.audit_entries import Action
from portal.throttling import HOUR

# Within an hour, so many failures are recorded of one address, as one user, and of all together. What comes
# after is recorded at each power of ten, with its number.
PER_ADDRESS, PER_USER, IN_ALL = 20, 20, 1000


def failed(email: str, action: Action = Action.SIGN_IN_FAILED) -> None:
    """Records a refused sign-in; of an address that no user has, it does not say which it was.

    People type passwords where the address belongs.
    """
    user = User.objects.filter(email=email.strip().lower()[:254]).first() if email else None
    _record(action, user)


def _record(action: Action, user: User | None) -> None:
    address = origin.current().address
    number = _count(f"{action}:all")
    few = (
        _count(f"{action}:from:{address}") <= PER_ADDRESS
        and _count(f"{action}:as:{user.pk if user else ''}") <= (PER_USER if user else IN_ALL)
        and number <= IN_ALL
    )
    if few:
        record(action, user, name="" if user else _("an unknown email address"))
    elif number >= IN_ALL and set(str(number)[1:]) == {"0"} and str(number)[0] == "1":
        record(action, name=_("many email addresses"), changes={_("within an hour"): ("", str(number))})


def _count(key: str) -> int:
    key = f"audit:{key}"
    cache.add(key, 0, HOUR)
    try:
        return cache.incr(key)
    except ValueError:  # it expired in between
        return 1


@receiver(user_logged_in, dispatch_uid="audit")
def _signed_in(user: User, **more: Any) -> None:
    record(Action.SIGNED_IN, user, actor=user)


@receiver(user_logged_out, dispatch_uid="audit")
def _signed_out(user: User | None, **more: Any) -> None:
    if user is not None:
        record(Action.SIGNED_OUT, user, actor=user)


@receiver(mfa.authentication_failed, dispatch_uid="audit")
def _second_factor_failed(user: User, **more: Any) -> None:
    _record(Action.SIGN_IN_FAILED, user)


# The signals of allauth for these are sent after the commit.


@receiver(post_save, sender=Authenticator, dispatch_uid="audit")
def _second_factor_added(instance: Authenticator, created: bool, **more: Any) -> None:
    if created:
        record(Action.SECOND_FACTOR, instance.user, {instance.get_type_display(): ("", _("added"))})


@receiver(pre_delete, sender=Authenticator, dispatch_uid="audit")
def _second_factor_removed(instance: Authenticator, **more: Any) -> None:
    record(Action.SECOND_FACTOR, instance.user, {instance.get_type_display(): ("", _("removed"))})


@receiver(post_save, sender=SocialAccount, dispatch_uid="audit")
def _identity_linked(instance: SocialAccount, created: bool, **more: Any) -> None:
    if created:
        record(Action.IDENTITY, instance.user, {instance.provider: ("", _("linked"))}, actor=instance.user)


@receiver(pre_delete, sender=SocialAccount, dispatch_uid="audit")
def _identity_removed(instance: SocialAccount, **more: Any) -> None:
    record(Action.IDENTITY, instance.user, {instance.provider: ("", _("removed"))})
