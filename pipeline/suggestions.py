"""The nearest valid name for a misspelt one."""

from collections.abc import Iterable
from difflib import SequenceMatcher


def nearest(word: str, choices: Iterable[str]) -> str:
    """Returns the choice most like the word; of dotted keys, the last part counts twice."""

    def likeness(choice: str) -> float:
        pairs = ((word, choice), (word.rpartition(".")[2], choice.rpartition(".")[2]))
        return sum(SequenceMatcher(None, a.lower(), b.lower()).ratio() for a, b in pairs)

    return max(choices, key=likeness)
