"""Writes files as PyTorch did before its release 1.6, opcode by opcode, so that a test can write any wrong one."""

import pickle
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

BEGINNING = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + pickle.dumps(1001, protocol=2)
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
NO_HOOKS = b"ccollections\nOrderedDict\n)R"
STORAGES = {np.dtype(np.float32): b"ctorch\nFloatStorage\n", np.dtype(np.int64): b"ctorch\nLongStorage\n"}


def value(plain: Any) -> bytes:
    """The opcodes that leave a plain value on the stack; bytes are opcodes already."""
    if isinstance(plain, bytes):
        return plain
    if isinstance(plain, tuple):
        return b"(" + b"".join(map(value, plain)) + b"t"
    return pickle.dumps(plain, protocol=2)[2:-1]


def storage(key: str, size: int, kind: bytes = STORAGES[np.dtype(np.float32)]) -> bytes:
    """What PyTorch writes for a storage."""
    return value(("storage", kind, key, "cpu", size, None)) + b"Q"


def tensor(of: bytes, offset: Any, shape: Any, strides: Any) -> bytes:
    """What PyTorch writes for a tensor that is a view of a storage."""
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + value((of, offset, shape, strides, False, NO_HOOKS)) + b"R"


def torch_file(
    tensors: Mapping[str, bytes],
    storages: Mapping[str, np.ndarray],
    keys: Sequence[str] | None = None,
    machine: Mapping[str, Any] = MACHINE,
) -> bytes:
    """The file of a state dict; the tensors are opcodes."""
    items = b"".join(value(name) + opcodes for name, opcodes in tensors.items())
    return with_object(NO_HOOKS + b"(" + items + b"u", storages, keys, machine)


def with_object(
    opcodes: bytes,
    storages: Mapping[str, np.ndarray],
    keys: Sequence[str] | None = None,
    machine: Mapping[str, Any] = MACHINE,
) -> bytes:
    """The file of whatever some opcodes leave on the stack."""
    parts = [BEGINNING, pickle.dumps(machine, protocol=2), b"\x80\x02" + opcodes + b"."]
    parts.append(pickle.dumps([*storages] if keys is None else keys, protocol=2))
    for values in storages.values():
        parts += [struct.pack("<q", values.size), values.tobytes()]
    return b"".join(parts)


def state_dict_file(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The file of contiguous tensors, each with a storage of its own."""
    storages = {str(index): array for index, array in enumerate(arrays.values())}
    tensors = {}
    for key, (name, array) in zip(storages, arrays.items(), strict=True):
        strides = tuple(stride // array.itemsize for stride in array.strides)
        tensors[name] = tensor(storage(key, array.size, STORAGES[array.dtype]), 0, array.shape, strides)
    return torch_file(tensors, storages)
