"""Full text search: rows by the words of a text column, in a table beside it that triggers fill and empty.

It is a table of its own because an index on the column itself is written again with each update of the row,
of which a message gets three or four. Words are taken as they are, whatever the language: letters and digits,
without regard to upper and lower case; everything else separates words.
"""

# ruff: noqa: S608 (the statements are made of names of tables and columns)

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.db.migrations.operations.base import Operation
from django.db.models import Lookup, TextField

from portal.database import sql

INDEXED = 4000  # characters of a text; PostgreSQL refuses texts with too many words
MOST_WORDS = 8
SHORTEST_PREFIX = 2  # a single letter begins too many words
BATCH = 20_000  # rows

# What PostgreSQL's parser would take for a part of an address, a number or a tag, not for the end of a word.
_SEPARATORS = r"+-./:@_~#%&=?<>\|*^,;"
_WORD = re.compile(r"[^\W_]+")
_MOMENTS = ("insert", "update", "delete")


def words(text: str) -> list[str]:
    """The words that are searched for; at most MOST_WORDS."""
    return [word[:60] for word in _WORD.findall(text)][:MOST_WORDS]


@TextField.register_lookup
class HasWords(Lookup):
    """`text__has_words="ann arb"`: texts in which each of the words begins some word.

    The column needs an `AddTextSearch`. What has no letter and no digit is found nowhere.
    """

    lookup_name = "has_words"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        wanted, column = words(self.rhs), self.lhs
        if not wanted:
            return "0 = 1", []
        meta = column.target.model._meta
        index = _quoted(_name(meta.db_table))
        row = f"{compiler.quote_name_unless_alias(column.alias)}.{_quoted(meta.pk.column)}"
        if sql.is_postgres():
            spelled = [f"'{word}'{':*' if len(word) >= SHORTEST_PREFIX else ''}" for word in wanted]
            matches = "SELECT id FROM {} WHERE words @@ to_tsquery('simple'::regconfig, %s)"
            return f"{row} IN ({matches.format(index)})", [" & ".join(spelled)]
        spelled = [f'"{word}"{"*" if len(word) >= SHORTEST_PREFIX else ""}' for word in wanted]
        matches = "SELECT rowid FROM {0} WHERE {0} MATCH %s"
        return f"{row} IN ({matches.format(index)})", [" ".join(spelled)]


