#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""prefix.py REFERENCE IMAGE: the number of the last record in a raw image of a writing guest's disk.

Fails unless the image is what the disk was before the guest's first record (REFERENCE, raw) with the
records 1 to that number on it, to the byte. The layout is writing_guest.c's.
"""

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


def disk_after(reference, last):
    disk = bytearray(reference)
    for number in range(max(1, last - SLOTS + 1), last + 1):
        disk[place(number):place(number) + BLOCK] = record(number)
    return disk


def differences(wanted, found):
    if len(wanted) != len(found):
        yield f"{len(found)} bytes instead of {len(wanted)}"
    for at in range(0, min(len(wanted), len(found)), BLOCK):
        if wanted[at:at + BLOCK] != found[at:at + BLOCK]:
            yield (f"at {at}: {found[at:at + 16].hex()} instead of {wanted[at:at + 16].hex()}")


def main(reference, path):
    with open(reference, "rb") as file:
        before = file.read()
    with open(path, "rb") as file:
        image = file.read()
    last = max(numbers(image), default=0)
    wanted = disk_after(before, last)
    if wanted != image:
        found = list(differences(wanted, image))
        sys.exit(f"not the disk after record {last}, {len(found)} blocks differ:\n"
                 + "\n".join(found[:8]))
    print(last)


if __name__ == "__main__":
    main(*sys.argv[1:])
