"""The tool for authors of templates: check, render, receive, test, import. It needs no database."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations import case_exchanges, case_http, cases, webhooks
from integrations.case_events import shown_events
from integrations.case_schema import check_message, check_request
from integrations.language.api_methods import METHODS
from integrations.language.dates import parse_date
from integrations.language.document import Template, compile_document, located
from integrations.language.errors import DocumentError, Problem, RenderError, child, json_problem
from integrations.language.properties import check_values
from integrations.language.source import placed
from integrations.language.values import Value, dump, load, text
from integrations.redact import Redactor
from integrations.studio import importers

_MISSING = "There is no such file or folder."


class Command(BaseCommand):
    help = "Checks templates and tries them out, without a database and without the network."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="check|render|receive|test|import")
        check = verbs.add_parser("check", help="list the problems in templates")
        check.add_argument("files", nargs="+", type=Path, metavar="FILE")
        render = verbs.add_parser("render", help="show the requests that send a message")
        render.add_argument("file", type=Path, metavar="FILE")
        render.add_argument(
            "--method", choices=tuple(METHODS), help="the API method; without it, the message decides"
        )
        render.add_argument("--properties", type=Path, help="a JSON file with property values by label")
        render.add_argument("--message", type=Path, help="a JSON file with from, to, content, media, …")
        render.add_argument("--reveal", action="store_true", help="show secrets")
        receive = verbs.add_parser("receive", help="show the events in a webhook request, and the response")
        receive.add_argument("file", type=Path, metavar="FILE")
        receive.add_argument("--properties", type=Path, help="a JSON file with property values by label")
        receive.add_argument(
            "--request", type=Path, required=True, help="a JSON file with method, headers, json, …"
        )
        test = verbs.add_parser("test", help="run the cases of templates")
        test.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        test.add_argument("--json", action="store_true", help="print the results as JSON")

        importing = verbs.add_parser("import", help="write a template of what another system has")
        importing.add_argument("file", type=Path, metavar="FILE")
        importing.add_argument(
            "--kind", choices=importers.KINDS, default="", help="without it, FILE tells it"
        )
        importing.add_argument(
            "--name", default="", help="the request of a collection, smsc-id or provider, if FILE has several"
        )
        importing.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the document goes")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _check(self, options: dict[str, Any]) -> None:
        wrong = 0
        for path in options["files"]:
            path = _file(path)
            try:
                problems = list(compile_document(read_file(path)).warnings)
            except DocumentError as error:
                problems = error.problems
                wrong += 1
            for problem in problems:
                self.stdout.write(line_of(path, problem))
            if not problems:
                self.stdout.write(f"{path}: no problems.")
        if wrong:
            raise CommandError(f"{wrong} of {len(options['files'])} templates cannot be used.")

    def _render(self, options: dict[str, Any]) -> None:
        file = _file(options["file"])
        template = _template(file)
        values = _values(template, options["properties"])
        message = _object(options["message"], check_message)
        method = options["method"]
        try:
            case = {"kind": "send", "method": method, "properties": values, "message": message}
            parts = case_exchanges.requests_of(template, cases.completed(template, case))
        except RenderError as error:
            problem = located(error, read_file(file))
            raise CommandError(line_of(file, problem) + _unknown_values(template, values)) from None
        if method and all(part.method != method for part in parts):
            raise CommandError(f"This message is not sent by {method}, but by {parts[0].method}.")
        found = dump([case_http.shown(part.request) for part in parts])
        if not options["reveal"]:
            secret = {item.label for item in template.properties if item.secret} | {"access_token"}
            hide = Redactor([text(value) for label, value in values.items() if label in secret])
            found = dump([_redacted(case_http.shown(part.request), hide) for part in parts])
        self.stdout.write(_pretty(found))

    def _receive(self, options: dict[str, Any]) -> None:
        template = _template(_file(options["file"]))
        request = _object(options["request"], check_request)
        received = webhooks.read(
            template,
            case_http.inbound(request, text(request.get("webhook_url"))),
            _values(template, options["properties"]),
            now=parse_date(text(request.get("now"))),
        )
        response = received.answer
        body = (
            case_http.shown_body(response.body, response.headers.get("content-type", ""))
            if response.body
            else {}
        )
        found = {
            "verdict": received.verdict,
            "reason": received.reason,
            "response": {"status": response.status, "headers": dict(response.headers), **body},
            "events": shown_events(received, text(request.get("country")) or None),
            "unfit": [{"element": place, "reason": reason} for place, reason in received.unfit],
            "tried": [{"event": pointer, "reason": reason} for pointer, reason in received.tried],
        }
        self.stdout.write(_pretty(dump(found)))

    def _test(self, options: dict[str, Any]) -> None:
        folders = [(path, cases.template_folders(_folder(path))) for path in options["paths"]]
        for path, found in folders:
            if not found:
                what = "There is no template.json in it or in its folders." if path.exists() else _MISSING
                raise CommandError(f"{path}: {what}")
        results = [result for _, found in folders for folder in found for result in cases.run_folder(folder)]
        failed = [result for result in results if not result.passed]
        if options["json"]:
            listed = [
                {
                    "file": item.file,
                    "line": item.line,
                    "name": item.name,
                    "passed": item.passed,
                    "difference": item.difference,
                }
                for item in results
            ]
            counts = {"passed": len(results) - len(failed), "failed": len(failed)}
            self.stdout.write(json.dumps({**counts, "cases": listed}, indent=2, ensure_ascii=False))
        else:
            for item in failed:
                lines = item.difference.replace("\n", "\n    ")
                self.stdout.write(f"{item.file}:{item.line}: {item.name}\n    {lines}")
            self.stdout.write(f"{len(results) - len(failed)} passed, {len(failed)} failed.")
        if failed:
            raise SystemExit(1)

    def _import(self, options: dict[str, Any]) -> None:
        try:
            source = read_file(options["file"]).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CommandError(f"{options['file']}: The file is not text in UTF-8.") from None
        try:
            report = importers.read(source, options["kind"], options["name"])
        except importers.ImportProblem as error:
            raise CommandError(f"{options['file']}: {error}") from None
        for heading, sentences in (("Taken:", report.taken), ("To look at, or not taken:", report.left)):
            if sentences:
                self.stderr.write("\n".join([heading, *(f"  {each}" for each in sentences)]), str)
        document = json.dumps(report.document, indent=2, ensure_ascii=False)
        if options["output"] is None:
            self.stdout.write(document)
            return
        try:
            options["output"].write_text(f"{document}\n")
        except OSError as error:
            raise CommandError(
                f"{options['output']}: The file cannot be written: {error.strerror}."
            ) from None


def line_of(path: Path, problem: Problem) -> str:
    """A problem in a file as a line of text: where, how bad, what, and what to try."""
    place = f"{path}:{problem.line or 1}:{problem.column or 1}"
    suggestion = f" {problem.suggestion}" if problem.suggestion else ""
    line = f"{place}: {problem.severity}: {problem.pointer or 'the document'}: {problem.reason}{suggestion}"
    return f"{line}\n{problem.document}" if problem.document else line


def _file(path: Path) -> Path:
    """A template's file, if its folder is given, too."""
    return path / "template.json" if path.is_dir() else path


