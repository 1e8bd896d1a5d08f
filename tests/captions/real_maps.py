"""Evidence of patches over real extracts, found without imagery."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import geopandas
import numpy as np
import pyarrow as pa
import shapely

from pipeline.annotators import TemplateCaptions
from pipeline.captions.assign import Subject, main_text, polished, revision
from pipeline.captions.template import PROMPTS, TemplateWriter, titles_of
from pipeline.captions.writer import Assignment, Draft
from pipeline.evidence import Evidence, Fact, Task
from pipeline.facts.classify import classify
from pipeline.facts.find import find_facts
from pipeline.facts.io import facts_of
from pipeline.osm.vocabulary import load_vocabulary
from tests.benchmarks.bench_facts import DATA, FILES, GSD, SIZE, elements_of, scene_over, windows

__all__ = ["DATA", "FILES", "Written", "subjects_of", "written"]


@dataclass(frozen=True, slots=True)
class Written:
    """A text with what it was asked for, or the two titles of a patch."""

    assignment: Assignment
    draft: Draft
    titles: tuple[str, str]


def subjects_of(name: str, count: int, seed: int = 1) -> list[Subject]:
    """Some patches of 448 px at 0.6 m over an extract, drawn at random, with what is known about them."""
    vocabulary = load_vocabulary()
    elements = elements_of(DATA / name)
    order = classify(elements, vocabulary)
    gsd = np.array([rule.max_gsd_m for rule in vocabulary.rules])[order]
    elements = elements.filter(pa.array((order >= 0) & (gsd >= GSD)))
    shapes = geopandas.GeoSeries(shapely.from_wkb(elements.column("geometry").to_numpy()), crs="EPSG:4326")
    scene = scene_over(shapes, FILES[name])
    patches = windows(scene, 1.0)
    chosen = np.sort(
        np.random.default_rng(seed).choice(len(patches), min(2 * count, len(patches)), replace=False)
    )
    facts: dict[str, tuple[Fact, ...]] = {}
    names: dict[str, tuple[str, ...]] = {}
    for found in find_facts(patches.take(pa.array(chosen)), elements, {scene.id: scene}, vocabulary):
        facts |= dict(facts_of(found.facts))
        names |= {row["patch"]: tuple(row["names"]) for row in found.names.to_pylist()}
    return [Subject(id_, Evidence(known, SIZE * GSD, names.get(id_, ()))) for id_, known in facts.items()][
        :count
    ]


def written(subjects: Sequence[Subject], seed: int = 0) -> Iterator[Written]:
    """Texts of all tasks about each patch: area, non-area, scene, a revision of each, the polished title."""
    writer = TemplateWriter()
    for subject in subjects:
        for name in ("area", "non_area", "scene"):
            captions = TemplateCaptions(tasks={name: 1.0}, seed=seed)
            main = main_text(subject, captions, _choose)
            if not isinstance(main, Assignment):
                continue
            draft = _draft(writer, main)
            focus = (main.focus or draft.facts)[:1]
            titles = titles_of(subject.patch, subject.evidence, focus)
            yield Written(main, draft, titles)
            again = [
                revision(main, draft, 0, captions, _choose),
                polished(main, draft, titles[1], captions, _choose),
            ]
            for assignment in again:
                yield Written(assignment, _draft(writer, assignment), titles)


def _choose(task: Task, _seed: int) -> str:
    return PROMPTS[task]


def _draft(writer: TemplateWriter, assignment: Assignment) -> Draft:
    ((_, draft),) = writer.write([assignment])
    assert isinstance(draft, Draft), (assignment, draft)
    return draft
