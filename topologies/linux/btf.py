"""What the running kernel's types say of themselves (BTF), through libbpf. Thin: it looks up what it is asked for by name."""

from __future__ import annotations

import ctypes
import errno
import struct
from types import TracebackType

from topologies.linux.bpf import BpfError

_ENUM, _TYPEDEF, _FUNC_PROTO, _POINTER = 6, 8, 13, 2  # linux/btf.h
_TYPE = struct.Struct("=III")  # struct btf_type: name, info, size or type
_MEMBER = struct.Struct("=Ii")  # struct btf_enum: name, value


class KernelTypes:
    """The running kernel's BTF; reading it takes some 50 ms. A context manager. Raises BpfError where there is none."""

    def __init__(self) -> None:
        lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
        handle = ctypes.c_void_p
        lib.btf__load_vmlinux_btf.restype = lib.btf__type_by_id.restype = handle
        lib.btf__find_by_name_kind.argtypes = (handle, ctypes.c_char_p, ctypes.c_uint32)
        lib.btf__type_by_id.argtypes = lib.btf__name_by_offset.argtypes = (handle, ctypes.c_uint32)
        lib.btf__name_by_offset.restype = ctypes.c_char_p
        lib.btf__free.argtypes = (handle,)
        lib.btf__free.restype = None
        self._lib = lib
        self._handle = lib.btf__load_vmlinux_btf()
        if not self._handle:
            raise BpfError(
                ctypes.get_errno() or errno.ENOENT, "this kernel was built without BTF (CONFIG_DEBUG_INFO_BTF)"
            )

    def enum(self, name: str) -> dict[str, int]:
        """Names and values of an enum in its own order; empty where the kernel has none of this name."""
        found = self._find(name, _ENUM)
        if found is None:
            return {}
        at, (_, info, _) = found
        members = (
            _MEMBER.unpack(ctypes.string_at(at + _TYPE.size + i * _MEMBER.size, _MEMBER.size)) for i in _each(info)
        )
        return {self._lib.btf__name_by_offset(self._handle, where).decode(): value for where, value in members}

    def tracepoint_arguments(self, name: str) -> int | None:
        """How many arguments a program at this tracepoint is given; None where the kernel has no such tracepoint."""
        found = self._find(f"btf_trace_{name}", _TYPEDEF)
        kinds = [_POINTER, _FUNC_PROTO]
        while found is not None and kinds:
            at = self._lib.btf__type_by_id(self._handle, found[1][2])
            found = (at, _TYPE.unpack(ctypes.string_at(at, _TYPE.size))) if at else None
            if found is not None and found[1][1] >> 24 & 0x1F != kinds.pop(0):
                return None
        return None if found is None else len(_each(found[1][1])) - 1  # the first is the caller's own, not handed on

    def _find(self, name: str, kind: int) -> tuple[int, tuple[int, int, int]] | None:
        number = self._lib.btf__find_by_name_kind(self._handle, name.encode(), kind)
        if number < 0:
            return None
        at = self._lib.btf__type_by_id(self._handle, number)
        return at, _TYPE.unpack(ctypes.string_at(at, _TYPE.size))

    def __enter__(self) -> KernelTypes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lib.btf__free(self._handle)
        self._handle = None


def _each(info: int) -> range:
    return range(info & 0xFFFF)