def _folder(path: Path) -> Path:
    return path.parent if path.name == "template.json" else path


def read_file(path: Path) -> bytes:
    """The content of a file. Raises CommandError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CommandError(f"{path}: {_MISSING}") from None
    except OSError as error:
        raise CommandError(f"{path}: The file cannot be read: {error.strerror}.") from None


def _template(path: Path) -> Template:
    try:
        return compile_document(read_file(path))
    except DocumentError as error:
        lines = "\n".join(line_of(path, problem) for problem in error.problems)
        raise CommandError(f"The template cannot be used:\n{lines}") from None


def _object(
    path: Path | None, check: Callable[[Value], list[Problem]] = lambda found: []
) -> dict[str, Value]:
    """The object in a JSON file, or `{}` without one. Raises CommandError with all its problems."""
    if path is None:
        return {}
    try:
        source = read_file(path).decode("utf-8-sig")
        found = load(source)
    except json.JSONDecodeError as error:
        raise CommandError(line_of(path, json_problem(error))) from None
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path}: The file cannot be read as JSON: {error}") from None
    problems = check(found) if isinstance(found, dict) else [Problem("", "This must be an object.")]
    if problems:
        raise CommandError("\n".join(line_of(path, problem) for problem in placed(problems, source)))
    return dict(found)


def _values(template: Template, path: Path | None) -> dict[str, Value]:
    """Values by label. Some may be missing, so that a template can be tried before all are known."""
    clean: dict[str, Value] = {}

    def check(given: Value) -> list[Problem]:
        labels = {key: value for key, value in given.items() if key != "access_token"}
        found, errors = check_values(template.properties, labels)
        clean.update(found)
        return [Problem(child("", label), reason) for label, reason in errors.items() if label in given]

    given = _object(path, check)
    if path is None:
        check({})
    return clean | ({"access_token": given["access_token"]} if "access_token" in given else {})


def _unknown_values(template: Template, values: dict[str, Value]) -> str:
    labels = [item.label for item in template.properties if item.required and item.label not in values]
    return (
        f"\nThese properties have no value: {', '.join(labels)}. Set them with --properties FILE."
        if labels
        else ""
    )


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
