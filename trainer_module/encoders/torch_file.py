"""Reads the tensors of a PyTorch file without PyTorch, and without executing what a pickle asks for.

Before release 1.6, `torch.save` wrote five pickles one after another (a magic number, the version of the protocol,
facts of the machine, the object, the keys of its storages) and then the storages themselves, each its number of
elements and its little-endian values (torch/serialization.py, `_legacy_save`). A tensor is a view of a storage, with an
offset and strides that need not be those of a contiguous array.
"""

import math
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from trainer_module.encoders.torch_pickle import FLOATS, INTEGERS, Name, Reference, Tensor, read_pickle, shown
from trainer_module.errors import ModelError

_BEGINNING: Final = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
_ZIP_BEGINNING: Final = b"PK\x03\x04"
_PROTOCOL: Final = 1001
_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {FLOATS: np.dtype("<f4"), INTEGERS: np.dtype("<i8")}
_MOST_DIMENSIONS: Final = 8
_ARGUMENT_COUNTS: Final = (6, 7)
"""Storage, offset, shape, strides, whether it has a gradient, hooks; later releases: facts of the storage."""

_CONVERSION: Final = (
    "torch.save(model.state_dict(), 'FILE.pth', _use_new_zipfile_serialization=False) writes one that can be"
)


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    size: int


@dataclass(frozen=True)
class _View:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.storage.dtype.itemsize


def is_torch_file(content: bytes) -> bool:
    """Returns whether a file begins as PyTorch's do, in the old format or the new one."""
    return content.startswith((_BEGINNING, _ZIP_BEGINNING))


def read_torch_file(content: bytes, path: str) -> dict[str, NDArray[Any]]:
    """Reads a state dict of float32 and int64 tensors; the memory that this takes does not exceed the file's size.

    Args:
      content: Of the file.
      path: Names it in messages.

    Returns:
      The tensors by their names, each a contiguous array of its own.

    Raises:
      ModelError: It is no such file, it is damaged, or it asks for more than tensors.
    """
    if content.startswith(_ZIP_BEGINNING):
        raise ModelError(
            f"{path!r} is a zip file, as PyTorch writes since release 1.6, and petseg reads the format before it: "
            f"{_CONVERSION}, in a process that has PyTorch and may trust the file"
        )
    try:
        return _tensors(content)
    except ValueError as error:
        raise ModelError(
            f"{path!r} cannot be read as a PyTorch file of weights: {error}. Get it anew; {_CONVERSION}"
        ) from error


def _tensors(content: bytes) -> dict[str, NDArray[Any]]:
    if not content.startswith(_BEGINNING):
        raise ValueError("it does not begin as one")
    views, keys, position = _header(content)
    storages = _storages(views)
    is_list = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not is_list or sorted(keys) != sorted(storages):
        raise ValueError("the list of its storages is not that of its tensors' storages")
    values = {}
    for key in keys:
        values[key], position = _values(content, position, storages[key])
    if position != len(content):
        raise ValueError(f"{len(content) - position:,} bytes follow after its last storage")
    if sum(view.num_bytes for view in views.values()) > sum(array.nbytes for array in values.values()):
        raise ValueError("its tensors overlap: together they have more values than the file")
    return {name: _array(view, values[view.storage.key]) for name, view in views.items()}


def _header(content: bytes) -> tuple[dict[str, _View], Any, int]:
    """Reads the pickles; returns the tensors by their names, the keys of the storages, and where the storages begin."""
    file = BytesIO(content)
    file.seek(len(_BEGINNING))
    protocol, machine, state, keys = (read_pickle(file) for _ in range(4))
    if protocol != _PROTOCOL:
        raise ValueError(f"its protocol is not {_PROTOCOL}")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("it does not say that its numbers are little-endian")
    if not isinstance(state, dict) or not state:
        raise ValueError(f"it holds a {type(state).__name__.lower()}, not the named tensors of a state dict")
    return {name: _view(name, value) for name, value in state.items()}, keys, file.tell()


def _view(name: str, value: Any) -> _View:
    if not isinstance(value, Tensor):
        raise ValueError(f"{shown(name)} is a {type(value).__name__.lower()}, and a state dict has tensors only")
    if len(value.arguments) not in _ARGUMENT_COUNTS:
        raise ValueError(f"the tensor {shown(name)} is not described as PyTorch does")
    reference, offset, shape, strides = value.arguments[:4]
    storage = _storage(name, reference)
    are_sizes = _are_naturals(shape) and _are_naturals(strides) and _are_naturals((offset,))
    if not are_sizes or len(shape) != len(strides) or len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"the tensor {shown(name)} has an offset, a shape or strides that no tensor has")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if 0 in shape or max(last, math.prod(shape) - 1) >= storage.size:
        raise ValueError(
            f"the tensor {shown(name)} is empty, or goes beyond the {storage.size:,} values of its storage"
        )
    # The stride of a dimension of one element leads nowhere, and may be any number.
    used = tuple(stride if length > 1 else 0 for length, stride in zip(shape, strides, strict=True))
    return _View(storage, offset, shape, used)


def _are_naturals(numbers: Any) -> bool:
    return isinstance(numbers, tuple) and all(type(number) is int and number >= 0 for number in numbers)


def _storage(name: str, reference: Any) -> _Storage:
    """Returns the storage that `("storage", its class, its key, its device, its size, the view's)` stands for."""
    fields = reference.identifier if isinstance(reference, Reference) else None
    match fields:
        case ("storage", Name(name=kind), str(key), str(), size, None) if kind in _DTYPES and _are_naturals((size,)):
            return _Storage(key, _DTYPES[kind], size)
    raise ValueError(f"the tensor {shown(name)} has no storage of float32 or int64 values of its own")


def _storages(views: Mapping[str, _View]) -> dict[str, _Storage]:
    storages: dict[str, _Storage] = {}
    for name, view in views.items():
        if storages.setdefault(view.storage.key, view.storage) != view.storage:
            raise ValueError(f"the tensor {shown(name)} describes its storage otherwise than another one of the same")
    return storages


def _values(content: bytes, position: int, storage: _Storage) -> tuple[NDArray[Any], int]:
    """Returns the values of the storage at a position, and the position after it."""
    start = position + struct.calcsize("<q")
    end = start + storage.size * storage.dtype.itemsize
    if end > len(content):
        raise ValueError(f"it ends after {len(content):,} bytes, within or before a storage")
    if struct.unpack("<q", content[position:start]) != (storage.size,):
        raise ValueError("a storage has another size than its tensors say")
    return np.frombuffer(content, storage.dtype, storage.size, start), end


def _array(view: _View, values: NDArray[Any]) -> NDArray[Any]:
    strides = tuple(stride * values.itemsize for stride in view.strides)
    return np.array(as_strided(values[view.offset :], view.shape, strides), order="C")
