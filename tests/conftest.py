"""The people and things that most tests need: Acme and Globex of one reseller, and a real HTTP provider."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.util import setup_testing_defaults

import psycopg
import pytest
from django.core.cache import cache
from django.core.signals import request_started
from django.db import close_old_connections, connection
from hypothesis import settings as hypothesis_settings

from integrations import catalog, holds, http
from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from messaging.models import Assignment, Number
from portal import process
from portal.audit.watching import covered
from portal.handlers import Handler
from portal.models import Account, Membership, Organization, User
from tests.installation import Embedded, Installation, Separate
from tests.oauth_server import OAuthServer, running
from tests.once import all_made, made_once

# Other people's work on the machine makes no test fail; `--hypothesis-profile=thorough` tries more and longer.
hypothesis_settings.register_profile("quick", deadline=None)
hypothesis_settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis_settings.load_profile("quick")

PASSWORD = "correct-horse-battery"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that use the database of the tests: only these may differ on PostgreSQL."""
    for item in items:
        if "db" in item.fixturenames or item.get_closest_marker("django_db"):  # type: ignore[attr-defined]
            item.add_marker("database")


def pytest_collection_finish() -> None:
    """What has been imported stays: the search for garbage, a tenth of the time, need not look at it again."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Whether the database is there before the tests begin: the copy of a file."""
    return connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: Any
) -> None:
    """Migrations run once: each process that runs tests begins with a copy of the database that they make."""
    configured, name = connection.settings_dict["TEST"], connection.settings_dict["NAME"]
    own = configured["NAME"]

    def migrate(folder: Path) -> None:
        configured["NAME"] = str(folder / "database") if connection.vendor == "sqlite" else folder.name
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        connection.creation.destroy_test_db(name, verbosity=0, keepdb=True)
        configured["NAME"] = own

    with django_db_blocker.unblock():
        folder = made_once("migrated", migrate)
    # Nothing has to outlast the machine.
    options = connection.settings_dict["OPTIONS"]
    if connection.vendor == "sqlite":
        shutil.copy(folder / "database", own)
        options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
    else:
        configured["TEMPLATE"] = folder.name
        options["options"] += " -c synchronous_commit=off"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Drops the databases that the others were copied from; those in files go with their folder."""
    server = os.environ.get("PATCHBAY_TEST_DATABASE_URL") or os.environ.get("PATCHBAY_TEST_SERVER")
    if server and not hasattr(session.config, "workerinput"):
        with psycopg.connect(server, autocommit=True) as connection:
            for name in all_made():
                connection.execute(f'DROP DATABASE IF EXISTS "{name}"')


@pytest.fixture(autouse=True)
def _fresh(settings: Any) -> Iterator[None]:
    """No cached wake-ups, no state of the process; passwords that cost nothing, and static files when asked for."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_AUTOREFRESH = True
    cache.clear()
    process.close()
    yield
    http.stop()
    process.close()


@pytest.fixture
def wsgi(db: None) -> Iterator[Callable[..., str]]:
    """Hands a request to the application as a server does, and returns the status line.

    Django's test client would make a request of Django's own class, without what `portal.handlers` does.
    """
    application = Handler()

    def answer(method: str, path: str, content_type: str, body: bytes, **environ: Any) -> str:
        request: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
            **environ,
        }
        setup_testing_defaults(request)
        statuses: list[str] = []
        list(application(request, lambda status, headers: statuses.append(status)))
        return statuses[0]

    request_started.disconnect(close_old_connections)  # it would end the test's transaction
    yield answer
    request_started.connect(close_old_connections)


@pytest.fixture
@covered()
def account(db: None) -> Account:
    return Account.objects.create(name="Southern Voice")


@pytest.fixture
@covered()
def acme(account: Account) -> Organization:
    return Organization.objects.create(account=account, name="Acme", domain="acme.example")


@pytest.fixture
@covered()
def globex(account: Account) -> Organization:
    return Organization.objects.create(account=account, name="Globex", domain="globex.example")


@covered()
def person(name: str, organization: Organization | None = None, **membership: Any) -> User:
    """A user called name@<domain> who signs in with PASSWORD."""
    domain = organization.domain if organization else "patchbay.example"
    user = User.objects.create_user(f"{name.lower()}@{domain}", PASSWORD, name=name)
    if organization is not None or membership:
        Membership.objects.create(user=user, organization=organization, **membership)
    return user


