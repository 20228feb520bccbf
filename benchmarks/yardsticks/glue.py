"""The glue: Flask, requests and an INSERT.

The request that submits a message sends it, too; a webhook is one INSERT or UPDATE. Nothing is tried again.
"""

from __future__ import annotations

import os
import threading

import psycopg
import requests
from flask import Flask, request
from flask.typing import ResponseReturnValue

application = Flask(__name__)
_local = threading.local()


def _database() -> psycopg.Connection:
    if not hasattr(_local, "database"):
        _local.database = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return _local.database


def _session() -> requests.Session:
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    return _local.session


@application.post("/messages")
def send() -> ResponseReturnValue:
    message = request.get_json()
    row = (
        _database()
        .execute(
            "INSERT INTO message (direction, sender, recipient, text, status) "
            "VALUES ('out', %s, %s, %s, 'sending') RETURNING id",
            (message["sender"], message["to"], message["content"]),
        )
        .fetchone()
    )
    assert row is not None
    answer = _session().post(
        os.environ["PROVIDER_URL"],
        json={"from": message["sender"], "to": message["to"], "content": message["content"]},
        timeout=30,
    )
    _database().execute(
        "UPDATE message SET status = 'sent', provider_id = %s WHERE id = %s",
        (answer.json()["data"]["id"], row[0]),
    )
    return {"id": row[0]}


@application.post("/webhook")
def receive() -> ResponseReturnValue:
    said = request.get_json()
    params = said["params"]
    if said["method"] == "message":
        _database().execute(
            "INSERT INTO message (direction, sender, recipient, text, status) "
            "VALUES ('in', %s, %s, %s, 'new')",
            (params["from"], params["to"], params["content"]),
        )
    else:
        _database().execute(
            "UPDATE message SET status = 'delivered' WHERE provider_id = %s", (params["messageid"],)
        )
    return {}


def prepare(database: str) -> None:
    """The glue's only table."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE message (id bigserial PRIMARY KEY, direction text, sender text, recipient text, "
            "text text, status text, provider_id text, created_at timestamptz DEFAULT now())"
        )
        connection.execute("CREATE INDEX ON message (provider_id)")
