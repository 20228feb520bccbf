"""The views of whom a conversation is with: beside the thread, or as a page on a phone."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from messaging.contact_form import ContactForm
from messaging.inbox import pages
from messaging.inbox.views import REFUSED, SignedIn, frame, own
from messaging.models import Contact, ContactTag, Conversation
from messaging.rules import contacts
from portal.models import Organization

TAGS, OTHERS = 100, 20


@login_required
@require_http_methods(["GET", "POST"])
def contact(request: SignedIn, pk: int) -> HttpResponse:
    """Name, company, note and tags of the contact, and their other conversations; POST changes them."""
    opened = own(request, pk)
    given = request.POST if request.method == "POST" else None
    form = ContactForm(given, instance=opened.contact.person)
    if request.method == "POST" and form.is_valid():
        form.apply(request.user)
        return _answer(request, own(request, pk), saved=True)
    return _answer(request, opened, form)


@login_required
@require_POST
def block(request: SignedIn, pk: int) -> HttpResponse:
    """Blocks the contact, or with `do=unblock` shows it again."""
    opened = own(request, pk)
    if request.POST.get("do") == "unblock":
        contacts.unblock(opened.contact, request.user)
    else:
        contacts.block(opened.contact, request.user)
    return _answer(request, own(request, pk), saved=True)


def _answer(
    request: SignedIn, opened: Conversation, form: ContactForm | None = None, *, saved: bool = False
) -> HttpResponse:
    if saved and not request.htmx:
        return redirect("inbox_contact", opened.pk)
    form = form or ContactForm(instance=opened.contact.person)
    context = {"conversation": opened, "form": form, "saved": saved, **_about(request, opened)}
    status = REFUSED if form.errors else 200
    if request.htmx:
        # A refused form is shown in its own place, not where messages are refused.
        answer = render(request, "inbox/_contact.html", {**context, "oob": saved})
        if saved:
            answer["HX-Trigger"] = "changed"
        return answer
    page = {**frame(request, opened), **context, "pane": "inbox/_contact.html"}
    return render(request, "inbox/page.html", page, status=status)


def _about(request: SignedIn, opened: Conversation) -> dict[str, Any]:
    """The person's other conversations that the user may see, and tags to choose from."""
    same = Contact.objects.of_person(opened.contact)
    others = Conversation.objects.for_user(request.user).filter(contact__in=same).exclude(pk=opened.pk)
    mine = Organization.objects.administered_by(request.user)
    return {
        "members": pages.members(opened),
        "elsewhere": others.select_related("contact", "number").order_by("-last_at")[:OTHERS],
        "known_tags": ContactTag.objects.filter(organization=opened.organization_id)[:TAGS],
        "administers": mine.filter(pk=opened.organization_id).exists(),
    }
