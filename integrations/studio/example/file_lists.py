"""Lists in the JSON of a request whose elements are files."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.studio.example.meanings import Meaning
from integrations.studio.example.samples import Path, Sample


class FileLists:
    """Tells the files in the lists of a sample from whole messages."""

    def __init__(self, sample: Sample, meanings: Mapping[str, Meaning]) -> None:
        self._roles = {leaf.path: meanings[leaf.key].role for leaf in sample.leaves if leaf.where == "json"}

    def holds_file(self, element: Path) -> bool:
        """Whether an element of a list is the URL of a file, or an object that describes one."""
        inside = (path[len(element) :] for path, role in self._below(element) if role == "file")
        described = any(not any(isinstance(step, int) for step in path) for path in inside)
        return described and (self.is_file(element) or element in self._roles)

    def is_file(self, element: Path) -> bool:
        """Whether an element of a list is a file, and no whole message."""
        return not {role for _path, role in self._below(element)} & {"to", "from", "text"}

    def _below(self, element: Path) -> list[tuple[Path, str]]:
        return [(path, role) for path, role in self._roles.items() if path[: len(element)] == element]
