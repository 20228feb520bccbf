"""The people and things that most tests need: Acme and Globex of one reseller, and a real HTTP provider."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4
from wsgiref.util import setup_testing_defaults

import psycopg
import pytest
from django.core.cache import cache
from django.core.signals import request_started
from django.db import close_old_connections
from hypothesis import settings as hypothesis_settings

from integrations import catalog, holds, http
from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from messaging.models import Assignment, Number
from portal import process
from portal.handlers import Handler
from portal.models import Account, Membership, Organization, User
from tests.installation import Embedded, Installation, Separate
from tests.oauth_server import OAuthServer, running

# Other people's work on the machine makes no test fail; `--hypothesis-profile=thorough` tries more and longer.
hypothesis_settings.register_profile("quick", deadline=None)
hypothesis_settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis_settings.load_profile("quick")

PASSWORD = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _fresh(settings: Any) -> Iterator[None]:
    """No cached wake-ups, no state of the process, and password hashing that costs nothing."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
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
def account(db: None) -> Account:
    return Account.objects.create(name="Southern Voice")


@pytest.fixture
def acme(account: Account) -> Organization:
    return Organization.objects.create(account=account, name="Acme", domain="acme.example")


@pytest.fixture
def globex(account: Account) -> Organization:
    return Organization.objects.create(account=account, name="Globex", domain="globex.example")


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
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@patchbay.example", PASSWORD, name="Olga")


@pytest.fixture
def generic(db: None) -> Template:
    """The built-in template in the published format."""
    catalog.install()
    return Template.objects.get(account=None, service_id="generic")


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
def service(acme: Organization, generic: Template, sandbox: Sandbox) -> Integration:
    """The generic service, enabled for Acme with the sandbox's address and key."""
    integration = Integration.objects.create(organization=acme, template=generic)
    holds.enter(integration, {"API URL": sandbox.api_url, "API key": "sandbox-key"})
    return integration


@pytest.fixture
def private(service: Integration, alice: User) -> Number:
    """Alice's own number."""
    number = Number.objects.create(
        organization=service.organization, integration=service, number="+61855555501", country="AU"
    )
    Assignment.objects.create(number=number, user=alice)
    return number


@pytest.fixture
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
    made = Installation(tmp_path_factory.mktemp("made"))
    made.data.mkdir()
    made.run("manage.py", "install", "-v0").finish()

    @contextmanager
    def make(**environment: str) -> Iterator[Embedded]:
        yield from _running(Embedded(tmp_path_factory.mktemp("embedded"), made.data, **environment))

    return make


@pytest.fixture(scope="session")
def separate(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., AbstractContextManager[Separate]]]:
    """Makes Patchbays of separate processes on the PostgreSQL of PATCHBAY_TEST_SERVER and a Redis of their own."""
    server, name = os.environ["PATCHBAY_TEST_SERVER"], f"patchbay_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    database = urlsplit(server)._replace(path=f"/{name}").geturl()
    made = Installation(tmp_path_factory.mktemp("made"), DATABASE_URL=database)
    made.run("manage.py", "install", "-v0").finish()

    @contextmanager
    def make(**environment: str) -> Iterator[Separate]:
        yield from _running(Separate(tmp_path_factory.mktemp("separate"), server, name, **environment))

    yield make
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _running(patchbay: Any) -> Iterator[Any]:
    try:
        yield patchbay
    except BaseException:
        print(patchbay.output)
        raise
    finally:
        patchbay.stop()
