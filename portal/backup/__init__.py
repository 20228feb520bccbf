"""Backups: one file with the database, the media and, if asked, the keys; and how it is restored."""

from portal.backup.create import Backup, create
from portal.backup.problems import Problem
from portal.backup.restore import Restored, restore

__all__ = ["Backup", "Problem", "Restored", "create", "restore"]
