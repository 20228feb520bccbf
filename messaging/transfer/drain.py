"""The task: it works on what is due, and goes on where another process was stopped."""

from __future__ import annotations

import logging

from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext as _

from messaging.models import Transfer
from messaging.transfer import exports, imports, inviting, work
from messaging.transfer.work import State

logger = logging.getLogger(__name__)


def drain() -> None:
    """Does all that is due."""
    while (row := work.claim()) is not None:
        try:
            _work(row)
        except work.Stopped:
            continue
        except work.NotAllowed:
            work.finish(row, State.FAILED, _("Its author may not enter the administration any more."))
        except (InterfaceError, OperationalError):
            raise  # the database is away, or busy: it is tried again when the lease has expired
        except Exception:
            logger.exception("%s %d failed.", row.get_direction_display(), row.pk)
            work.finish(
                row, State.FAILED, _("Something went wrong. The server's log has the details. Try again.")
            )


def _work(row: Transfer) -> None:
    if row.working:
        work.check_author(row)
    if row.state == State.CHECKING:
        imports.check(row)
    elif row.state == State.IMPORTING:
        imports.carry_out(row)
    elif row.state == State.INVITING:
        inviting.carry_out(row)
    elif row.state == State.EXPORTING:
        exports.carry_out(row)
    else:
        work.forget(row)
