"""Kannel, the SMS gateway in C: bearerbox and smsbox with a durable store, and the provider behind HTTP.

A webhook is filed when smsbox has handed the message to its sms-service, and a report is recorded when it
has been handed to the message's dlr-url; the provider's process plays both. The stores have a file for
each message, which Kannel does not flush to the disk.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.contestants.base import NUMBER, Contestant, contact
from benchmarks.load import get
from benchmarks.provider_process import ProviderProcess
from tests.processes import free_port

# Debian installs them where only the administrator's PATH leads.
BEARERBOX, SMSBOX = (
    shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin") for name in ("bearerbox", "smsbox")
)
IN, REPORT = "/in", "/report"
# Both boxes print errors only.
QUIET = ("-v", "4")

CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = measured
smsbox-port = {boxes}
box-allow-ip = "127.0.0.1"
log-file = "{folder}/bearerbox.log"
log-level = 3
store-type = spool
store-location = "{folder}/store"
dlr-storage = spool
dlr-spool = "{folder}/reports"

group = smsc
smsc = http
smsc-id = provider
system-type = generic
port = {receive}
connect-allow-ip = "127.0.0.1"
send-url = "{provider}?from=%P&to=%p&text=%b"
status-success-regex = "data"
status-permfail-regex = "refused"
status-tempfail-regex = "later"
generic-foreign-id-regex = "\\"id\\":\\"([^\\"]+)\\""
max-pending-submits = 256

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-file = "{folder}/smsbox.log"
log-level = 3
max-pending-requests = 256

group = sendsms-user
username = load
password = measured
max-messages = 1

group = sms-service
keyword = default
catch-all = yes
max-messages = 0
get-url = "{origin}{where}?from=%p&to=%P&text=%b"
"""


def missing() -> str:
    """Why it cannot take part, or an empty text."""
    return "" if BEARERBOX and SMSBOX else "Debian's package kannel is not installed"


class Kannel(Contestant):
    def __init__(self, folder: Path, provider: ProviderProcess, key: str) -> None:
        super().__init__(folder, provider, key)
        self.webhook_port, self._boxes, self._admin = free_port(), free_port(), free_port()
        self._configuration = folder / "kannel.conf"
        self._marks = 0, 0

    def prepare(self) -> None:
        for name in ("store", "reports"):
            (self.folder / name).mkdir()
        self._configuration.write_text(
            CONFIGURATION.format(
                admin=self._admin,
                boxes=self._boxes,
                receive=self.webhook_port,
                sendsms=self.port,
                folder=self.folder,
                provider=self.provider.url,
                origin=self.provider.origin,
                where=IN,
            )
        )

    def start(self) -> None:
        for box, port in ((BEARERBOX, self._boxes), (SMSBOX, self.port)):
            assert box
            self.run(box, *QUIET, str(self._configuration))
            self.wait_until_listening(port)

    def submission(self, number: int, *, report: bool = False) -> bytes:
        asked = {"username": "load", "password": "measured", "from": NUMBER, "to": contact(number)}
        if report:
            asked |= {"dlr-mask": "1", "dlr-url": f"{self.provider.origin}{REPORT}?text={number}"}
        return get(f"/cgi-bin/sendsms?{urlencode(asked | {'text': str(number)})}")

    def webhook(self, number: int) -> bytes:
        return get(f"/?{urlencode({'from': contact(number), 'to': NUMBER, 'text': str(number)})}")

    def report(self, number: int) -> bytes:
        return get(f"/?{urlencode({'dlr-mask': '1', 'dlr-mid': f'id-{number}', 'to': contact(number)})}")

    def mark(self) -> None:
        self._marks = len(self.provider.arrived(IN)), len(self.provider.arrived(REPORT))

    def filed(self) -> int:
        return len(self.provider.arrived(IN)) - self._marks[0]

    def delivered(self) -> int:
        return len(self.provider.arrived(REPORT)) - self._marks[1]
