"""The page on which users choose how they are told, their devices, and what the open page asks for."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from messaging.errors import Refused
from messaging.inbox import pages
from messaging.models import Device
from messaging.notices import devices, push, replies, wording
from messaging.notices.forms import ChoicesForm
from messaging.notices.unread import Told, ended, unread
from portal import mail, throttling
from portal.account.sessions import unattended
from portal.account.signed_in import SignedIn
from portal.ids import key_of

TESTS_PER_HOUR = 20
SHOWN = 5


@login_required
def notifications(request: SignedIn) -> HttpResponse:
    """The user's choices and devices; POST stores the choices."""
    choices = wording.choices_of(request.user)
    form = ChoicesForm(request.POST if request.method == "POST" else None, instance=choices)
    if form.is_valid():
        form.save()
        messages.success(request, _("Your choices are saved."))
        return redirect("notifications")
    context = {
        "form": form,
        "has_mail": mail.is_configured(),
        "can_answer": replies.is_configured(),
        "push_key": push.public_key() if push.is_possible() else "",
        "mark": devices.mark_of(str(request.session.session_key)),
        "devices": Device.objects.filter(user=request.user),
    }
    return render(request, "notices/page.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def add_device(request: SignedIn) -> HttpResponse:
    """Takes the subscription of the browser that asks: 204, or 422 with the reason.

    `again`: only if the user still has the device, else 404.
    """
    if not push.is_possible():
        return HttpResponse(_("Push needs https.\n"), status=422, content_type="text/plain")
    endpoint, p256dh, auth = (request.POST.get(name, "") for name in ("endpoint", "p256dh", "auth"))
    session = str(request.session.session_key)
    if request.POST.get("again"):
        return HttpResponse(status=204 if devices.renew(request.user, session, endpoint) else 404)
    agent = request.META.get("HTTP_USER_AGENT", "")
    try:
        devices.add(request.user, session, endpoint, p256dh, auth, agent)
    except Refused as refusal:
        return HttpResponse(f"{refusal}\n", status=422, content_type="text/plain")
    return HttpResponse(status=204)


@login_required
@require_POST
def remove_device(request: SignedIn, pk: int) -> HttpResponse:
    """Tells the device nothing any more."""
    device = get_object_or_404(Device, pk=pk, user=request.user)
    device.delete()
    messages.success(request, _("“%(name)s” is told no more.") % {"name": device.name})
    return redirect("notifications")


@login_required
@require_POST
def send_test(request: SignedIn) -> HttpResponse:
    """Has a test sent to all devices of the user."""
    if throttling.count(f"test-notice:{request.user.pk}", TESTS_PER_HOUR, throttling.HOUR) is not None:
        messages.error(request, _("You have sent many tests. Please try again in an hour."))
    elif count := push.send_test(request.user):
        said = ngettext(
            "A test is on its way to %(n)d device.", "A test is on its way to %(n)d devices.", count
        )
        messages.success(request, said % {"n": count})
    else:
        messages.error(request, _("You have no device with push notices yet."))
    return redirect("notifications")


@unattended
@login_required
@require_GET
def news(request: SignedIn) -> HttpResponse:
    """How much is unread, and notices of what has come `after` what was told; without it, of nothing yet.

    `open` is the conversation that the user looks at.
    """
    user, given = request.user, request.GET.get("after", "")
    told, looking_at = Told.read(given), key_of(request.GET.get("open", ""))
    texts, over = unread(user, told.message, looking_at), ended(user, told.remark, looking_at)
    last = {message.conversation_id: message for message in texts}  # the last one of each
    notices = [wording.notice(message, user) for message in last.values()]
    notices += [wording.ended(remark) for remark in over]
    newest = told.through(texts, over)
    return JsonResponse(
        {
            "unread": pages.unread(user),
            "newest": str(newest),
            "notices": notices[-SHOWN:] if given else [],
        }
    )
