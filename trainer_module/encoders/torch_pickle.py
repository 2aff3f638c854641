"""Reads the pickles of a PyTorch file as data: nothing is imported, and nothing is called.

A `pickle.Unpickler` whose `find_class` knows four names still lets a file call them with what it likes, set the state
of what they return, and make a table as long as the greatest index that it writes. Here the opcodes that such a file
needs are carried out on a stack of plain values, and all others are refused.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

ORDERED_DICT: Final = "collections.OrderedDict"
TENSOR: Final = "torch._utils._rebuild_tensor_v2"
FLOATS: Final = "torch.FloatStorage"
INTEGERS: Final = "torch.LongStorage"

_NAMES: Final = frozenset({ORDERED_DICT, TENSOR, FLOATS, INTEGERS})
_CONSTANTS: Final[Mapping[str, Any]] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS: Final = frozenset({"BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1"})
_MOST_SHOWN: Final = 60


@dataclass(frozen=True)
class Name:
    """One of the names that a file may mention."""

    name: str


@dataclass(frozen=True)
class Tensor:
    """A tensor as it is written: what PyTorch would be called with."""

    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Reference:
    """What stands for something outside of the pickle: a storage."""

    identifier: Any


def read_pickle(file: BinaryIO) -> Any:
    """Reads one pickle, and leaves the file behind it.

    Returns:
      Integers, texts, booleans, None, tuples, lists, dicts with texts as their keys, and the three classes of this
      module, within each other. An `OrderedDict` is a dict; attributes that are given to one are left out.

    Raises:
      ValueError: The pickle is cut off, does not make sense, or asks for what no file of weights needs.
    """
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name != "STOP":
            machine.execute(opcode.name, argument)
    return machine.result()


def shown(text: str) -> str:
    """Returns a text of a file as a message may show it."""
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…")


class _Machine:
    """The stack, with what was on it at each mark that is still open, and what was memorized."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._operations: Mapping[str, Callable[[Any], None]] = {
            "PROTO": lambda _: None,
            "MARK": lambda _: self._mark(),
            "EMPTY_DICT": lambda _: self._push({}),
            "EMPTY_LIST": lambda _: self._push([]),
            "TUPLE": lambda _: self._push(tuple(self._since_mark())),
            "TUPLE1": lambda _: self._push(self._popped(1)),
            "TUPLE2": lambda _: self._push(self._popped(2)),
            "TUPLE3": lambda _: self._push(self._popped(3)),
            "APPEND": lambda _: self._extend(self._popped(1)),
            "APPENDS": lambda _: self._extend(self._since_mark()),
            "SETITEM": lambda _: self._set_items(self._popped(2)),
            "SETITEMS": lambda _: self._set_items(self._since_mark()),
            "BINPUT": self._memorize,
            "LONG_BINPUT": self._memorize,
            "BINGET": self._recall,
            "LONG_BINGET": self._recall,
            "GLOBAL": self._mention,
            "BINPERSID": lambda _: self._push(Reference(*self._popped(1))),
            "REDUCE": lambda _: self._call(*self._popped(2)),
            "BUILD": lambda _: self._leave_out_attributes(),
        }

    def execute(self, opcode: str, argument: Any) -> None:
        """Carries out one opcode."""
        if opcode in _LITERALS:
            self._push(argument)
        elif opcode in _CONSTANTS:
            self._push(_CONSTANTS[opcode])
        elif opcode in self._operations:
            self._operations[opcode](argument)
        else:
            raise ValueError(f"its pickle has the opcode {opcode}, which no file of weights needs")

    def result(self) -> Any:
        """Returns what is left at the end."""
        [value] = self._popped(1)
        if self._stack or self._marked:
            raise ValueError("a pickle leaves more than one value")
        return value

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _popped(self, count: int) -> tuple[Any, ...]:
        if len(self._stack) < count:
            raise ValueError("a pickle takes more from its stack than there is")
        values = tuple(self._stack[-count:])
        del self._stack[-count:]
        return values

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        if not self._marked:
            raise ValueError("a pickle goes back to a mark that is not there")
        values, self._stack = self._stack, self._marked.pop()
        return values

    def _top(self, kind: type) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise ValueError(f"a pickle has no {kind.__name__} where it fills one")
        return self._stack[-1]

    def _extend(self, values: list[Any] | tuple[Any, ...]) -> None:
        self._top(list).extend(values)

    def _set_items(self, values: list[Any] | tuple[Any, ...]) -> None:
        keys = values[::2]
        if len(values) % 2 or not all(isinstance(key, str) for key in keys):
            raise ValueError("a pickle fills a dict with what are not names and values")
        self._top(dict).update(zip(keys, values[1::2], strict=True))

    def _memorize(self, index: int) -> None:
        self._memo[index] = self._top(object)

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise ValueError("a pickle recalls what it did not memorize")
        self._push(self._memo[index])

    def _mention(self, argument: str) -> None:
        name = argument.replace(" ", ".")
        if name not in _NAMES:
            raise ValueError(f"its pickle asks for {shown(name)}, which no file of weights needs")
        self._push(Name(name))

    def _call(self, called: Any, arguments: Any) -> None:
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise ValueError("a pickle calls what is no name")
        if called.name == TENSOR:
            self._push(Tensor(arguments))
        elif called.name == ORDERED_DICT and not arguments:
            self._push({})
        else:
            raise ValueError(f"a pickle calls {called.name} in a way that no file of weights needs")

    def _leave_out_attributes(self) -> None:
        self._popped(1)
        self._top(dict)
