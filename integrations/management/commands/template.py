"""The workbench of who describes a service: check, render, receive, test. It needs no database."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations import cases, exchanges, webhooks
from integrations.language.data_filters import parse_date
from integrations.language.document import Template, compile_document
from integrations.language.errors import DocumentError, Problem, RenderError
from integrations.language.properties import check_values
from integrations.language.values import Value, dump, load, text
from integrations.redact import Redactor
from integrations.shown_events import shown_events


class Command(BaseCommand):
    help = "Checks and tries templates, without a database and without the network."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="check|render|receive|test")
        check = verbs.add_parser("check", help="all that is wrong with templates, and where")
        check.add_argument("files", nargs="+", type=Path, metavar="FILE")
        render = verbs.add_parser("render", help="the requests that a message makes")
        render.add_argument("file", type=Path, metavar="FILE")
        render.add_argument("--method", default="SendMessage", help="SendMessage, SendFile, CheckCredentials")
        render.add_argument("--properties", type=Path, help="a JSON file: the values by label")
        render.add_argument("--message", type=Path, help="a JSON file: from, to, content, media, …")
        render.add_argument("--reveal", action="store_true", help="show secrets as they are")
        receive = verbs.add_parser("receive", help="the events of a webhook request, and its answer")
        receive.add_argument("file", type=Path, metavar="FILE")
        receive.add_argument("--properties", type=Path, help="a JSON file: the values by label")
        receive.add_argument(
            "--request", type=Path, required=True, help="a JSON file: method, headers, json, …"
        )
        test = verbs.add_parser("test", help="run the cases of templates")
        test.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        test.add_argument("--json", action="store_true", help="the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _check(self, options: dict[str, Any]) -> None:
        wrong = 0
        for path in options["files"]:
            try:
                problems = list(compile_document(_read(path)).warnings)
            except DocumentError as error:
                problems = error.problems
                wrong += 1
            for problem in problems:
                self.stdout.write(_line(path, problem))
            if not problems:
                self.stdout.write(f"{path}: no problems.")
        if wrong:
            raise CommandError(f"{wrong} of {len(options['files'])} templates cannot be used.")

    def _render(self, options: dict[str, Any]) -> None:
        template = _template(options["file"])
        case = {
            "method": options["method"],
            "properties": _values(template, options["properties"]),
            "message": _object(options["message"]),
        }
        try:
            parts = cases.requests_of(template, case)
        except RenderError as error:
            raise CommandError(f"{options['file']}: {error}") from None
        found = dump([exchanges.shown(part.request) for part in parts])
        if not options["reveal"]:
            secret = {item.label for item in template.properties if item.secret} | {"access_token"}
            values = [text(value) for label, value in case["properties"].items() if label in secret]
            hide = Redactor(values)
            found = dump([_redacted(exchanges.shown(part.request), hide) for part in parts])
        self.stdout.write(_pretty(found))

    def _receive(self, options: dict[str, Any]) -> None:
        template = _template(options["file"])
        request = _object(options["request"])
        received = webhooks.read(
            template,
            exchanges.inbound(request, text(request.get("webhook_url"))),
            _values(template, options["properties"]),
            now=parse_date(text(request.get("now"))),
        )
        answer = received.answer
        body = (
            exchanges.shown_body(answer.body, answer.headers.get("content-type", "")) if answer.body else {}
        )
        found = {
            "verdict": received.verdict,
            "reason": received.reason,
            "response": {"status": answer.status, "headers": dict(answer.headers), **body},
            "events": shown_events(received, text(request.get("country")) or None),
            "tried": [{"event": pointer, "reason": reason} for pointer, reason in received.tried],
        }
        self.stdout.write(_pretty(dump(found)))

    def _test(self, options: dict[str, Any]) -> None:
        folders = [(path, cases.entries(path)) for path in options["paths"]]
        for path, found in folders:
            if not found:
                raise CommandError(f"{path}: here is no template.json, nor a folder that holds one.")
        results = [result for _, found in folders for folder in found for result in cases.run_folder(folder)]
        failed = [result for result in results if not result.passed]
        if options["json"]:
            listed = [
                {"file": item.file, "name": item.name, "passed": item.passed, "difference": item.difference}
                for item in results
            ]
            counts = {"passed": len(results) - len(failed), "failed": len(failed)}
            self.stdout.write(json.dumps({**counts, "cases": listed}, indent=2, ensure_ascii=False))
        else:
            for item in failed:
                lines = item.difference.replace("\n", "\n    ")
                self.stdout.write(f"{item.file}: {item.name}\n    {lines}")
            self.stdout.write(f"{len(results) - len(failed)} passed, {len(failed)} failed.")
        if failed:
            raise SystemExit(1)


def _line(path: Path, problem: Problem) -> str:
    place = f"{path}:{problem.line or 1}:{problem.column or 1}"
    suggestion = f" {problem.suggestion}" if problem.suggestion else ""
    return f"{place}: {problem.severity}: {problem.pointer or 'the document'}: {problem.reason}{suggestion}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}.") from None


def _template(path: Path) -> Template:
    try:
        return compile_document(_read(path))
    except DocumentError as error:
        lines = "\n".join(_line(path, problem) for problem in error.problems)
        raise CommandError(f"The template cannot be used:\n{lines}") from None


def _object(path: Path | None) -> dict[str, Value]:
    if path is None:
        return {}
    try:
        found = load(_read(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path}: this is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise CommandError(f"{path}: a JSON object is expected.")
    return found


def _values(template: Template, path: Path | None) -> dict[str, Value]:
    given = _object(path)
    token = {"access_token": given.pop("access_token")} if "access_token" in given else {}
    clean, errors = check_values(template.properties, given)
    for label, reason in errors.items():
        # One may look at a template before all values are known, but not with a label that it has not.
        if label not in {item.label for item in template.properties}:
            raise CommandError(f"{path}: {reason}")
    return clean | token


def _redacted(value: Value, hide: Redactor) -> Value:
    if isinstance(value, dict):
        if "headers" in value and isinstance(value["headers"], dict):
            value = {**value, "headers": hide.headers(value["headers"])}
        return {key: _redacted(item, hide) for key, item in value.items()}
    if isinstance(value, list):
        return [_redacted(item, hide) for item in value]
    return hide.text(value) if type(value) is str else value


def _pretty(compact: str) -> str:
    return json.dumps(json.loads(compact), indent=2, ensure_ascii=False)
