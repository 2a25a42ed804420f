#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""prefix.py REFERENCE IMAGE: the number of the last record in a raw image of a writing guest's disk.

Fails unless the image is what the disk was before the guest's first record (REFERENCE, raw) with the
records 1 to that number on it, to the byte. The layout is writing_guest.c's.
"""

import mmap
import struct
import sys

BLOCK = 4096
SLOTS = 4096
STRIDE = 2731
FIRST = 8 << 20
MAGIC = 0x64726F6365722061


def record(number):
    return struct.pack("<QQ", MAGIC, number) * (BLOCK // 16)


def place(number):
    return FIRST + number * STRIDE % SLOTS * BLOCK


def numbers(image):
    for slot in range(SLOTS):
        magic, number = struct.unpack_from("<QQ", image, FIRST + slot * BLOCK)
        if magic == MAGIC:
            yield number


def differences(before, last, image):
    if len(before) != len(image):
        yield f"{len(image)} bytes instead of {len(before)}"
    records = {place(number): record(number) for number in range(max(1, last - SLOTS + 1), last + 1)}
    for at in range(0, min(len(before), len(image)), BLOCK):
        wanted, found = records.get(at) or before[at:at + BLOCK], image[at:at + BLOCK]
        if wanted != found:
            yield f"at {at}: {found[:16].hex()} instead of {wanted[:16].hex()}"


def content_of(path):
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def main(reference, path):
    image = content_of(path)
    last = max(numbers(image), default=0)
    found = list(differences(content_of(reference), last, image))
    if found:
        sys.exit(f"not the disk after record {last}, {len(found)} blocks differ:\n"
                 + "\n".join(found[:8]))
    print(last)


if __name__ == "__main__":
    main(*sys.argv[1:])
