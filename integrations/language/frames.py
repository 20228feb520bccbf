"""What shapes bind: a frame of variables for each way in which a document matches."""

from __future__ import annotations

from collections.abc import Callable

from integrations.language.values import Value

Frame = dict[str, Value]
# Binds in every frame; lists may multiply the frames. Returns "" or the reason why the value does not match.
Match = Callable[[Value, list[Frame]], str]
Compared = dict[str, set[str]]
MAX_EVENTS = 1000
# Under this name, a frame may hold what properties that are not known yet were compared with.
COMPARED = "\0compared"
# Under this, that the frame is only for whoever has one of these values, whatever else may match.
OWNED = "\0owned"
# Under these, the Batch of a webhook request, and the elements of lists from which a frame was made.
BATCH, ELEMENTS = "\0batch", "\0elements"
# Under this, why a text that is empty does not match, unless the event has files.
BLANK = "\0blank"
