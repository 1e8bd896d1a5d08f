"""Commits without the work behind them: a dataset's ledger as a finished build would leave it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from pipeline.briefs import Brief
from pipeline.ids import Json
from pipeline.ledger import Commit, Ledger, Output, Unit
from pipeline.stages.base import Context
from pipeline.store import Store
from pipeline.types import Counts

SAMPLES = 1_000
"""Samples a cell."""

OUTPUTS = {
    "elements": ("elements", "rejects"),
    "patches": ("patches",),
    "facts": ("patches", "facts", "names"),
    "pixels": ("index", "images"),
    "captions": ("captions",),
    "samples": ("samples",),
    "shards": ("shard", "rows"),
    "release": ("checksums",),
}
_INFO: Mapping[str, Mapping[str, Json]] = {
    "elements": {"missing_node_refs": 0},
    "captions": {
        "texts": [
            {
                "annotator": "mistralai/Mistral-Small-Instruct-2409",
                "task": task,
                "asked": SAMPLES,
                "kept": SAMPLES - 9,
                "regenerated": {"unsupported_thing": 40, "wrong_direction": 31, "too_long": 12},
                "dropped": {"unsupported_thing": 5, "wrong_direction": 4},
                "prompt_tokens": 812 * SAMPLES,
                "output_tokens": 71 * SAMPLES,
            }
            for task in (1, 2, 3)
        ]
    },
    "samples": {"splits": {"test": SAMPLES // 100, "train": SAMPLES * 98 // 100, "val": SAMPLES // 100}},
    "shards": {"bytes": 512_000_000},
}
_REJECTED = {
    "patches": {"outside_area": 60},
    "facts": {"no_visible_fact": 130},
    "pixels": {"no_data": 20, "too_dark": 3},
}


class Doer(Ledger):
    """A ledger that finds every unit done: it commits what is asked for. One plan with it finishes a build."""

    def __init__(self, context: Context) -> None:
        super().__init__(_Unflushed(context.store.url))
        self._scenes: list[Json] = [scene.id for scene in context.scenes[:4]]
        self.written = 0

    def find_all(self, stage: str, wanted: Sequence[tuple[str, str]]) -> list[Brief | None]:
        """Commit units, then find them."""
        for cell, print_ in wanted:
            self.commit(self._commit(Unit(stage, cell), print_))
            self.written += 1
        return super().find_all(stage, wanted)

    def _commit(self, unit: Unit, print_: str) -> Commit:
        """A commit of the size that real ones have, with hashes of its own."""
        outputs = {
            name: Output(
                f"tables/{unit}/{print_}.{name}.parquet",
                sha256(f"{unit}{name}".encode()).hexdigest(),
                12_345_678,
                SAMPLES,
            )
            for name in OUTPUTS[unit.stage]
        }
        info = _INFO.get(unit.stage, {})
        if unit.stage == "patches":
            info = {"scenes": self._scenes}
        rejected = _REJECTED.get(unit.stage, {})
        return Commit(
            unit, print_, Counts(SAMPLES + sum(rejected.values()), SAMPLES, rejected), outputs, info
        )


class _Unflushed(Store):
    """A folder that is not forced to the device; a bucket as it is."""

    def create(self, key: str, data: bytes) -> bool:
        if self.root is None:
            return super().create(key, data)
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return True
