"""Finds the maps of a program that another process loaded and attached. It must not know what any of them is for."""

from __future__ import annotations

import ctypes
import os
import struct

from . import BpfError, Map, _libbpf, attached_xdp

# linux/bpf.h: where struct bpf_prog_info has nr_map_ids and map_ids; the beginning of struct bpf_map_info
_NR_MAP_IDS, _MAP_IDS, _PROGRAM_INFO = 52, 56, 256
_MAP_INFO = struct.Struct("=IIIIII16s")
_MOST_MAPS = 64


def map_by_id(number: int) -> Map:
    """A map by its kernel id; its descriptor belongs to the caller. Raises BpfError, also without CAP_SYS_ADMIN."""
    fd = _libbpf().map_by_id(number)
    if fd < 0:
        raise _libbpf().failure(f"opening map {number}", -fd)
    buffer = ctypes.create_string_buffer(256)
    size = ctypes.c_uint32(len(buffer))
    error = _libbpf().info_by_fd(fd, buffer, ctypes.byref(size))
    if error:
        os.close(fd)
        raise _libbpf().failure(f"information about map {number}", -error)
    _, _, key_size, value_size, _, _, name = _MAP_INFO.unpack_from(buffer.raw)
    return Map(name.split(b"\0")[0].decode(), fd, key_size, value_size)


def maps_of_attached(ifindex: int) -> dict[str, Map]:
    """Name (its first 15 characters) → map, of the XDP program on an interface. Raises BpfError, also where there is none."""
    number = attached_xdp(ifindex)
    if not number:
        raise BpfError(f"interface {ifindex} has no XDP program")
    fd = _libbpf().program_by_id(number)
    if fd < 0:
        raise _libbpf().failure(f"opening program {number}", -fd)
    try:
        ids = (ctypes.c_uint32 * _MOST_MAPS)()
        info = ctypes.create_string_buffer(_PROGRAM_INFO)
        struct.pack_into("=I", info, _NR_MAP_IDS, _MOST_MAPS)
        struct.pack_into("=Q", info, _MAP_IDS, ctypes.addressof(ids))
        size = ctypes.c_uint32(len(info))
        error = _libbpf().info_by_fd(fd, info, ctypes.byref(size))
        if error:
            raise _libbpf().failure(f"information about program {number}", -error)
        (count,) = struct.unpack_from("=I", info, _NR_MAP_IDS)
    finally:
        os.close(fd)
    found: dict[str, Map] = {}
    try:
        for each in ids[: min(count, _MOST_MAPS)]:
            one = map_by_id(each)
            found[one.name] = one
    except BpfError:
        for one in found.values():
            one.close()
        raise
    return found
