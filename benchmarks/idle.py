"""How fast one message gets out of an idle Patchbay, and what idling costs: `python -m benchmarks.idle`.

Starts `serve` (one process, SQLite, fsync at each commit) in a throw-away folder and a small provider beside
it, signs in, and sends one text at a time over HTTP with a pause between. Prints medians, asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import requests

from tests.processes import Process, free_port

arrived: dict[str, float] = {}


class Provider(BaseHTTPRequestHandler):
    """Notes when each text arrives, and answers with an id."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        now = time.perf_counter()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        arrived[body["content"]] = now
        answer = json.dumps({"data": {"id": uuid4().hex}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def sign_in(url: str) -> tuple[requests.Session, str]:
    session = requests.Session()
    session.get(f"{url}/account/login/")
    session.post(
        f"{url}/account/login/",
        data={
            "login": "alice@acme.example",
            "password": "correct-horse-battery",
            "csrfmiddlewaretoken": session.cookies["csrftoken"],
        },
        headers={"Referer": url},
    ).raise_for_status()
    return session, session.cookies["csrftoken"]


def latencies(url: str, count: int, pause: float) -> tuple[list[float], list[float]]:
    """Milliseconds from the click to the provider, and from the click to the portal's answer."""
    session, token = sign_in(url)
    page = session.get(f"{url}/inbox/new/").text
    number = page.split('<option value="')[1].split('"')[0]
    to_provider, to_answer = [], []
    for index in range(count):
        text = f"message {index}"
        began = time.perf_counter()
        answer = session.post(
            f"{url}/inbox/new/",
            data={
                "number": number,
                "to": f"+61412{index:06d}",
                "text": text,
                "uuid": str(uuid4()),
                "csrfmiddlewaretoken": token,
            },
            headers={"Referer": url},
            allow_redirects=False,
        )
        answer.raise_for_status()
        to_answer.append((time.perf_counter() - began) * 1000)
        while text not in arrived:
            time.sleep(0.0005)
        to_provider.append((arrived[text] - began) * 1000)
        time.sleep(pause)
    return to_provider, to_answer


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two messages")
    parser.add_argument("--idle", type=float, default=30, help="seconds of idling to measure")
    options = parser.parse_args()
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{provider.server_port}"
    with tempfile.TemporaryDirectory() as folder:
        data, log, port = Path(folder) / "data", Path(folder) / "log", free_port()
        unlimited = ("USER_PER_MINUTE", "USER_PER_HOUR", "NUMBER_PER_MINUTE", "ORGANIZATION_PER_HOUR")
        environment = {
            "PATCHBAY_DATA": str(data),
            "PATCHBAY_ALLOWED_ORIGINS": origin,
            **{f"PATCHBAY_{name}": "0" for name in unlimited},
        }
        Process.manage("install", "-v0", environment=environment, log=log).finish()
        acme = json.dumps([{"name": "acme", "url": f"{origin}/"}])
        Process([sys.executable, "-m", "tests.faults.fill", acme], environment, log).finish()
        url = f"http://localhost:{port}"
        began = time.perf_counter()
        serving = Process.manage("serve", "--port", str(port), environment=environment, log=log)
        try:
            serving.wait_until_ready(url)
            ready = time.perf_counter() - began
            before, start = cpu_seconds(serving.popen.pid), time.perf_counter()
            time.sleep(options.idle)
            share = (cpu_seconds(serving.popen.pid) - before) / (time.perf_counter() - start)
            memory = resident_mib(serving.popen.pid)
            to_provider, to_answer = latencies(url, options.messages, options.pause)
            after = resident_mib(serving.popen.pid)
        finally:
            serving.stop()
    centiles = statistics.quantiles(to_provider, n=20)
    print(f"ready to serve after          {ready:8.1f} s")
    print(f"idle: share of one core       {share:8.1%}   over {options.idle:.0f} s")
    print(f"idle: resident memory         {memory:8.0f} MiB ({after:.0f} MiB after the messages)")
    print(
        f"click to provider, median     {statistics.median(to_provider):8.1f} ms  p95 {centiles[18]:.1f} ms"
    )
    print(f"click to answer, median       {statistics.median(to_answer):8.1f} ms")
    print(f"{options.messages} messages, one every {options.pause} s, SQLite with synchronous=FULL")


if __name__ == "__main__":
    main()
