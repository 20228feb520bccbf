"""What leaves Patchbay besides messages, in real processes: the log, the metrics and the traces of a day."""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from integrations.sandbox import Sandbox
from tests.installation import Embedded, Installation, Separate, send, sign_in
from tests.processes import Process, wait_for

TEXT_OUT, TEXT_IN = "Zebra crossing out", "Zebra crossing in"
CONTACT, STRANGER = "+61412345678", "+61498765432"
SECRETS = {
    "PATCHBAY_SECRET_KEY": "planted-secret-key-0123456789-0123456789-0123456789",
    "PATCHBAY_METRICS_TOKEN": "planted-metrics-token",
    "EMAIL_HOST_PASSWORD": "planted-mail-password",
}
PLANTED = (
    "Zebra",
    *(number[start:] for number in (CONTACT, STRANGER, "+61855555501") for start in (0, 1, 3)),
    "0412345678",
    "sandbox-key",
    "correct-horse",
    "wrong-horse",
    "planted",
    "alice@",
)


class Collector:
    """Receives traces as OTLP over HTTP."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                packed = self.headers.get("Content-Encoding") == "gzip"
                if self.path == "/v1/traces":
                    collector.bodies.append(gzip.decompress(body) if packed else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def spans(self) -> list[Any]:
        found = []
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    def named(self, name: str) -> list[dict[str, Any]]:
        """The attributes of each span of a name."""
        return [
            {item.key: item.value.string_value or item.value.int_value for item in span.attributes}
            for span in self.spans
            if span.name == name
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def provider() -> Iterator[Sandbox]:
    """A provider that the day may stop."""
    found = Sandbox()
    found.start()
    yield found
    with suppress(OSError):  # it is stopped already
        found.stop()


def a_day(patchbay: Installation, provider: Sandbox) -> dict[str, str]:
    """Messages out and in, and what goes wrong; returns the ids by which the log and traces may name them."""
    url = patchbay.url
    alice = sign_in(url, "alice@acme.example")
    requests.post(
        f"{url}/account/login/", {"login": "alice@acme.example", "password": "wrong-horse"}, timeout=10
    )
    page = alice.get(f"{url}/inbox/new/").text
    number = re.search(r'<option value="(\d+)"', page)
    assert number is not None, page
    send(alice, url, "/inbox/new/", number=number[1], to="0412 345 678", warned=CONTACT, text=TEXT_OUT)
    params = {"from": STRANGER, "to": "+61855555501", "content": TEXT_IN, "id": "in-1"}
    assert patchbay.webhook({"method": "message", "params": params}) == 200
    account, patchbay.account = patchbay.account, "1" * 20
    assert patchbay.webhook({"method": "message", "params": params}) == 404
    patchbay.account = account
    requests.post(f"{url}/services/generic/a{'1' * 20}/planted-path?key=planted", data=TEXT_IN, timeout=10)
    requests.post(f"{url}/services/generic/a{account}", data=TEXT_IN.encode(), timeout=10)
    requests.get(f"{url}/media/0d5cf0cb-6f4b-5a53-9c1d-6c1d0a6f2f0e/1/planted/x.jpg", timeout=10)
    requests.get(f"{url}/api/v1/messages", headers={"Authorization": "Bearer pb_planted-token"}, timeout=10)
    missing = requests.get(f"{url}/inbox/{CONTACT}/?text={TEXT_IN}", timeout=10)
    wait_for(lambda: patchbay.texts_in() == [TEXT_IN], 30, lambda: patchbay.output)
    wait_for(lambda: "sent" in patchbay.statuses(), 30, lambda: patchbay.output)
    provider.stop()  # the provider is away
    send(alice, url, "/inbox/new/", number=number[1], to=STRANGER, warned=STRANGER, text=TEXT_OUT)
    wait_for(
        lambda: patchbay.one("SELECT count(*) FROM messaging_deliveryattempt WHERE result = 'retry'"),
        30,
        lambda: patchbay.output,
    )
    ((message,),) = patchbay.query(
        "SELECT uuid FROM messaging_message WHERE direction = 'out' ORDER BY id LIMIT 1"
    )
    return {"message": str(message), "missing": missing.headers["X-Request-ID"]}


def spotless(text: str) -> None:
    assert [planted for planted in PLANTED if planted in text] == []


def test_a_day_leaves_nothing_but_ids_in_log_metrics_and_traces(
    embedded: Callable[..., AbstractContextManager[Embedded]], provider: Sandbox, collector: Collector
) -> None:
    environment = {
        **SECRETS,
        "PATCHBAY_LOG_FORMAT": "json",
        "PATCHBAY_LOG_LEVEL": "DEBUG",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with embedded(**environment) as patchbay:
        patchbay.fill({"name": "acme", "url": provider.api_url})
        server = patchbay.serve()
        server.wait_until_ready(patchbay.url)
        ids = a_day(patchbay, provider)
        token = {"Authorization": f"Bearer {SECRETS['PATCHBAY_METRICS_TOKEN']}"}
        metrics = requests.get(f"{patchbay.url}/metrics", headers=token, timeout=10).text
        uuid = re.sub("-", "", ids["message"])
        wait_for(lambda: collector.named("provider.request"), 20)
        server.stop()
        log = patchbay.log.read_text()

    spotless(log)
    said = [line for line in log.splitlines() if line.startswith("{")]
    lines = [json.loads(line) for line in said]
    assert any(line.get("request_id") == ids["missing"] for line in lines)
    spotless(metrics)
    assert 'patchbay_webhooks_total{service="generic",verdict="accepted"} 1.0' in metrics
    assert 'patchbay_task_lag_seconds_count{task="messaging.file_events"}' in metrics

    spotless(b"".join(collector.bodies).decode("latin-1"))
    spans = {span.name for span in collector.spans}
    assert {"webhook.accept", "webhook.file", "dispatch", "provider.request"} <= spans
    assert "run/messaging.dispatch_due" in spans
    (first, *_) = collector.named("provider.request")
    assert (
        first["patchbay.message_id"].replace("-", ""),
        first["patchbay.service"],
        first["patchbay.result"],
    ) == (
        uuid,
        "generic",
        "sent",
    )
    assert all(not span.events for span in collector.spans)


@pytest.mark.services
def test_separate_processes_write_json_and_share_their_figures(
    separate: Callable[..., AbstractContextManager[Separate]], provider: Sandbox, tmp_path: Path
) -> None:
    folder = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"), "PATCHBAY_LOG_LEVEL": "INFO"}
    with separate(**SECRETS, **folder) as patchbay:
        patchbay.redis.start()
        patchbay.fill({"name": "acme", "url": provider.api_url})
        web, worker = patchbay.web(), patchbay.worker()
        web.wait_until_ready(patchbay.url)
        a_day(patchbay, provider)
        token = {"Authorization": f"Bearer {SECRETS['PATCHBAY_METRICS_TOKEN']}"}
        metrics = requests.get(f"{patchbay.url}/metrics", headers=token, timeout=10).text
        log = patchbay.log.read_text()
        assert worker.popen.poll() is None

    spotless(metrics)
    assert (
        'patchbay_webhooks_total{service="generic",verdict="accepted"} 1.0' in metrics
    )  # by the web process
    assert 'patchbay_sends_total{result="sent",service="generic"} 1.0' in metrics  # by the worker
    assert re.search(r'^patchbay_database_connections\{state="idle"\} [1-9]', metrics, re.MULTILINE)
    written = {path.name for path in (tmp_path / "metrics").glob("*.db")}
    assert {name.split("_")[0] for name in written} == {"counter", "histogram"}
    spotless(log)
    said = [line for line in log.splitlines() if line.startswith("{")]
    assert any(json.loads(line)["event"].startswith("Webhooks refused") for line in said)


def test_without_the_extra_the_log_says_that_no_traces_are_written(tmp_path: Path) -> None:
    program = "import sys; sys.modules['opentelemetry'] = None; import django; django.setup()"
    environment = {
        "PATCHBAY_DATA": str(tmp_path / "data"),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }
    output = Process([sys.executable, "-c", program], environment, tmp_path / "log").finish()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed" in output
