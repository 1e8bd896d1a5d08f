"""How varied texts are, against the published procedures and other libraries."""

import math
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.release.diversity import entropy_bits, mtld, self_bleu, words_in

FOREST = "A dense forest fills the top half of the image, and a narrow road winds along its lower edge."
STREET = (
    "A straight residential street runs from the top to the bottom of the image, with houses on either side."
)
LAKE = "A round lake lies in the center of the image; a narrow road runs along its lower edge and a forest lies above it."
LEXICALRICHNESS = (50.54, 46.52758935873383)
NLTK = (0.1844146126547327, 0.3043963549340185)
TEXTS = [words_in(text) for text in (FOREST, STREET, LAKE)]


def test_words() -> None:
    text = 'The "L-shaped" house’s roof (1,200 m2, 38.5% of it) is grey; it\'s   north-facing — a café.'
    assert words_in(text) == [
        "the", "l-shaped", "house’s", "roof", "1,200", "m2", "38.5", "of", "it", "is", "grey", "it's", "north-facing", "a",
        "café",
    ]  # fmt: skip
    assert words_in(" . , ") == []


def test_mtld_by_hand() -> None:
    # McCarthy & Jarvis (2010, p. 384): a factor ends where the ratio of types to tokens falls to 0.72 or below; what
    # is left counts (1 - ratio) / (1 - 0.72).
    # forwards: a b c a -> 3/4; a b c a b -> 3/5, a factor. d e f: ratio 1, no part of a factor. 8 words, 1 factor: 8.
    # backwards: f e d b a c b a: 6 types in the first 7 (0.857), 6 in 8: 0.75, left over: 0.25 / 0.28 of a factor.
    forwards, backwards = Fraction(8, 1), Fraction(8) / (Fraction(25, 100) / Fraction(28, 100))
    assert mtld(["a", "b", "c", "a", "b", "d", "e", "f"]) == pytest.approx(float((forwards + backwards) / 2))


def test_mtld_of_texts_without_a_factor() -> None:
    assert mtld(["a", "b", "c"]) == 3
    assert mtld([]) == 0


def test_mtld_of_a_repeated_word() -> None:
    assert mtld(["a"] * 10) == 2  # "a a" has the ratio 1/2: a factor every two words


def test_mtld_as_another_library() -> None:
    # lexicalrichness 0.5.1: LexicalRichness(words, preprocessor=None, tokenizer=None).mtld(0.72)
    assert mtld(TEXTS[0]) == pytest.approx(LEXICALRICHNESS[0])
    assert mtld(TEXTS[0] + TEXTS[1] + TEXTS[2]) == pytest.approx(LEXICALRICHNESS[1])


def test_self_bleu_as_another_library() -> None:
    # nltk 3.10.4: mean of sentence_bleu(others, text, smoothing_function=SmoothingFunction().method1)
    assert self_bleu(TEXTS) == pytest.approx(NLTK[0])
    assert self_bleu([*TEXTS, TEXTS[0][:6], ["forest"], ["pond", "pond", "here"]]) == pytest.approx(NLTK[1])


def test_self_bleu_of_texts_that_are_all_alike_or_share_nothing() -> None:
    assert self_bleu([TEXTS[0]] * 3) == pytest.approx(1)
    assert self_bleu([["a", "b", "c", "d", "e"], ["f", "g", "h", "i", "j"]]) == 0


words = st.lists(st.sampled_from("abcdefg"), max_size=9)


@given(st.lists(words, min_size=2, max_size=6))
def test_self_bleu_follows_its_definition(texts: list[list[str]]) -> None:
    assert self_bleu(texts) == pytest.approx(
        sum(bleu(text, texts[:i] + texts[i + 1 :]) for i, text in enumerate(texts)) / len(texts)
    )


def bleu(text: list[str], others: list[list[str]]) -> float:
    """Papineni et al. (2002), sections 2.1 to 2.3, counted in the plainest way; smoothed as said in the module."""

    def times(gram: tuple[str, ...], of: list[str]) -> int:
        return sum(tuple(of[at : at + len(gram)]) == gram for at in range(len(of)))

    if not set(text) & {word for other in others for word in other}:
        return 0.0
    logs = 0.0
    for order in (1, 2, 3, 4):
        grams = {tuple(text[at : at + order]) for at in range(len(text) - order + 1)}
        hits = sum(min(times(g, text), max(times(g, other) for other in others)) for g in grams)
        logs += math.log((hits or 0.1) / max(1, len(text) - order + 1))
    closest = min((len(other) for other in others), key=lambda n: (abs(n - len(text)), n))
    return math.exp(logs / 4 + min(0, 1 - closest / len(text)))


def test_entropy() -> None:
    assert entropy_bits([5, 5, 5, 5]) == 2  # four equal shares: two bits
    assert entropy_bits([2, 1, 1]) == 1.5  # 1/2 * 1 + 2 * 1/4 * 2
    assert entropy_bits([7]) == 0
    assert entropy_bits([]) == 0
    two_dice = [sum(a + b == total for a, b in product(range(6), range(6))) for total in range(11)]
    assert entropy_bits(two_dice) == pytest.approx(3.2744, abs=1e-4)  # a textbook's example
