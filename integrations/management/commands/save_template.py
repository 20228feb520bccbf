from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.language.errors import DocumentError
from integrations.management.commands.template import line_of, read_file
from integrations.models import Template, webhook_url
from integrations.models.templates import compiled_document
from portal.models import Account


class Command(BaseCommand):
    help = "Saves a template in an account as a draft; --publish has organizations use it at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account", help="the account's id, as in the webhook URL without its a")
        parser.add_argument("file", type=Path, help="the JSON document")
        parser.add_argument("--publish", action="store_true", help="have organizations use it at once")
        parser.add_argument("--replace", metavar="ID", help="the id of the template that gets the revision")
        parser.add_argument(
            "--change-url", action="store_true", help="with --publish: let another id change the webhook URL"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        account = Account.objects.filter(accountid=options["account"]).first()
        if account is None:
            raise CommandError(f"There is no account with the id {options['account']!r}.")
        file, replaced = options["file"], options["replace"]
        try:
            source = read_file(file).decode("utf-8-sig")
            named = replaced or compiled_document(source).id
            template = Template.objects.filter(account=account, service_id=named).first()
            if replaced and template is None:
                raise CommandError(f"{account} has no template with the id {replaced!r}.")
            template = template or Template(account=account)
            if options["publish"]:
                revision = template.revise(source, moves=options["change_url"])
            else:
                revision = template.save_draft(source)
        except UnicodeDecodeError:
            raise CommandError(f"{file}: The document is not valid UTF-8.") from None
        except DocumentError as error:
            raise CommandError("\n".join(line_of(file, problem) for problem in error.problems)) from None
        except ValidationError as error:
            hint = " Add --change-url to confirm." if error.code == "moves" else ""
            raise CommandError(" ".join(error.messages) + hint) from None
        for problem in revision.compiled.warnings:
            self.stdout.write(line_of(file, problem))
        if not options["publish"]:
            told = "Nobody uses it until it is published: in the studio, or with --publish."
            self.stdout.write(f"Saved draft {revision.number} of {revision.template}. {told}")
            return
        url = webhook_url(revision.template.service_id, account.accountid)
        self.stdout.write(
            f"Published revision {revision.number} of {revision.template}. Its webhook URL is {url}."
        )
