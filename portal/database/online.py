"""Changes of tables that others use meanwhile, for migrations with `atomic = False`."""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations import AddIndex

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
