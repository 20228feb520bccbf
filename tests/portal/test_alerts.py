"""The files for Prometheus and Grafana: they are valid, every metric in them exists, and every alert has help."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client

from messaging.inbound import file_events
from messaging.models import Number
from messaging.outbound import dispatch, submit
from portal import metrics
from portal.models import User
from tests.processes import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
RULES = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "patchbay.json").read_text())
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool checks the rules: install Debian's package prometheus."
)


def run(*arguments: str, given: str = "") -> str:
    result = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, input=given, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture
def exposed(client: Client, settings: Any, alice: User, private: Number) -> str:
    """What /metrics says once everything that is counted has happened."""
    settings.METRICS_TOKEN = "a-token-for-prometheus"
    url = f"/services/generic/a{private.organization.orgid}"
    params = {"from": "+61412345678", "to": private.number, "content": "Hi", "id": "1"}
    client.post(url, {"method": "message", "params": params}, content_type="application/json")
    client.post("/services/generic/a00000000000000000000", {})
    file_events.drain()
    submit.submit(alice, private, "+61412345678", text="Hello")
    dispatch.drain()
    metrics.TASK_LAG_SECONDS.labels("messaging.dispatch_due").observe(0.01)  # by worker processes only
    response = client.get("/metrics", headers={"Authorization": "Bearer a-token-for-prometheus"})
    return response.content.decode()


@promtool
def test_the_rules_are_valid() -> None:
    assert f"{len(RULES)} rules found" in run("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml")


@promtool
def test_each_alert_fires_when_it_should_and_is_silent_while_all_is_well() -> None:
    tested = yaml.safe_load((FOLDER / "alerts.test.yml").read_text())["tests"]
    names = [rule["alert"] for rule in RULES]
    assert [case["name"] for case in tested[1:]] == names
    assert [case["alertname"] for case in tested[0]["alert_rule_test"]] == names
    assert "SUCCESS" in run("test", "rules", "alerts.test.yml")


@promtool
def test_the_scrape_configuration_is_valid(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    (tmp_path / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
    text = (FOLDER / "prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(
        text.replace("/etc/prometheus/patchbay-token", f"{tmp_path}/token")
    )
    run("check", "config", str(tmp_path / "prometheus.yml"))


@promtool
@pytest.mark.django_db
def test_the_metrics_follow_the_conventions(exposed: str) -> None:
    assert run("check", "metrics", given=exposed).strip() == ""


@pytest.mark.django_db
def test_rules_and_dashboard_ask_for_metrics_that_exist(exposed: str, settings: Any) -> None:
    families = set(re.findall(r"^# TYPE (\S+)", exposed, re.MULTILINE))
    samples = set(re.findall(r"^([a-z_]+)", exposed, re.MULTILINE))
    # Without PostgreSQL there are no connections to count.
    wanted = {name for text in EXPRESSIONS for name in re.findall(r"\bpatchbay_\w+", text)}
    assert len(wanted) > 10
    assert wanted - samples - families == set()
    documented = set(
        re.findall(
            r"^\| `(patchbay_\w+)`", (ROOT / "docs/how-to/watch-with-prometheus.md").read_text(), re.MULTILINE
        )
    )
    assert documented == families


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    page, anchor = rule["annotations"]["runbook_url"].split("#")
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert headings == [each["alert"] for each in RULES]
    assert anchor == rule["alert"].lower()
    assert rule["labels"]["severity"] in ("critical", "warning")
