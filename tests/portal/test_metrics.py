"""The files of counters: processes that run at the same time have one each, those that follow go on with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from portal import metrics
from tests.processes import ROOT

COUNT = (
    "import os, sys; from portal import metrics; metrics.SUBMISSIONS.labels(result='accepted').inc();"
    "print('counted', flush=True); sys.stdin.read();"
    "print(*[s.value for m in metrics.registry().collect() for s in m.samples])"
)
FORK = (
    "import os; from portal import metrics; count = metrics.SUBMISSIONS.labels(result='accepted').inc; count();"
    "child = os.fork(); count(); child or os._exit(0); os.waitpid(child, 0);"
    "print(*[s.value for m in metrics.registry().collect() for s in m.samples])"
)


def start(folder: Path, code: str = COUNT) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def files(folder: Path) -> int:
    return len(list(folder.glob("*.db")))


def test_processes_that_follow_each_other_share_a_file(tmp_path: Path) -> None:
    said = [start(tmp_path).communicate("")[0] for _ in range(3)]
    assert said == ["counted\n1.0\n", "counted\n2.0\n", "counted\n3.0\n"]
    assert files(tmp_path) == 1


def test_containers_that_follow_each_other_share_a_file(tmp_path: Path) -> None:
    named = [f"import platform; platform.node = lambda: '{name}'; {COUNT}" for name in ("5f3c", "a81e")]
    said = [start(tmp_path, code).communicate("")[0] for code in named]
    assert said == ["counted\n1.0\n", "counted\n2.0\n"]
    assert files(tmp_path) == 1


def test_processes_at_the_same_time_have_a_file_each(tmp_path: Path) -> None:
    one, two = start(tmp_path), start(tmp_path)
    for process in (one, two):
        assert process.stdout
        assert process.stdout.readline() == "counted\n"
    assert files(tmp_path) == 2
    assert one.communicate("")[0] == "2.0\n"
    two.kill()
    two.communicate()
    assert start(tmp_path).communicate("")[0] == "counted\n3.0\n"
    assert files(tmp_path) == 2


def test_a_fork_has_a_file_of_its_own(tmp_path: Path) -> None:
    assert start(tmp_path, FORK).communicate("")[0] == "3.0\n"
    assert files(tmp_path) == 2


def test_a_lock_of_another_user_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0.lock").touch()
    monkeypatch.setattr(os, "open", Mock(side_effect=PermissionError))
    assert not metrics._takes(str(tmp_path / "0.lock"))


def test_a_folder_of_another_user_is_an_error_and_no_search_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", Mock(side_effect=PermissionError))
    with pytest.raises(PermissionError):
        metrics._takes(str(tmp_path / "0.lock"))
