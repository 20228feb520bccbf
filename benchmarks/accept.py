"""How many webhooks a second are committed and answered: `DATABASE_URL=… python -m benchmarks.accept`.

Empties that PostgreSQL database's schema, installs Patchbay in it, starts granian as in production
without a worker, and sends different texts over kept connections from two processes. Prints requests a
second, the web processes' CPU seconds per 1,000 requests, and latencies; asserts only that all were
stored.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.contestants import commands
from tests.processes import ROOT, Process, free_port

KIND = "Content-Type: application/json\r\n"
FILL = """
from integrations import Template from, holds, properties from integrations.models import Integration
messaging.models import Number from portal.models import Account, Organization account =
Account.objects.create(name="Bench") organization = Organization.objects.create(account=account,
name="Acme", domain="acme.example") template = Template.objects.get(account=None, service_id="generic")
integration = Integration.objects.create(organization=organization, template=template)
holds.enter(integration, {"API URL": "https://api.example.com/", "API key": "k"})
Number.objects.create(organization=organization, integration=integration, number="+61855555501",
country="AU") print(account.accountid)
"""


def load(
    port: int, path: str, connections: int, seconds: float, results: multiprocessing.Queue[list[float]]
) -> None:
    """Sends over so many connections; puts the seconds that each request took."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    def run(number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            count = 0
            while (began := time.perf_counter()) < end:
                count += 1
                params = {
                    "from": "+61412345678",
                    "to": "+61855555501",
                    "content": f"{os.getpid()} {number} {count}",
                }
                body = json.dumps({"method": "message", "params": params}).encode()
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{KIND}Content-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)
                answer = connection.recv(65536)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise SystemExit(answer.decode())
                took.append(time.perf_counter() - began)

    threads = [threading.Thread(target=run, args=[number]) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(took)


def cpu_seconds(pid: int) -> float:
    """Of a process and its children, now."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) == pid or int(fields[1]) == pid:
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=32, help="of each of two load processes")
    options = parser.parse_args()
    if "DATABASE_URL" not in os.environ:
        sys.exit("Set DATABASE_URL to a PostgreSQL database of your own: its schema is emptied.")
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
        database.execute("DROP SCHEMA public CASCADE")
        database.execute("CREATE SCHEMA public")
    with tempfile.TemporaryDirectory() as folder:
        port, logs = free_port(), Path(folder)
        environment = {
            "DATABASE_URL": os.environ["DATABASE_URL"],
            "PATCHBAY_DATA": folder,
            "PATCHBAY_SECRET_KEY": "only-for-benchmarks-" + "0" * 40,
            "PATCHBAY_ENCRYPTION_KEYS": "VGVzdHMgb25seTogdGhpcnR5LXR3byBieXRlcyBhLi4=",
            "PATCHBAY_LOG_LEVEL": "WARNING",
        } | ({"REDIS_URL": url} if (url := os.environ.get("REDIS_URL")) else {})
        Process.manage("install", environment=environment, log=logs / "install").finish()
        filled = Process.manage(
            "shell", "--no-imports", "-c", FILL, environment=environment, log=logs / "fill"
        ).finish()
        server = Process(commands.web(ROOT, port), environment, logs / "server")
        try:
            server.wait_until_ready(f"http://127.0.0.1:{port}")
            path = f"/services/generic/a{filled.split()[-1]}"
            results: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
            before, began = cpu_seconds(server.popen.pid), time.perf_counter()
            loads = [
                multiprocessing.Process(
                    target=load, args=[port, path, options.connections, options.seconds, results]
                )
                for _ in range(2)
            ]
            for item in loads:
                item.start()
            took = sorted(itertools.chain.from_iterable(results.get() for _ in loads))
            elapsed, used = time.perf_counter() - began, cpu_seconds(server.popen.pid) - before
        finally:
            server.stop()
    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        (stored,) = database.execute("SELECT count(*) FROM messaging_webhookevent").fetchone() or (0,)
    assert stored == len(took), f"{len(took)} were answered, {stored} are stored"
    print(f"{len(took) / elapsed:,.0f} requests/s, {used / len(took) * 1000:.2f} CPU s per 1,000")
    print(
        " ".join(
            f"p{share * 100:g} {took[int(len(took) * share)] * 1000:.1f} ms" for share in (0.5, 0.95, 0.99)
        )
    )


if __name__ == "__main__":
    main()
