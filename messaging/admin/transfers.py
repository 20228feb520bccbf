"""The pages of imports and exports: upload, dry run, progress, downloads."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from messaging.models import Transfer
from messaging.transfer import cells, exports, imports, inviting, tables, work
from messaging.transfer.kinds import Verdict
from portal.administration.base import user_of
from portal.administration.logs import LogAdmin, exact_time
from portal.csv_lines import csv_lines
from portal.ids import key_of
from portal.models import Invitation

FORMATS = ("csv", "xlsx")
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@admin.register(Transfer)
class TransferAdmin(LogAdmin):
    """One's own imports and exports: what they hold is shown to nobody else, not even to operators."""

    list_display = ["started", "what", "name", "state", "rows"]
    search_fields = ["name"]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        if not request.GET:
            found.empty_title = _("No imports and exports yet")
            found.empty_text = _("They begin in the lists: of organizations, users, numbers, contacts …")
        return found

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return Transfer.objects.filter(author=user_of(request)).order_by("-pk")

    @admin.display(description=gettext_lazy("started"))
    def started(self, row: Transfer) -> str:
        return exact_time(row.created_at)

    @admin.display(description=gettext_lazy("what"))
    def what(self, row: Transfer) -> str:
        return f"{row.get_direction_display()}: {title_of(row.kind)}"

    @admin.display(description=gettext_lazy("rows"))
    def rows(self, row: Transfer) -> str:
        return f"{row.done} / {row.total}"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("import/<slug:kind>/", wrap(self.upload), name="messaging_import"),
            path("import/<slug:kind>/sample.<slug:form>", wrap(self.sample), name="messaging_import_sample"),
            path("export/<slug:kind>/", wrap(require_POST(self.export)), name="messaging_export"),
            path("<int:pk>/do/", wrap(require_POST(self.do)), name="messaging_transfer_do"),
            path("<int:pk>/file.<slug:form>", wrap(self.download), name="messaging_transfer_file"),
        ]
        return [*own, *super().get_urls()]

    def upload(self, request: HttpRequest, kind: str) -> HttpResponse:
        """Explains the columns, and takes a file."""
        if kind not in imports.KINDS or not self.in_reach(request, None):
            raise Http404
        problem = ""
        if request.method == "POST":
            file = request.FILES.get("file")
            # What is too large is not read.
            content = file.read(tables.MAX_BYTES + 1) if file else b""
            try:
                row = imports.start(user_of(request), kind, (file and file.name) or "", content)
            except imports.Refused as refusal:
                problem = str(refusal) if file else _("Choose a file.")
            else:
                return redirect("admin:messaging_transfer_change", row.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Import %(list)s") % {"list": title_of(kind)},
            "kind": kind,
            "columns": imports.KINDS[kind].columns,
            "list_url": _list_url(kind),
            "problem": problem,
            "most_rows": f"{cells.MAX_ROWS:,}",
            "most_megabytes": tables.MAX_BYTES // 1024 // 1024,
        }
        return render(request, "admin/messaging/import.html", context, status=422 if problem else 200)

    def sample(self, request: HttpRequest, kind: str, form: str) -> HttpResponse:
        """A file with the columns and two rows to be replaced."""
        if kind not in imports.KINDS or form not in FORMATS or not self.in_reach(request, None):
            raise Http404
        columns = [column for column in imports.KINDS[kind].columns if not column.read_only]
        examples = zip(*(column.examples for column in columns), strict=True)
        return _file(f"{kind}-sample", form, [[column.name for column in columns], *map(list, examples)])

    def export(self, request: HttpRequest, kind: str) -> HttpResponse:
        """The rows of the list with this query: at once, or by a task if there are many."""
        user, form = user_of(request), request.POST.get("format", "")
        if form not in FORMATS or kind not in exports.lists(user) or not self.in_reach(request, None):
            raise Http404
        query = urlencode(
            [(key, value) for key, value in request.GET.lists() if value and key != "p"], doseq=True
        )
        started = exports.start(user, kind, query)
        if isinstance(started, Transfer):
            return redirect("admin:messaging_transfer_change", started.pk)
        return _file(f"{kind}-{timezone.localdate().isoformat()}", form, started)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """How far it is, and the rows of an import, part by part; the page refreshes itself."""
        row = get_object_or_404(self.get_queryset(request), pk=key_of(object_id))
        place = key_of(request.GET.get("part", "")) or 1
        kept = row.part(place - 1) if row.direction == Transfer.Direction.IN and not row.working else []
        only_wrong = request.GET.get("rows") == "wrong"
        counts = {str(verdict): row.counts.get(verdict, 0) for verdict in Verdict}
        mailed = counts["invited"] if row.state == row.State.FINISHED else row.counts.get(inviting.MAILED, 0)
        context = {
            **self.admin_site.each_context(request),
            "title": self.what(row),
            "row": row,
            "counts": counts,
            "mailed": mailed,
            "not_mailed": counts["invited"] - mailed,
            "stored": row.state not in (row.State.CHECKING, row.State.CHECKED),
            "to_do": sum(row.counts.get(v, 0) for v in (Verdict.NEW, Verdict.CHANGED, Verdict.INVITED)),
            "kept": [each for each in kept if not only_wrong or each["verdict"] == Verdict.WRONG],
            "has_rows": bool(kept),
            "all_good": row.state == row.State.CHECKED and not row.counts.get(Verdict.WRONG),
            "part": place,
            "most_per_hour": Invitation.MOST_PER_HOUR,
            "stopped_inviting": row.state == row.State.CANCELLED
            and mailed < counts["invited"]
            and sum(counts.values()) == row.total,
            "pasted": row.direction == row.Direction.IN and not row.name,
            "parts": -(-row.total // imports.BATCH),
            "only_wrong": only_wrong,
            "available": row.direction == Transfer.Direction.OUT
            and row.state == row.State.FINISHED
            and row.due_at is not None,
            "expires_at": row.due_at,
            "list_url": _list_url(row.kind),
            "next_steps": _next_steps(row),
        }
        return render(request, "admin/messaging/transfer.html", context)

    def do(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Confirms an import that was checked, or cancels what is going on."""
        row = get_object_or_404(self.get_queryset(request), pk=pk)
        if request.POST.get("do") == "import":
            if not imports.confirm(row):
                messages.warning(request, _("There is nothing to import any more. Upload the file again."))
        elif not work.cancel(row):
            messages.warning(request, _("There was nothing left to cancel."))
        return redirect("admin:messaging_transfer_change", row.pk)

    def download(self, request: HttpRequest, pk: int, form: str) -> HttpResponse:
        """The file of a finished export, until it expires."""
        row = get_object_or_404(self.get_queryset(request), pk=pk, direction=Transfer.Direction.OUT)
        if form not in FORMATS or row.state != row.State.FINISHED:
            raise Http404
        if row.due_at is None or row.due_at <= timezone.now():
            messages.warning(request, _("The file has expired. Export the list again."))
            return redirect("admin:messaging_transfer_change", row.pk)
        return _file(f"{row.kind}-{timezone.localdate(row.created_at).isoformat()}", form, exports.lines(row))


def title_of(kind: str) -> str:
    """What a list is called in sentences."""
    titles = {
        "organizations": _("organizations"),
        "users": _("users"),
        "numbers": _("numbers"),
        "contacts": _("contacts"),
        "opt-outs": _("opt-outs"),
        "messages": _("messages"),
        "attempts": _("delivery attempts"),
        "webhooks": _("webhooks"),
    }
    return titles.get(kind, kind)


def _next_steps(row: Transfer) -> list[tuple[str, str]]:
    """What usually follows a finished import, and its page."""
    if row.direction != Transfer.Direction.IN or row.state != row.State.FINISHED:
        return []
    numbers = _("Import their numbers"), reverse("admin:messaging_import", args=["numbers"])
    several = _("Give them numbers"), reverse("admin:messaging_number_several")
    steps = {
        "organizations": [
            (_("Set up their provider"), reverse("admin:integrations_integration_add")),
            (_("Import their people"), reverse("admin:messaging_import", args=["users"])),
            numbers,
        ],
        "users": [numbers] if row.name else [several],
        "numbers": [
            (_("See who has accepted"), reverse("admin:portal_invitation_changelist")),
            (_("Back to the overview"), reverse("admin:index")),
        ],
    }
    return steps.get(row.kind, [])


def _list_url(kind: str) -> str:
    """The name of the URL of the list."""
    return f"admin:{exports.models()[kind]._meta.label_lower.replace('.', '_')}_changelist"


def _file(name: str, form: str, rows: Any) -> HttpResponse:
    response: Any
    if form == "csv":
        response = StreamingHttpResponse(csv_lines(rows), content_type=_TYPES[form])
    else:
        response = FileResponse(tables.xlsx(rows), content_type=_TYPES[form])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return response
