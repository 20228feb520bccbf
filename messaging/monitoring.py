"""What machines ask that watch the installation: whether it is ready, and its metrics."""

from __future__ import annotations

from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from messaging import wakeups
from messaging.engine import due
from messaging.reporting import figures
from portal import metrics as counters


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Responds 503 without the database; else 200, and says "degraded" if only something else is missing.

    Without the broker Patchbay is a little slower, and what beat calls for waits. Without a worker nothing is
    sent or filed, but what comes in is kept, so a load balancer should not turn it away.
    """
    parts = {}
    try:
        messages, events = due.nobody_takes(figures.OVERDUE_SECONDS)
        parts["database"] = "ok"
    except Error as error:
        parts["database"] = f"does not respond: {type(error).__name__}"
        messages = events = False
    problem = wakeups.broker_problem()
    parts["broker"] = f"does not respond: {problem}" if problem else "ok"
    waiting = [name for name, waits in (("messages", messages), ("webhook events", events)) if waits]
    if waiting:
        parts["workers"] = (
            f"No worker takes the {' and '.join(waiting)} that have been due for more than "
            f"{figures.OVERDUE_SECONDS} seconds. Is one running?"
        )
    elif parts["database"] == "ok":
        parts["workers"] = "ok"
    if parts["database"] != "ok":
        return JsonResponse({"status": "unavailable", **parts}, status=503)
    fine = all(said == "ok" for said in parts.values())
    return JsonResponse({"status": "ok" if fine else "degraded", **parts})


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics of all processes for whoever has PATCHBAY_METRICS_TOKEN; without the setting 404."""
    if not settings.METRICS_TOKEN:
        raise Http404
    given = request.headers.get("Authorization", "")
    if not constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse(
            "Send the header Authorization: Bearer and PATCHBAY_METRICS_TOKEN.\n",
            status=401,
            content_type="text/plain",
            headers={"WWW-Authenticate": "Bearer"},
        )
    text = generate_latest(counters.registry()) + generate_latest(figures.registry())
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)
