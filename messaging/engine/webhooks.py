"""Statements on the log of webhooks: recent repeats, and delivery reports that waited for their message."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from messaging.statuses import EventState, Verdict
from portal.database import sql


def recently_accepted(digests: Collection[str], seconds: float) -> list[int]:
    """Keys of the requests with these digests that were accepted within the last `seconds`; usually none.

    Without the ORM, which would take as long as everything else that is stored.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id FROM messaging_webhookrequest WHERE {sql.among("digest")} AND verdict = %s
            AND received_at > {sql.later("%s")}""",  # noqa: S608 (constants)
            [sql.array(digests), Verdict.ACCEPTED.value, -seconds],
        )
        return [pk for (pk,) in cursor.fetchall()]


def release_orphans(provider_ids: Collection[str], message_ids: Collection[int]) -> int:
    """Has delivery reports filed whose requests are known by now, or whose messages are in flight no more.

    To be called once that is committed: before, the process that files them may not see it. Returns how many.
    """
    statement = f"""
        UPDATE messaging_webhookevent SET state = '{EventState.WAITING}'
        WHERE state = '{EventState.ORPHAN}' AND ({sql.among("provider_id")} OR {sql.among("message_id")})
    """  # noqa: S608 (constants)
    with connection.cursor() as cursor:
        cursor.execute(statement, [sql.array(item for item in provider_ids if item), sql.array(message_ids)])
        return int(cursor.rowcount)
