"""The nearest valid names for a misspelt one."""

import heapq
from collections.abc import Iterable
from difflib import SequenceMatcher


def nearest(word: str, choices: Iterable[str]) -> str:
    """Returns the choice most like the word; of dotted keys, the last part counts twice.

    Example:
      >>> nearest("trainer.epoch", ["trainer.model", "trainer.epochs"])
      'trainer.epochs'
    """
    return nearest_few(word, choices, 1)[0]


def nearest_few(word: str, choices: Iterable[str], count: int) -> list[str]:
    """Returns so many of the choices, the most like the word first."""

    def likeness(choice: str) -> float:
        pairs = ((word, choice), (word.rpartition(".")[2], choice.rpartition(".")[2]))
        return sum(SequenceMatcher(None, a.lower(), b.lower()).ratio() for a, b in pairs)

    return heapq.nlargest(count, choices, key=likeness)
