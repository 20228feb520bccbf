"""Changes of tables that others use meanwhile, for migrations with `atomic = False`."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.migrations.operations import AddConstraint, AddIndex
from django.db.migrations.operations.base import Operation

from portal.database import sql


class AddIndexOnline(AddIndex):
    """Adds an index while others write to the table; repeated after it was broken off, it begins anew."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not sql.is_postgres():
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{self.index.name}"', params=None)
        schema_editor.add_index(model, self.index, concurrently=True)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not sql.is_postgres():
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        model = from_state.apps.get_model(app_label, self.model_name)
        schema_editor.remove_index(model, self.index, concurrently=True)


class AddCheckOnline(AddConstraint):
    """Adds a check while others write to the table: what is there is read under a lock that lets them."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not sql.is_postgres():
            with transaction.atomic():  # SQLite writes the table anew
                super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        table, name = model._meta.db_table, self.constraint.name
        schema_editor.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT IF EXISTS "{name}"', params=None)
        statement = self.constraint.create_sql(model, schema_editor)
        schema_editor.execute(f"{statement} NOT VALID", params=None)
        schema_editor.execute(f'ALTER TABLE "{table}" VALIDATE CONSTRAINT "{name}"', params=None)


class AddDependency(Operation):
    """Tells PostgreSQL's planner that columns depend on each other, such as an integration's organization."""

    reduces_to_sql = False
    reversible = True

    def __init__(self, model_name: str, name: str, columns: list[str]) -> None:
        self.model_name, self.name, self.columns = model_name, name, columns

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.model_name, self.name, self.columns], {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if sql.is_postgres():
            table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
            columns = ", ".join(self.columns)
            schema_editor.execute(
                f"CREATE STATISTICS IF NOT EXISTS {self.name} (dependencies) ON {columns} FROM {table}"
            )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if sql.is_postgres():
            schema_editor.execute(f"DROP STATISTICS IF EXISTS {self.name}")

    def describe(self) -> str:
        return f"Statistics {self.name}"
