"""Encoded images are seen as a viewer shows them, and masks are read as what they say, wherever they are decoded."""

import functools
import io
import itertools
import random
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from trainer_module.decoding import UNREADABLE_MASK_VALUE, decode_image, decode_mask, decoded_size, exif_orientation
from trainer_module.encoded_images import exif_orientation as exif_orientation_of_bytes
from trainer_module.encoded_images import read_header, upright_image, viewers_orientation

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)).resize((40, 24))


def encoded(image=PHOTO, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(orientation, order="<", tag=0x0112, kind=3, values=1, before=0):
    """A TIFF structure with some directory entries in front of the orientation, and a second directory behind."""
    entries = [(0x0200 + index, 3, 1, 7) for index in range(before)] + [(tag, kind, values, orientation)]
    packed = b"".join(struct.pack(f"{order}HHLHH", *entry, 0) for entry in entries)
    thumbnail = struct.pack(f"{order}HHHLHHL", 1, 0x0112, 3, 1, 5, 0, 0)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", 8)
    return head + struct.pack(f"{order}H", len(entries)) + packed + struct.pack(f"{order}L", 0) + thumbnail


def with_exif(content, *, behind_jfif=True, photo=None):
    """A JPEG with an APP1 segment of EXIF, behind the APP0 of JFIF or in its place."""
    photo = photo or encoded(quality=95)
    segment = b"\xff\xe1" + struct.pack(">H", len(content) + 8) + b"Exif\0\0" + content
    jfif_end = 4 + struct.unpack(">H", photo[4:6])[0]
    return photo[:jfif_end] + segment + photo[jfif_end:] if behind_jfif else photo[:2] + segment + photo[jfif_end:]


@functools.cache
def exported(function):
    return tf.function(function, input_signature=[tf.TensorSpec([], tf.string)])


def forms(function, contents):
    """For each of some encoded images, what a function gives eagerly, inside tf.data and inside an exported graph."""
    in_tf_data = tf.data.Dataset.from_tensor_slices(contents).map(function)
    for content, of_dataset in zip(contents, in_tf_data, strict=True):
        yield [function(tf.constant(content)).numpy(), of_dataset.numpy(), exported(function)(content).numpy()]


def oriented(kind):
    """A picture without a tag, and with each."""
    for orientation in (None, *range(1, 9)):
        exif = Image.Exif()
        if orientation:
            exif[0x0112] = orientation
        options = {"quality": 95, "progressive": True} if kind.startswith("progressive") else {}
        yield encoded(kind=kind.split()[-1], exif=exif, **options)


@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG", "PNG"])
def test_an_image_is_turned_as_pillow_turns_it(kind):
    contents = [*oriented(kind)]
    for content, pixels, sizes in zip(
        contents, forms(decode_image, contents), forms(decoded_size, contents), strict=True
    ):
        with Image.open(io.BytesIO(content)) as image:
            expected = np.asarray(ImageOps.exif_transpose(image))
        for decoded, size in zip(pixels, sizes, strict=True):
            assert decoded.shape == expected.shape
            assert np.abs(decoded - expected.astype(int)).mean() < 3, "another decoder of JPEG gives about the same"
            assert size.tolist() == [*expected.shape[:2]]
        np.testing.assert_array_equal(np.asarray(upright_image(content)), expected)
        assert read_header(content).size == expected.shape[1::-1]


def test_an_image_without_a_tag_is_decoded_to_the_bits_that_tensorflow_gives():
    contents = [encoded(), encoded(kind="PNG"), encoded(PHOTO.convert("L"), "PNG"), encoded(PHOTO.convert("CMYK"))]
    for content, pixels in zip(contents, forms(decode_image, contents), strict=True):
        plain = tf.io.decode_image(content, channels=3, expand_animations=False)
        for decoded in pixels:
            np.testing.assert_array_equal(decoded, plain)


def test_turning_moves_pixels_and_changes_none():
    plain = Image.fromarray(tf.io.decode_image(encoded(quality=95), channels=3).numpy())
    contents = [with_exif(tiff(orientation)) for orientation in range(1, 9)]
    for orientation, pixels in enumerate(forms(decode_image, contents), 1):
        turned = np.asarray(ImageOps.exif_transpose(_tagged(plain, orientation)))
        for decoded in pixels:
            np.testing.assert_array_equal(decoded, turned)


def _tagged(image, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return Image.open(io.BytesIO(encoded(image, "PNG", exif=exif)))


def test_the_tag_is_found_in_either_byte_order_wherever_it_stands():
    contents = [
        with_exif(tiff(6, order, before=before), behind_jfif=behind_jfif)
        for order, behind_jfif, before in itertools.product("<>", (True, False), (0, 5, 63))
    ]
    for content, found in zip(contents, forms(exif_orientation, contents), strict=True):
        assert [*found, viewers_orientation(content), exif_orientation_of_bytes(content)] == [6] * 5


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "malformed",
    [
        {"orientation": 0}, {"orientation": 9}, {"orientation": 0x0600}, {"orientation": 6, "tag": 0x1201},
        {"orientation": 6, "kind": 2}, {"orientation": 6, "values": 2}, {"orientation": 6, "tag": 0x0113},
    ],
)  # fmt: skip
def test_a_tag_that_says_nothing_turns_nothing(order, malformed):
    """Nor does that of the thumbnail, which is 5 in each of them."""
    content = with_exif(tiff(order=order, **malformed))
    assert exif_orientation_of_bytes(content) == int(exif_orientation(content)) == 1
    assert decode_image(content).shape == (24, 40, 3)


def test_exif_that_is_cut_off_or_garbled_is_no_error_and_read_by_one_rule():
    """Bytes and graph agree on whatever comes; a start that lies outside of the file is among it."""
    graph = exported(exif_orientation)
    generator = random.Random(0)
    contents = [with_exif(tiff(6, order)[:length]) for order in "<>" for length in range(26)]
    for _ in range(300):
        garbled = bytearray(tiff(generator.randint(0, 9), generator.choice("<>"), before=generator.randint(0, 3)))
        for _ in range(generator.randint(1, 3)):
            garbled[generator.randrange(len(garbled))] = generator.choice((0, 1, 6, 127, 128, 255))
        contents.append(with_exif(bytes(garbled)))
    expected = [exif_orientation_of_bytes(content) for content in contents]
    assert [int(graph(content)) for content in contents] == expected
    assert len(set(expected)) > 4, "not all are upright"
    for content in (b"", b"x", b"Exif\0\0", b"\xff\xd8\xff", contents[0][:30]):
        assert exif_orientation_of_bytes(content) == int(graph(content)) == 1


def test_exif_far_from_the_beginning_is_not_looked_at_but_noticed():
    far = b"\xff\xe2" + struct.pack(">H", 65535) + bytes(65533)
    photo = with_exif(tiff(6))
    content = photo[:2] + far + photo[2:]
    assert exif_orientation_of_bytes(content) == int(exif_orientation(content)) == 1
    assert viewers_orientation(content) == 6


def png(pixels, depth, color_type, *, interlaced=False, palette=b""):
    """Writes a PNG of any depth; Pillow writes some of them only, and none that is interlaced."""
    height, width = pixels.shape[:2]

    def rows(part):
        part = part.reshape(part.shape[0], -1)
        if depth == 16:
            return b"".join(b"\0" + row.astype(">u2").tobytes() for row in part)
        bits = np.unpackbits(part.astype(np.uint8)[..., np.newaxis], axis=-1)[..., 8 - depth :]
        return b"".join(b"\0" + np.packbits(row.reshape(-1)).tobytes() for row in bits)

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [pixels[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [pixels]
    data = zlib.compress(b"".join(rows(part) for part in parts if part.size))

    def chunk(kind, content):
        return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))

    header = struct.pack(">LLBBBBB", width, height, depth, color_type, 0, 0, interlaced)
    palette = chunk(b"PLTE", palette) if palette else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def ids(most, shape=(13, 11)):
    return np.random.default_rng(most).integers(0, most + 1, shape)


def test_a_gray_mask_has_the_values_that_it_says():
    """Whatever the bits a pixel; of less than eight they are stretched, as every decoder does."""
    kinds = [*itertools.product([(1, 255), (2, 85), (4, 17), (8, 1), (16, 1)], [False, True])]
    masks = [ids(min(2**depth - 1, 300)) for (depth, _), _ in kinds]
    contents = [
        png(mask, depth, 0, interlaced=interlaced) for mask, ((depth, _), interlaced) in zip(masks, kinds, strict=True)
    ]
    for mask, ((_, stretch), _), values in zip(masks, kinds, forms(decode_mask, contents), strict=True):
        for decoded in values:
            np.testing.assert_array_equal(decoded[..., 0], mask * stretch)


def test_alpha_is_no_value_of_a_mask():
    values = ids(3)
    with_alpha = np.stack([values, np.full_like(values, 200)], axis=-1)
    for depth in (8, 16):
        np.testing.assert_array_equal(decode_mask(png(with_alpha, depth, 4))[..., 0], values)


def test_colours_are_never_taken_for_values():
    palette = png(ids(2), 8, 3, palette=bytes([9, 9, 9, 8, 8, 8, 7, 7, 7]))
    contents = [palette, png(ids(2, (13, 11, 3)), 8, 2), encoded(Image.new("L", (11, 13), 2))]
    for values in forms(decode_mask, contents):
        for decoded in values:
            assert decoded.shape == (13, 11, 1)
            assert (decoded == UNREADABLE_MASK_VALUE).all()
