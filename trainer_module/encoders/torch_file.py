"""Reads the tensors of a PyTorch file without PyTorch, and without executing what a pickle asks for.

Before release 1.6, `torch.save` wrote five pickles one after another (a magic number, the version of the protocol,
facts of the machine, the object, the keys of its storages) and then the storages themselves, each its number of
elements and its little-endian values (torch/serialization.py, `_legacy_save`). A tensor is a view of a storage, with an
offset and strides that need not be those of a contiguous array.
"""

import math
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_DTYPES: Final = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


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


def _view(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _View:
    return _View(storage, offset, tuple(shape), tuple(strides))


_ALLOWED: Final[Mapping[tuple[str, str], Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _view,
    ("torch", "FloatStorage"): _DTYPES["FloatStorage"],
    ("torch", "LongStorage"): _DTYPES["LongStorage"],
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no file of weights needs") from None

    def persistent_load(self, pid: Any) -> Any:
        _, dtype, key, _, size, *_ = pid
        return _Storage(str(key), dtype, int(size))


def read_torch_file(content: bytes) -> dict[str, NDArray[Any]]:
    """Returns the tensors of a state dict by their names, each a contiguous array of its own."""
    file = BytesIO(content)
    magic, protocol, _, state, keys = (_Unpickler(file).load() for _ in range(5))
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise ValueError("not a PyTorch file")
    storages = {view.storage.key: view.storage for view in state.values()}
    values = {}
    for key in keys:
        storage = storages[key]
        (size,) = struct.unpack("<q", file.read(8))
        values[key] = np.frombuffer(file.read(size * storage.dtype.itemsize), storage.dtype)
    arrays = {}
    for name, view in state.items():
        flat = values[view.storage.key]
        last = view.offset + sum((n - 1) * s for n, s in zip(view.shape, view.strides, strict=True))
        if math.prod(view.shape) and last >= flat.size:
            raise ValueError(f"{name} reaches beyond its storage")
        strides = tuple(s * flat.itemsize for s in view.strides)
        arrays[name] = np.ascontiguousarray(as_strided(flat[view.offset :], view.shape, strides))
    return arrays
