"""Few-shot examples in the front matter of a prompt: facts as data, with a caption that is true of them."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import Misconfigured
from pipeline.evidence import Evidence, Fact

_KEYS = ("side_m", "facts", "focus", "original", "caption", "uses")
_NEEDED = ("side_m", "facts", "caption")
_DEFAULTS: Mapping[str, object] = {"count": 1, "share": 0.0, "length_m": 0.0, "edges": ()}
"""Values of a fact that an example need not write."""

_FACT_KEYS = tuple(field.name for field in fields(Fact))
_FACT_NEEDED = tuple(
    field.name
    for field in fields(Fact)
    if field.default is MISSING and field.name not in _DEFAULTS and field.name != "elements"
)
_FACTS = TypeAdapter(tuple[Fact, ...])
_TEXTS = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Example:
    """A request with its right answer.

    Attributes
    ----------
    evidence
        What is known about the image of the example.
    focus
        Ids of the facts that the caption must speak of.
    original
        The text that is put in other words; empty where the caption is written from facts.
    caption
        The answer.
    uses
        Ids of the facts that the answer says it uses; empty where it is made from `original`.
    """

    evidence: Evidence
    focus: tuple[str, ...]
    original: str
    caption: str
    uses: tuple[str, ...]


def examples_of(where: str, values: object) -> tuple[Example, ...]:
    """Examples from the value of the front matter's key ``examples``.

    Parameters
    ----------
    where
        Path of the prompt file, for messages.
    values
        List of mappings with the attributes of `Example`, and ``side_m`` and ``facts`` of its evidence.

    Raises
    ------
    Misconfigured
        The value has another form, or an id is of no fact.
    """
    if not isinstance(values, list) or not values:
        raise Misconfigured(f"{where}: `examples` must be a list with at least one example")
    return tuple(_example(f"{where}: example {n}", value) for n, value in enumerate(values, 1))


def _example(where: str, value: object) -> Example:
    if not isinstance(value, dict):
        raise Misconfigured(f"{where}: must hold keys and values such as `caption: A pond.`")
    _check_keys(where, value, _KEYS, _NEEDED)
    facts = value["facts"]
    if not isinstance(facts, list) or not all(isinstance(fact, dict) for fact in facts):
        raise Misconfigured(
            f"{where}: `facts` must be a list of facts such as `{{id: f1, tag: natural=water}}`"
        )
    for n, fact in enumerate(facts, 1):
        _check_keys(f"{where}: fact {n}", fact, _FACT_KEYS, _FACT_NEEDED)
    filled = [{**_DEFAULTS, "elements": (f"w{n}",), **fact} for n, fact in enumerate(facts, 1)]
    try:
        evidence = Evidence(_FACTS.validate_python(filled), float(value["side_m"]))
        focus, uses = (_TEXTS.validate_python(value.get(key, ())) for key in ("focus", "uses"))
        original, caption = _TEXTS.validate_python((value.get("original", ""), value["caption"]))
    except (ValidationError, TypeError, ValueError) as error:
        raise Misconfigured(f"{where}: {' '.join(str(error).split())}") from error
    known = {fact.id for fact in evidence.facts}
    relations = [each for fact in evidence.facts for each in fact.relations]
    named = {*focus, *uses, *(id_ for each in relations for id_ in (each.other, each.third) if id_)}
    if lost := sorted(named - known):
        raise Misconfigured(f"{where}: no fact has the id `{'`, `'.join(lost)}`")
    return Example(evidence, focus, original, " ".join(caption.split()), uses)


def _check_keys(
    where: str, value: Mapping[object, object], keys: tuple[str, ...], needed: tuple[str, ...]
) -> None:
    if unknown := [str(key) for key in value if key not in keys]:
        raise Misconfigured(f"{where}: unknown key `{'`, `'.join(unknown)}`; valid keys: {', '.join(keys)}")
    if missing := [key for key in needed if key not in value]:
        raise Misconfigured(f"{where}: lacks `{'`, `'.join(missing)}`")