@pytest.fixture
def alice(acme: Organization) -> User:
    return person("Alice", acme, extension="101")


@pytest.fixture
def bob(acme: Organization) -> User:
    return person("Bob", acme, extension="102")


@pytest.fixture
def charlie(globex: Organization) -> User:
    """A user of another organization of the same account: a stranger to Acme."""
    return person("Charlie", globex, extension="101")


@pytest.fixture
def admin_of_acme(acme: Organization) -> User:
    return person("Ada", acme, role=Membership.Role.ORGANIZATION_ADMIN, extension="100")


@pytest.fixture
def admin_of_globex(globex: Organization) -> User:
    return person("Gus", globex, role=Membership.Role.ORGANIZATION_ADMIN, extension="100")


@pytest.fixture
def reseller(account: Account) -> User:
    return person("Rosa", None, account=account, role=Membership.Role.ACCOUNT_ADMIN)


@pytest.fixture
@covered()
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@patchbay.example", PASSWORD, name="Olga")


@pytest.fixture
@covered()
def generic(db: None) -> Template:
    """The built-in template in the published format."""
    template = Template(account=None)
    template.revise(catalog.source("generic"))
    return template


@pytest.fixture
def built_in(generic: Template) -> None:
    """All templates of the catalogue."""
    catalog.install()


@pytest.fixture
def sandbox(settings: Any) -> Iterator[Sandbox]:
    """A provider on a real port; webhooks that it sends go nowhere until a test gives it an address."""
    provider = Sandbox(delay_delivered=0.05)
    provider.start()
    settings.PATCHBAY_ALLOWED_ORIGINS = [provider.origin]
    yield provider
    provider.stop()


@pytest.fixture
def oauth_server(settings: Any) -> Iterator[OAuthServer]:
    """A service that gives access by OAuth 2.0, on a real port."""
    with running() as server:
        settings.PATCHBAY_ALLOWED_ORIGINS = [server.origin]
        yield server


@pytest.fixture
@covered()
def service(acme: Organization, generic: Template, sandbox: Sandbox) -> Integration:
    """The generic service, enabled for Acme with the sandbox's address and key."""
    integration = Integration.objects.create(organization=acme, template=generic)
    holds.enter(integration, {"API URL": sandbox.api_url, "API key": "sandbox-key"})
    return integration


@pytest.fixture
@covered()
def private(service: Integration, alice: User) -> Number:
    """Alice's own number."""
    number = Number.objects.create(
        organization=service.organization, integration=service, number="+61855555501", country="AU"
    )
    Assignment.objects.create(number=number, user=alice)
    return number


@pytest.fixture
@covered()
def shared(service: Integration, alice: User, bob: User) -> Number:
    """A number of Alice and Bob."""
    number = Number.objects.create(
        organization=service.organization, integration=service, number="+61855555502", country="AU"
    )
    Assignment.objects.create(number=number, user=alice)
    Assignment.objects.create(number=number, user=bob)
    return number


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[Embedded]]:
    """Makes Patchbays that are one process on SQLite, with these variables in the environment."""

    def install(folder: Path) -> None:
        made = Installation(folder)
        made.data.mkdir()
        made.run("manage.py", "install", "-v0").finish()

    installed = made_once("embedded", install)

    @contextmanager
    def make(**environment: str) -> Iterator[Embedded]:
        yield from _running(Embedded(tmp_path_factory.mktemp("embedded"), installed / "data", **environment))

    return make


@pytest.fixture(scope="session")
def separate(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., AbstractContextManager[Separate]]:
    """Makes Patchbays of separate processes on the PostgreSQL of PATCHBAY_TEST_SERVER and a Redis of their own."""
    server = os.environ["PATCHBAY_TEST_SERVER"]

    def install(folder: Path) -> None:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{folder.name}"')
        database = urlsplit(server)._replace(path=f"/{folder.name}").geturl()
        Installation(folder, DATABASE_URL=database).run("manage.py", "install", "-v0").finish()

    installed = made_once("separate", install).name

    @contextmanager
    def make(**environment: str) -> Iterator[Separate]:
        yield from _running(Separate(tmp_path_factory.mktemp("separate"), server, installed, **environment))

    return make


def _running(patchbay: Any) -> Iterator[Any]:
    try:
        yield patchbay
    except BaseException:
        print(patchbay.output)
        raise
    finally:
        patchbay.stop()
