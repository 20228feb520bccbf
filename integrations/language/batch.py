"""The elements of the lists in a request: each is taken by the first event that it fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from integrations.language.budget import spend
from integrations.language.errors import child
from integrations.language.values import Value

# An element: which list it is in, and its position there; of a value that is no list, -1.
Key = tuple[int, int]


class NoElementFits(str):
    """The reason why no element of a list matches, though all around the list may."""

    __slots__ = ()


class Batch:
    """The elements of a request's lists: which are taken, and why the others fit no event.

    Elements are known by the identity of their list, so the documents that they are in must stay alive.
    """

    def __init__(self) -> None:
        self._taken: set[Key] = set()
        self._fitted: set[Key] = set()
        self._whole: set[Key] = set()
        self._missed: dict[Key, list[str]] = {}
        self._pending: list[tuple[Key, str]] = []
        self._left: set[Key] = set()

    def rest(self, value: Value) -> list[tuple[Key, Value]]:
        """The elements that no event has taken; a value that is no list is the only element of one."""
        if not isinstance(value, list):
            found = [((id(value), -1), value)]
        else:
            spend(len(value) >> 4)
            whole = id(value)
            found = [((whole, index), item) for index, item in enumerate(value)]
        return [pair for pair in found if pair[0] not in self._taken] if self._taken else found

    def miss(self, key: Key, reason: str) -> None:
        """Notes that an element does not fit the event that is being tried."""
        self._pending.append((key, reason))

    def refused(self, *, by_elements: bool) -> None:
        """The event that was tried does not match: because of the elements that it missed, or else."""
        if by_elements:
            self._note()
        self._pending.clear()

    def leave(self, key: Key, reason: str) -> None:
        """Notes an element that no event has read, though one has taken what it is in."""
        self._missed[key] = [reason]
        self._left.add(key)

    def take(self, elements: Iterable[tuple[Key, ...]], *, continues: bool) -> None:
        """The event that was tried matches with these; the next events see the rest, or `continues`."""
        for keys in elements:
            self._fitted.update(keys)
            self._whole.update(keys[-1:] if continues else keys)
            if not continues:
                self._taken.update(keys)
        self._note()
        self._pending.clear()

    def _note(self) -> None:
        for key, reason in self._pending:
            self._missed.setdefault(key, []).append(reason)

    @property
    def taking(self) -> bool:
        """Whether an event has taken some elements and left the rest to the next events."""
        return bool(self._taken)

    @property
    def misses(self) -> bool:
        """Whether some element fits none of the events that were tried."""
        return not self._fitted.issuperset(self._missed)

    def unfit(self, documents: Iterable[Value]) -> list[tuple[str, str]]:
        """The place of each element that fits no event, as a JSON Pointer, and the reasons."""
        found: list[tuple[str, str]] = []
        for key, place, covered in self._places(documents):
            if key in self._missed and key not in self._fitted and (not covered or key in self._left):
                reasons = dict.fromkeys(self._missed[key])
                found.append((place, "; ".join(reason.rstrip(".") for reason in reasons)))
        # Of an element that does not fit, the elements inside need not be told.
        outer = [place for place, _ in found]
        return [
            (place, reason)
            for place, reason in found
            if not any(place.startswith(f"{other}/") for other in outer)
        ]

    def places(self, documents: Iterable[Value], keys: Iterable[Key | None]) -> tuple[str, ...]:
        """The place of each element; "" for None: the whole request."""
        known = {key: place for key, place, _ in self._places(documents)}
        return tuple(known.get(key, "") if key is not None else "" for key in keys)

    def _places(self, documents: Iterable[Value]) -> Iterator[tuple[Key, str, bool]]:
        """All elements of the documents, their places, and whether they are in one that is taken whole."""
        waiting: list[tuple[Value, str, bool]] = [(document, "", False) for document in documents]
        while waiting:
            value, place, covered = waiting.pop()
            alone = id(value), -1
            yield alone, place, covered
            covered = covered or alone in self._whole
            if isinstance(value, list):
                spend(len(value))
                inner = []
                for index, item in enumerate(value):
                    key, where = (id(value), index), child(place, index)
                    yield key, where, covered
                    inner.append((item, where, covered or key in self._whole))
                waiting += reversed(inner)
            elif isinstance(value, dict):
                spend(len(value))
                waiting += [(item, child(place, name), covered) for name, item in reversed(value.items())]
