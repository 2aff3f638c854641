"""Files of PyTorch, written by hand, read without it; and files that want more than to be read."""

import io
import os
import pickle
import tracemalloc
import zipfile

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from torch_files import NO_HOOKS, STORAGES, state_dict_file, storage, tensor, torch_file, value, with_object

from trainer_module.encoders.torch_file import read_torch_file
from trainer_module.errors import ModelError

VALUES = np.arange(24, dtype=np.float32)
STEPS = np.array([7], np.int64)
OF_VALUES = storage("140", 24)
GOOD = torch_file(
    {
        "kernel": tensor(OF_VALUES, 0, (2, 3, 4), (1, 2, 6)),
        "bias": tensor(storage("99", 4), 1, (2,), (2,)),
        "steps": tensor(storage("7", 1, STORAGES[STEPS.dtype]), 0, (), ()),
    },
    {"7": STEPS, "140": VALUES, "99": VALUES[:4] / 8},
)
FOREIGN = ("os\nsystem", "posix\nsystem", "builtins\neval", "builtins\nexec", "_codecs\nencode", "torch\nload")


def read(content):
    return read_torch_file(content, "some.pth")


def one(opcodes, values=VALUES):
    return torch_file({"t": opcodes}, {"140": values})


def refusal(content):
    with pytest.raises(ModelError, match=r"^'some\.pth' ") as raised:
        read(content)
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_tensors_are_read_with_their_offsets_and_strides():
    tensors = read(GOOD)
    assert [*tensors] == ["kernel", "bias", "steps"]
    np.testing.assert_array_equal(tensors["kernel"], VALUES.reshape(4, 3, 2).transpose(2, 1, 0))
    np.testing.assert_array_equal(tensors["bias"], np.float32([0.125, 0.375]))
    np.testing.assert_array_equal(tensors["steps"], np.int64(7))
    for array in tensors.values():
        assert array.flags.c_contiguous
        assert array.flags.owndata
        assert array.flags.writeable


def test_the_stride_of_one_element_is_any():
    np.testing.assert_array_equal(read(one(tensor(OF_VALUES, 20, (1, 4), (10**30, 1))))["t"], [VALUES[20:]])


def test_attributes_of_the_state_dict_are_left_out():
    attributes = b"}" + value("_metadata") + NO_HOOKS + b"sb"
    content = with_object(
        NO_HOOKS + value("t") + tensor(OF_VALUES, 0, (24,), (1,)) + b"s" + attributes, {"140": VALUES}
    )
    np.testing.assert_array_equal(read(content)["t"], VALUES)


def test_what_is_cut_off_anywhere_is_refused():
    for length in range(len(GOOD)):
        assert "cannot be read as a PyTorch file of weights: " in refusal(GOOD[:length])


def test_what_follows_is_refused():
    assert "1 bytes follow after its last storage" in refusal(GOOD + b"x")


def test_any_changed_byte_gives_an_error_or_other_tensors():
    for position in range(len(GOOD)):
        for change in (1, 128):
            changed = bytearray(GOOD)
            changed[position] ^= change
            try:
                tensors = read(bytes(changed))
            except ModelError:
                continue
            assert len(tensors) == 3
            assert sum(array.size for array in tensors.values()) <= 29


OPCODES = st.one_of(
    st.binary(max_size=4),
    st.sampled_from([bytes([code]) for code in b".()]}|KtuseaQRb\x85\x86\x87\x88\x89NJM\x8aq:rjhX0"]),
    st.sampled_from([value("t"), OF_VALUES, tensor(OF_VALUES, 0, (24,), (1,)), NO_HOOKS, value((1, 2)), value(2**70)]),
)


@hypothesis.given(st.lists(OPCODES, max_size=30).map(b"".join))
@hypothesis.settings(max_examples=200, deadline=None)
def test_any_pickle_gives_tensors_or_an_error(opcodes):
    try:
        tensors = read(with_object(opcodes, {"140": VALUES}))
    except ModelError:
        return
    assert all(array.size <= VALUES.size for array in tensors.values())


