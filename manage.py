#!/usr/bin/env python
"""Patchbay's command line."""

import os
import sys
from io import TextIOWrapper
from typing import cast

from django.core.management import execute_from_command_line

from portal import startup
from portal.environment import take_data_folder
from portal.management.commands import new_key

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    # What is said must be seen at once in a log file or `docker logs` too, not when 8 KiB have come together.
    cast(TextIOWrapper, sys.stdout).reconfigure(line_buffering=True)
    if sys.argv[1:2] == ["new_key"]:  # without it there are no settings yet
        new_key.Command().run_from_argv(sys.argv)
    else:
        with startup.in_words():
            execute_from_command_line(take_data_folder(sys.argv))
