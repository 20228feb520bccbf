"""Traces by OpenTelemetry, if OTEL_EXPORTER_OTLP_ENDPOINT is set and the extra `traces` is installed.

Only the attributes in ATTRIBUTES leave the process: ids, names of ours, methods and statuses. What libraries
add besides (URLs, headers, texts of errors) is dropped when a span is exported.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from django.conf import settings

try:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.trace import Status

    INSTALLED = True
except ImportError:
    INSTALLED = False

logger = logging.getLogger(__name__)

ATTRIBUTES = frozenset(
    [
        "http.method",
        "http.request.method",
        "http.route",
        "http.status_code",
        "http.response.status_code",
        "celery.action",
        "celery.state",
        "celery.task_name",
        "messaging.message.id",
        "messaging.message_id",
        "patchbay.service",
        "patchbay.result",
        "patchbay.attempt",
        "patchbay.message_id",
        "patchbay.message_ids",
        "patchbay.event_ids",
    ]
)
Value = str | int | Sequence[int] | Sequence[str]


def begin() -> None:
    """Turns tracing on for this process, if it is wanted; says in the log what is missing for it."""
    if not settings.TRACES_ENDPOINT:
        return
    if not INSTALLED:
        logger.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: no traces are written. "
            'Install Patchbay\'s extra "traces" as docs/how-to/trace-with-opentelemetry.md says.'
        )
        return
    resource = Resource.create({"service.name": "patchbay"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(_OnlyIds(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
    CeleryInstrumentor().instrument()


def span(name: str, attributes: Mapping[str, Value] | None = None) -> AbstractContextManager[Any]:
    """A span around a block, within the current one; does nothing while tracing is off."""
    if not settings.TRACES_ENDPOINT or not INSTALLED:
        return nullcontext()
    return trace.get_tracer("patchbay").start_as_current_span(name, attributes=attributes)


def note(name: str, value: Value) -> None:
    """Adds an attribute, one of ATTRIBUTES, to the current span."""
    if settings.TRACES_ENDPOINT and INSTALLED:
        trace.get_current_span().set_attribute(name, value)


def finished(name: str, started_at: datetime, milliseconds: int, attributes: Mapping[str, Value]) -> None:
    """A span that is over, such as a request that another thread has made."""
    if settings.TRACES_ENDPOINT and INSTALLED:
        start = int(started_at.timestamp() * 1_000_000) * 1_000
        found = trace.get_tracer("patchbay").start_span(name, attributes=attributes, start_time=start)
        found.end(start + milliseconds * 1_000_000)


if INSTALLED:

    class _OnlyIds(SpanExporter):
        """Exports spans without anything that could quote a message, a person or a secret."""

        def __init__(self, exporter: SpanExporter) -> None:
            self._exporter = exporter

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return self._exporter.export([_without_content(each) for each in spans])

        def shutdown(self) -> None:
            self._exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return self._exporter.force_flush(timeout_millis)


def _without_content(found: ReadableSpan) -> ReadableSpan:
    attributes = {name: value for name, value in (found.attributes or {}).items() if name in ATTRIBUTES}
    return ReadableSpan(
        name=found.name,
        context=found.context,
        parent=found.parent,
        resource=found.resource,
        attributes=attributes,
        links=found.links,
        kind=found.kind,
        status=Status(found.status.status_code),
        start_time=found.start_time,
        end_time=found.end_time,
        instrumentation_scope=found.instrumentation_scope,
    )
