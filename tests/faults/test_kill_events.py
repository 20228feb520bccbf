"""kill -9 while a receiver has an event and has not answered: it gets it again, under the same id."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from integrations.sandbox import Sandbox
from tests.installation import Embedded
from tests.messaging.test_receivers import Answer, Program
from tests.processes import wait_for


def test_kill_9_before_a_receiver_has_answered(
    embedded: Callable[..., AbstractContextManager[Embedded]], sandbox: Sandbox
) -> None:
    program, opened = Program(), threading.Event()

    def hold() -> Answer:
        opened.wait()
        return 204, {}, b""

    program.answers["/hook"] = [hold]
    try:
        with embedded() as patchbay:
            patchbay.fill({"name": "acme", "url": sandbox.api_url, "receiver": f"{program.origin}/hook"})
            serving = patchbay.serve()
            text = {"from": "+61412345678", "to": "+61855555501", "content": "Hello", "messageid": "m1"}
            said = {"method": "message", "params": text}
            wait_for(lambda: patchbay.webhook(said) == 200, 60, lambda: patchbay.output)
            wait_for(lambda: len(program.came) == 1, 60, lambda: patchbay.output)
            serving.kill()
            opened.set()
            patchbay.serve()
            delivered = "SELECT count(*) FROM messaging_outgoingevent WHERE delivered_at IS NOT NULL"
            wait_for(lambda: patchbay.one(delivered) == 1, 60, lambda: patchbay.output)
            assert patchbay.texts_in() == ["Hello"]
        first, second = program.came
        assert first[1]["webhook-id"] == second[1]["webhook-id"]
        assert first[2] == second[2]
    finally:
        opened.set()
        program.stop()
