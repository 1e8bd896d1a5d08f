"""The answers of a costly caption engine, kept as they come: what was answered is never asked again.

Everything else about captions follows from the answers: after a kill the unit is gone through again, and takes from
here what was answered before it asks. Of two builds that work on one unit, the first to finish says here what it found.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TypeAlias

from pipeline.captions.writer import Assignment, Draft
from pipeline.ids import canonical
from pipeline.store import Store
from pipeline.types import Reason

PARTS = "parts/captions"
"""Folder of all parts in a store."""

_OUTCOME = "outcome.json"
"""Name of what the first build to finish a unit says about it, beside the parts."""

_Key: TypeAlias = tuple[str, int, int, int, str]
"""Patch, task, number, attempt, and a hash of what was asked.

The unit's fingerprint holds config, facts and prompts, but not the answers that other texts rest on: where two builds
wrote answers about one patch, a text must not be taken for the revision of another than its original.
"""

_PART_ANSWERS = 1000
_PART_S = 5.0
"""A part ends at so many answers; or when so much time has passed and the engine asks for more work."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answers of a unit are kept: ``parts/captions/<cell>/<fingerprint>/<hash>.json``."""

    cell: str
    fingerprint: str

    @property
    def folder(self) -> str:
        """The unit's folder."""
        return f"{PARTS}/{self.cell}/{self.fingerprint}"


def kept_places(store: Store) -> dict[Place, datetime]:
    """The units of which answers are kept, and when the last of them were written."""
    found: dict[Place, datetime] = {}
    for key, written in store.written(PARTS):
        place = Place(*key.removeprefix(f"{PARTS}/").split("/")[:2])
        found[place] = max(written, found.get(place, written))
    return found


class Journal:
    """Answers of the units that are under way.

    Parameters
    ----------
    store
        Where they are kept.
    clock
        Seconds, monotonic.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._known: dict[Place, dict[_Key, Draft | Reason]] = {}
        self._fresh: dict[Place, list[tuple[_Key, Draft | Reason]]] = {}
        self._waiting = 0
        self._flushed = clock()

    def open(self, place: Place) -> None:
        """Read what an earlier worker kept of a unit."""
        known = self._known[place] = {}
        for key, _ in sorted(self._store.list(place.folder)):
            if key.endswith(_OUTCOME):
                continue
            try:
                part = self._store.get(key)
            except FileNotFoundError:  # another build has just committed the unit
                continue
            for *asked, answer in json.loads(part):
                patch, task, number, attempt, hash_ = asked
                known[patch, task, number, attempt, hash_] = (
                    Reason(answer)
                    if isinstance(answer, str)
                    else Draft(answer[0], tuple(answer[1]), answer[2], answer[3])
                )

    def find(self, place: Place, assignment: Assignment) -> Draft | Reason | None:
        """The answer that an earlier worker got."""
        known = self._known[place]
        return known.get(_key(assignment)) if known else None

    def note(self, place: Place, assignment: Assignment, answer: Draft | Reason) -> None:
        """Take down a fresh answer."""
        self._fresh.setdefault(place, []).append((_key(assignment), answer))
        self._waiting += 1
        if self._waiting >= _PART_ANSWERS:
            self.flush()

    def rest(self) -> None:
        """The engine asks for more work: a good moment to write down what came."""
        if self._waiting and self._clock() - self._flushed >= _PART_S:
            self.flush()

    def flush(self) -> None:
        """Write what came since the last part."""
        for place, answers in self._fresh.items():
            data = canonical([[*key, _plain(answer)] for key, answer in answers])
            self._store.put(f"{place.folder}/{sha256(data).hexdigest()[:32]}.json", data)
        self._fresh.clear()
        self._waiting = 0
        self._flushed = self._clock()

    def close(self, place: Place) -> None:
        """Forget a unit in memory; fresh answers that are not written yet are dropped."""
        self._known.pop(place, None)
        self._waiting -= len(self._fresh.pop(place, ()))

    def agree(self, place: Place, outcome: bytes) -> bytes:
        """What a unit came to, in the words of the first build that calls this, until `delete`."""
        key = f"{place.folder}/{_OUTCOME}"
        try:
            return outcome if self._store.create(key, outcome) else self._store.get(key)
        except FileNotFoundError:  # deleted between the two
            return outcome

    def delete(self, place: Place) -> None:
        """Delete all that is kept of a unit."""
        for key, _ in list(self._store.list(place.folder)):
            self._store.delete(key)


def _key(assignment: Assignment) -> _Key:
    facts = [fact.id for fact in assignment.evidence.facts]
    asked = [assignment.prompt, str(assignment.seed), assignment.original, *assignment.focus, "", *facts]
    hash_ = sha256("\0".join(asked).encode()).hexdigest()[:16]
    return assignment.patch, int(assignment.task), assignment.number, assignment.attempt, hash_


def _plain(answer: Draft | Reason) -> str | list[str | int | list[str]]:
    if isinstance(answer, Reason):
        return str(answer)
    return [answer.text, list(answer.facts), answer.prompt_tokens, answer.output_tokens]