@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_else_is_called(name, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(os, "system", called.append)
    module, _, function = name.partition("\n")
    call = f"c{name}\n".encode() + value((f"touch {tmp_path}/executed",)) + b"R"
    for opcodes in (
        call,
        NO_HOOKS + b"(" + value("t") + call + b"u",
        value(("storage", call)) + b"Q",
        tensor(call, 0, (), ()),
    ):
        assert f"asks for '{module}.{function}', which no file of weights needs" in refusal(
            with_object(opcodes, {"140": VALUES})
        )
    assert not called
    assert not [*tmp_path.iterdir()]


class Hostile:
    """Calls on being unpickled."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrap", [lambda hostile: hostile, lambda hostile: {"t": [(hostile,)]}])
def test_pickles_of_any_protocol_that_call_are_refused(protocol, wrap, tmp_path):
    for hostile in (
        Hostile(os.mkdir, str(tmp_path / "executed")),
        Hostile(eval, f"__import__('os').mkdir({str(tmp_path / 'executed')!r})"),
        Hostile(pickle.loads, pickle.dumps(Hostile(os.mkdir, str(tmp_path / "executed")))),
    ):
        pickled = pickle.dumps(wrap(hostile), protocol=protocol)
        for content in (pickled, with_object(b"", {})[:-50] + pickled, with_object(pickled[:-1], {"140": VALUES})):
            refusal(content)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("opcodes", "reason"),
    [
        (value([1, 2]), "it holds a list, not the named tensors of a state dict"),
        (tensor(OF_VALUES, 0, (24,), (1,)), "it holds a tensor, not"),
        (NO_HOOKS, "it holds a dict, not the named tensors"),
        (value({"state_dict": {}}), "'state_dict' is a dict, and a state dict has tensors only"),
        (value({"t": 3}), "'t' is a int, and"),
        (b"ctorch\nFloatStorage\n)R", "a pickle calls torch.FloatStorage in a way that no file of weights needs"),
        (b"ccollections\nOrderedDict\n" + value(([],)) + b"R", "calls collections.OrderedDict in a way"),
        (b"ctorch\nFloatStorage\n}b", "a pickle has no dict where it fills one"),
        (value(1) + b")R", "a pickle calls what is no name"),
        (b"ctorch\nFloatStorage\n" + value(3) + b"R", "a pickle calls what is no name"),
        (b"ccopyreg\n_reconstructor\n", "asks for 'copyreg._reconstructor'"),
        (b"c" + b"x" * 5000 + b"\ny\n", "asks for 'xxx"),
        (b"(i" + b"os\nsystem\n", "opcode INST"),
        (value("os") + value("system") + b"\x93", "opcode STACK_GLOBAL"),
        (b"ctorch\nFloatStorage\n)\x81", "opcode NEWOBJ"),
        (b"Pname\n", "opcode PERSID"),
        (b"\x82\x01", "opcode EXT1"),
        (b"I1" + b"0" * 6000 + b"\n", ""),
        (b"Zq", ""),
        (b"h\x05", "recalls what it did not memorize"),
        (b"t", "goes back to a mark that is not there"),
        (b"(", "takes more from its stack than there is"),
        (b"NN", "leaves more than one value"),
        (b"N(N", "leaves more than one value"),
        (b"\x87", "takes more from its stack"),
        (b"Ne", "goes back to a mark"),
        (b"N" + value(1) + b"a", "has no list where it fills one"),
        (b"}(" + value(1) + value(2) + b"u", "what are not names and values"),
        (b"}(" + value("a") + b"u", "what are not names and values"),
        (b"}(" + value((1,)) * 2 + b"u", "what are not names and values"),
        (b"q\x00", "has no object where it fills one"),
        (b"X\xff\xff\xff\x7fshort", ""),
        (b"\x8e" + b"\xff" * 8, ""),
    ],
)
def test_pickles_that_hold_no_state_dict_are_explained(opcodes, reason):
    assert reason in refusal(with_object(opcodes, {"140": VALUES}))


@pytest.mark.parametrize(
    ("opcodes", "reason"),
    [
        (tensor(OF_VALUES, 0, (25,), (1,)), "goes beyond the 24 values of its storage"),
        (tensor(OF_VALUES, 1, (24,), (1,)), "goes beyond"),
        (tensor(OF_VALUES, 24, (), ()), "goes beyond"),
        (tensor(OF_VALUES, 0, (3,), (12,)), "goes beyond"),
        (tensor(OF_VALUES, 0, (2,), (2**62,)), "goes beyond"),
        (tensor(OF_VALUES, 0, (2**62, 2**62), (0, 0)), "goes beyond"),
        (tensor(OF_VALUES, 0, (5, 5), (0, 1)), "goes beyond"),
        (tensor(OF_VALUES, 2**200, (1,), (1,)), "goes beyond"),
        (tensor(OF_VALUES, 0, (0, 2**62), (1, 1)), "is empty, or goes beyond"),
        (tensor(OF_VALUES, -1, (1,), (1,)), "an offset, a shape or strides that no tensor has"),
        (tensor(OF_VALUES, 0, (-1,), (1,)), "that no tensor has"),
        (tensor(OF_VALUES, 23, (24,), (-1,)), "that no tensor has"),
        (tensor(OF_VALUES, 0, (2,), (1, 1)), "that no tensor has"),
        (tensor(OF_VALUES, 0, (1,) * 9, (1,) * 9), "that no tensor has"),
        (tensor(OF_VALUES, 0, (True,), (1,)), "that no tensor has"),
        (tensor(OF_VALUES, 0, 24, 1), "that no tensor has"),
        (tensor(OF_VALUES, None, (1,), (1,)), "that no tensor has"),
        (tensor(b"N", 0, (1,), (1,)), "has no storage of float32 or int64 values of its own"),
        (tensor(value("storage") + b"Q", 0, (1,), (1,)), "has no storage"),
        (tensor(storage("140", -24), 0, (1,), (1,)), "has no storage"),
        (tensor(storage("140", 24, b"ccollections\nOrderedDict\n"), 0, (1,), (1,)), "has no storage"),
        (tensor(storage("140", 24, b"N"), 0, (1,), (1,)), "has no storage"),
        (tensor(storage("140", 24).replace(b"storage", b"Storage"), 0, (1,), (1,)), "has no storage"),
        (tensor(storage("140", 24, b"ctorch\nHalfStorage\n"), 0, (1,), (1,)), "asks for 'torch.HalfStorage'"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n" + value((OF_VALUES, 0)) + b"R", "not described as PyTorch does"),
        (tensor(storage("140", 25), 0, (24,), (1,)), "it ends after"),
        (tensor(storage("140", 23), 0, (23,), (1,)), "a storage has another size than its tensors say"),
        (tensor(storage("140", 2**62), 0, (24,), (1,)), "it ends after"),
        (tensor(storage("141", 24), 0, (24,), (1,)), "the list of its storages is not that of its tensors' storages"),
    ],
)
def test_tensors_that_cannot_be_are_explained(opcodes, reason):
    assert reason in refusal(one(opcodes))


def test_two_tensors_must_agree_on_their_storage():
    wide = tensor(storage("140", 12, STORAGES[STEPS.dtype]), 0, (12,), (1,))
    content = torch_file({"a": tensor(OF_VALUES, 0, (24,), (1,)), "b": wide}, {"140": VALUES})
    assert "'b' describes its storage otherwise" in refusal(content)


@pytest.mark.parametrize("keys", [["140", "140"], ["140", "141"], [], [140], "140", {"140": 1}])
def test_the_list_of_storages_must_be_theirs(keys):
    content = torch_file({"t": tensor(OF_VALUES, 0, (24,), (1,))}, {"140": VALUES}, keys)
    assert "the list of its storages" in refusal(content)


def test_other_machines_are_told():
    opcodes = tensor(OF_VALUES, 0, (24,), (1,))
    content = torch_file({"t": opcodes}, {"140": VALUES}, machine={"little_endian": False})
    assert "little-endian" in refusal(content)
    assert "its protocol is not 1001" in refusal(one(opcodes).replace(pickle.dumps(1001, 2), pickle.dumps(1002, 2)))


def test_the_zip_format_is_told_with_how_to_convert_it():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    message = refusal(file.getvalue())
    assert "is a zip file, as PyTorch writes since release 1.6" in message
    assert "_use_new_zipfile_serialization=False" in message


def test_a_small_file_takes_little_memory():
    many = np.zeros(100_000, np.float32)
    view = tensor(storage("140", many.size), 0, (many.size,), (1,))
    tracemalloc.start()
    try:
        overlapping = torch_file({str(index): view for index in range(500)}, {"140": many})
        assert "its tensors overlap: together they have more values than the file" in refusal(overlapping)
        assert "leaves more than one value" in refusal(with_object(b"Nr\xff\xff\xff\xffN", {}))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6


@pytest.mark.parametrize(
    "opcodes",
    [
        b")" + b"\x85" * 100_000,
        value("a") + b"Q" * 100_000,
        b"})" + b"\x85" * 100_000 + b"Ns",
        b"]q\x00h\x00a",
        b"(" * 100_000,
    ],
)
def test_values_within_each_other_without_end_are_refused(opcodes):
    refusal(with_object(opcodes, {}))


def test_a_dict_of_plain_tensors_is_written_and_read():
    arrays = {"a": VALUES.reshape(2, 12), "b": STEPS}
    for name, array in read(state_dict_file(arrays)).items():
        np.testing.assert_array_equal(array, arrays[name])