class AddTextSearch(Operation):
    """Makes `has_words` work for a column; others write to the table meanwhile.

    For a migration with `atomic = False`: rows that are there are read in batches, each a transaction.
    Repeated after it was broken off, it begins anew.
    """

    reduces_to_sql = False
    reversible = True

    def __init__(self, model_name: str, column: str) -> None:
        self.model_name, self.column = model_name, column

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.column], {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        _run(_dropped(table))
        with transaction.atomic():
            _run(_made(table, self.column))
        if sql.is_postgres():
            fill(table, self.column)
            index = f"{_quoted(_name(table, 'found'))} ON {_quoted(_name(table))}"
            _run([f"CREATE INDEX CONCURRENTLY {index} USING gin (words)"])
        else:
            _run([_rebuilt(table)])

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        _run(_dropped(from_state.apps.get_model(app_label, self.model_name)._meta.db_table))

    def describe(self) -> str:
        return f"Full text search in {self.column} of {self.model_name}"


def fill(table: str, column: str) -> None:
    """Reads the rows that PostgreSQL's triggers have not seen: those from before, or written without them."""
    text = _quoted(column)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COALESCE(MAX(id), 0) FROM {_quoted(table)}")
        (last,) = cursor.fetchone()
        for first in range(0, last, BATCH):
            cursor.execute(
                f"""INSERT INTO {_quoted(_name(table))} SELECT id, {_words_of(text)} FROM {_quoted(table)}
                WHERE id > {first} AND id <= {first + BATCH} AND {text} <> '' ON CONFLICT DO NOTHING"""
            )


def repair(table: str, column: str) -> None:
    """Makes the triggers again that SQLite drops when a migration writes the table anew."""
    if sql.is_postgres():
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE tbl_name IN (%s, %s)", [table, _name(table)])
        known = {name for (name,) in cursor.fetchall()}
    if _name(table) in known and not known.issuperset(_name(table, moment) for moment in _MOMENTS):
        _run([*_dropped(table), *_made(table, column), _rebuilt(table)])


def forget(table: str) -> None:
    """Removes the words of deleted rows from SQLite's index, where they are only marked until then.

    PostgreSQL's autovacuum removes them by itself.
    """
    if not sql.is_postgres():
        index = _quoted(_name(table))
        _run([f"INSERT INTO {index}({index}) VALUES ('optimize')"])


def _made(table: str, column: str) -> Iterator[str]:
    """The statements that make the table of words, and what keeps it."""
    index, rows, text = _quoted(_name(table)), _quoted(table), _quoted(column)
    if not sql.is_postgres():
        forget = f"INSERT INTO {index}({index}, rowid, {text}) VALUES ('delete', old.id, old.{text});"
        learn = f"INSERT INTO {index}(rowid, {text}) VALUES (new.id, new.{text});"
        when = {
            "insert": f"AFTER INSERT ON {rows} BEGIN {learn} END",
            "update": f"AFTER UPDATE OF {text} ON {rows} WHEN old.{text} IS NOT new.{text} "
            f"BEGIN {forget} {learn} END",
            "delete": f"AFTER DELETE ON {rows} BEGIN {forget} END",
        }
        yield (
            f"CREATE VIRTUAL TABLE {index} USING fts5({text}, content={rows}, content_rowid='id', "
            'tokenize="unicode61 remove_diacritics 0")'
        )
        for moment in _MOMENTS:
            yield f"CREATE TRIGGER {_quoted(_name(table, moment))} {when[moment]}"
        return
    function = _quoted(_name(table, "kept"))
    yield f"CREATE TABLE {index} (id bigint PRIMARY KEY, words tsvector NOT NULL)"
    yield f"""CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                TRUNCATE {index};
            ELSIF TG_OP = 'DELETE' THEN
                DELETE FROM {index} AS gone USING old_rows WHERE gone.id = old_rows.id;
            ELSIF TG_OP = 'UPDATE' THEN
                INSERT INTO {index} VALUES (NEW.id, {_words_of("NEW." + text)})
                ON CONFLICT (id) DO UPDATE SET words = excluded.words;
            ELSE
                INSERT INTO {index} SELECT id, {_words_of(text)} FROM new_rows WHERE {text} <> ''
                ON CONFLICT (id) DO UPDATE SET words = excluded.words;
            END IF;
            RETURN NULL;
        END $$"""
    when = {
        "insert": f"AFTER INSERT ON {rows} REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT",
        "update": f"AFTER UPDATE OF {text} ON {rows} FOR EACH ROW "
        f"WHEN (OLD.{text} IS DISTINCT FROM NEW.{text})",
        "delete": f"AFTER DELETE ON {rows} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT",
        "truncate": f"AFTER TRUNCATE ON {rows} FOR EACH STATEMENT",
    }
    for moment, clause in when.items():
        yield f"CREATE TRIGGER {_quoted(_name(table, moment))} {clause} EXECUTE FUNCTION {function}()"


def _dropped(table: str) -> Iterator[str]:
    if sql.is_postgres():
        yield f"DROP FUNCTION IF EXISTS {_quoted(_name(table, 'kept'))}() CASCADE"  # and its triggers
    else:
        for moment in _MOMENTS:
            yield f"DROP TRIGGER IF EXISTS {_quoted(_name(table, moment))}"
    yield f"DROP TABLE IF EXISTS {_quoted(_name(table))}"


def _words_of(column: str) -> str:
    return (
        f"strip(to_tsvector('simple'::regconfig, translate(left({column}, {INDEXED}), '{_SEPARATORS}', "
        f"'{' ' * len(_SEPARATORS)}')))"
    )


def _rebuilt(table: str) -> str:
    index = _quoted(_name(table))
    return f"INSERT INTO {index}({index}) VALUES ('rebuild')"


def _run(statements: Any) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _name(table: str, what: str = "") -> str:
    return "_".join(filter(None, (table, "words", what)))


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
