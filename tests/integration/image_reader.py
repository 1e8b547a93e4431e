# SPDX-License-Identifier: Apache-2.0
"""A reader of bundles, written from man/xaas-image.5 alone and strict where the page says "must"."""

import ctypes
import ctypes.util
import hashlib
import json
import struct

import harness

HEADER = struct.Struct("<8sIIIIQQ32sQQ")
ENTRY = struct.Struct("<32sQQQB7s")
KINDS = {1: "manifest", 2: "module", 3: "native", 4: "stub", 5: "text", 6: "dictionary",
         7: "profile"}
LIMITS = {"manifest": 64 << 20, "dictionary": 16 << 20, "profile": 256 << 20}


def _library(name):
    path = ctypes.util.find_library(name)
    if not path:
        harness.skip(f"lib{name} is not installed")
    return ctypes.CDLL(path)


class _Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def xxh3_128(data):
    xxhash = _library("xxhash")
    xxhash.XXH3_128bits.restype = _Hash128
    xxhash.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    value = xxhash.XXH3_128bits(data, len(data))
    return value.low, value.high


def unzstd(frame, size, dictionary):
    zstd = _library("zstd")
    zstd.ZSTD_createDCtx.restype = ctypes.c_void_p
    zstd.ZSTD_decompress_usingDict.restype = ctypes.c_size_t
    zstd.ZSTD_getFrameContentSize.restype = ctypes.c_uint64
    if zstd.ZSTD_getFrameContentSize(frame, ctypes.c_size_t(len(frame))) != size:
        raise ValueError("a frame does not state its size")
    context = ctypes.c_void_p(zstd.ZSTD_createDCtx())
    out = ctypes.create_string_buffer(size + 1)
    got = zstd.ZSTD_decompress_usingDict(
        context, out, ctypes.c_size_t(size), frame, ctypes.c_size_t(len(frame)),
        dictionary, ctypes.c_size_t(len(dictionary or b"")))
    zstd.ZSTD_freeDCtx(context)
    if got != size:
        raise ValueError("a frame is damaged")
    return out.raw[:size]


class Bundle:
    """blobs: digest in hexadecimal -> (kind, bytes)."""

    def __init__(self, data):
        (magic, version, flags, count, dictionary, table_offset, total_size, root, low,
         high) = HEADER.unpack_from(data)
        assert magic == b"XAASBNDL" and version == 1 and flags == 0
        assert 1 <= count <= 1_048_576 and total_size == len(data)
        assert table_offset + ENTRY.size * count == total_size
        assert (low, high) == xxh3_128(data[:72] + data[table_offset:])
        entries = [ENTRY.unpack_from(data, table_offset + ENTRY.size * index)
                   for index in range(count)]
        digests = [entry[0] for entry in entries]
        assert digests == sorted(set(digests))
        assert dictionary <= count
        self.root = root.hex()
        self.blobs = {}
        words = None
        if dictionary:
            words = self._blob(data, entries[dictionary - 1], None)
            assert entries[dictionary - 1][4] == 6
        end = HEADER.size
        for entry in sorted(entries, key=lambda entry: (entry[4], entry[0])):
            digest, offset, stored_size, raw_size, kind, zero = entry
            assert offset == end and zero == bytes(7), "a writer leaves no gaps"
            assert raw_size <= LIMITS.get(KINDS[kind], 2 << 30)
            end = offset + stored_size
            self.blobs[digest.hex()] = (KINDS[kind],
                                        self._blob(data, entry, None if kind == 6 else words))
        assert end == table_offset
        assert self.blobs[self.root][0] == "manifest"

    @staticmethod
    def _blob(data, entry, dictionary):
        digest, offset, stored_size, raw_size, _, _ = entry
        raw = unzstd(data[offset:offset + stored_size], raw_size, dictionary)
        assert hashlib.sha256(raw).digest() == digest
        return raw

    def manifest(self, digest=None):
        kind, text = self.blobs[digest or self.root]
        assert kind == "manifest"
        return canonical_json(text)


def canonical_json(text):
    value = json.loads(text)
    again = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert again.encode() == text, "the JSON is not canonical"
    return value
