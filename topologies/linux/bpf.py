"""BPF objects and maps of the harness, through libbpf. Thin: it moves bytes and descriptors and decides nothing."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path


class BpfError(OSError):
    """libbpf or the kernel refused; `strerror` says what was being done."""


class _MapInfo(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
        ("name", ctypes.c_char * 16),
    )


_BATCH = 4096
_Sample = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


@lru_cache
def _lib() -> ctypes.CDLL:
    lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
    pointer = ctypes.c_void_p
    for name in ("bpf_object__open_file", "bpf_object__find_program_by_name", "bpf_object__find_map_by_name"):
        getattr(lib, name).restype = pointer
    lib.bpf_object__open_file.argtypes = (ctypes.c_char_p, pointer)
    for name in ("bpf_object__find_program_by_name", "bpf_object__find_map_by_name"):
        getattr(lib, name).argtypes = (pointer, ctypes.c_char_p)
    for name in ("bpf_object__load", "bpf_program__fd", "bpf_map__fd", "bpf_object__close", "bpf_link__destroy"):
        getattr(lib, name).argtypes = (pointer,)
    lib.bpf_object__close.restype = None
    lib.bpf_program__set_autoload.argtypes = (pointer, ctypes.c_bool)
    lib.bpf_program__attach.restype = pointer
    lib.bpf_program__attach.argtypes = (pointer,)
    lib.ring_buffer__new.restype = pointer
    lib.ring_buffer__new.argtypes = (ctypes.c_int, _Sample, pointer, pointer)
    lib.ring_buffer__consume.argtypes = lib.ring_buffer__free.argtypes = (pointer,)
    lib.ring_buffer__free.restype = None
    lib.libbpf_set_print.argtypes = (pointer,)
    lib.libbpf_set_print(None)  # its chatter says nothing that the error does not
    return lib


def _check(code: int, doing: str) -> int:
    if code < 0:
        number = ctypes.get_errno() or -code
        raise BpfError(number, f"{doing}: {os.strerror(number)}")
    return code


class Map:
    """A BPF map held by descriptor; keys and values are raw bytes in the machine's order."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        info = _MapInfo()
        size = ctypes.c_uint32(ctypes.sizeof(info))
        _check(_lib().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(size)), "reading a map's description")
        self.id: int = info.id
        self.key_size: int = info.key_size
        self.value_size: int = info.value_size

    @classmethod
    def by_id(cls, number: int) -> Map:
        """The map with this kernel id. Raises BpfError when it is gone."""
        return cls(_check(_lib().bpf_map_get_fd_by_id(ctypes.c_uint32(number)), f"opening BPF map {number}"))

    def update(self, key: bytes, value: bytes) -> None:
        _check(_lib().bpf_map_update_elem(self.fd, key, value, ctypes.c_uint64(0)), "writing a map")

    def update_all(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """All pairs in one system call, so that they take effect within microseconds of each other."""
        count = ctypes.c_uint32(len(pairs))
        keys = b"".join(k for k, _ in pairs)
        values = b"".join(v for _, v in pairs)
        code = _lib().bpf_map_update_batch(self.fd, keys, values, ctypes.byref(count), None)
        _check(code, "writing a map in one step")

    def get(self, key: bytes) -> bytes | None:
        value = ctypes.create_string_buffer(self.value_size)
        return value.raw if _lib().bpf_map_lookup_elem(self.fd, key, value) == 0 else None

    def items(self) -> list[tuple[bytes, bytes]]:
        """Everything in a hash, some thousands of entries per system call; what comes meanwhile may be missing."""
        return self._drained("bpf_map_lookup_batch")

    def take(self) -> list[tuple[bytes, bytes]]:
        """The same, and what was read is there no more; what comes meanwhile is read now or stays."""
        return self._drained("bpf_map_lookup_and_delete_batch")

    def clear(self) -> None:
        """Empties a hash."""
        self.take()

    def _drained(self, call: str) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        keys = ctypes.create_string_buffer(self.key_size * _BATCH)
        values = ctypes.create_string_buffer(self.value_size * _BATCH)
        at: ctypes.Array[ctypes.c_char] | None = None
        following = ctypes.create_string_buffer(max(self.key_size, 8))
        while True:
            count = ctypes.c_uint32(_BATCH)
            code = getattr(_lib(), call)(self.fd, at, following, keys, values, ctypes.byref(count), None)
            if code != 0 and ctypes.get_errno() != errno.ENOENT:
                _check(-1, "reading a map")
            k, v = keys.raw, values.raw
            found += [
                (k[i * self.key_size : (i + 1) * self.key_size], v[i * self.value_size : (i + 1) * self.value_size])
                for i in range(count.value)
            ]
            if code != 0:  # ENOENT: that was the last of it
                return found
            at = ctypes.create_string_buffer(following.raw)

    def delete(self, key: bytes) -> None:
        _lib().bpf_map_delete_elem(self.fd, key)

    def keys(self) -> Iterator[bytes]:
        following = ctypes.create_string_buffer(self.key_size)
        current: bytes | None = None
        while _lib().bpf_map_get_next_key(self.fd, current, following) == 0:
            current = following.raw
            yield current

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class RingBuffer:
    """The reading end of a BPF ring buffer. The kernel keeps one place for all readers: have only one."""

    def __init__(self, ring: Map) -> None:
        self._samples: list[bytes] = []
        self._callback = _Sample(self._take)  # held here, since the library holds it by address only
        self._handle = _lib().ring_buffer__new(ring.fd, self._callback, None, None)
        if not self._handle:
            raise BpfError(ctypes.get_errno(), "opening a BPF ring buffer")

    def _take(self, _context: int | None, data: int | None, size: int) -> int:
        self._samples.append(ctypes.string_at(data or 0, size))
        return 0

    def read(self) -> list[bytes]:
        """Every record there is, oldest first; they are gone from the ring. Does not wait."""
        if self._handle:
            _check(_lib().ring_buffer__consume(self._handle), "reading a BPF ring buffer")
        taken, self._samples = self._samples, []
        return taken

    def close(self) -> None:
        if self._handle:
            _lib().ring_buffer__free(self._handle)
            self._handle = None


class _ProgramInfo(ctypes.Structure):
    """The head of struct bpf_prog_info."""

    _fields_ = (("type", ctypes.c_uint32), ("id", ctypes.c_uint32))


def program_by_id(number: int) -> int:
    """A descriptor of the loaded program with this kernel id. Raises BpfError when it is gone."""
    return _check(_lib().bpf_prog_get_fd_by_id(ctypes.c_uint32(number)), f"opening BPF program {number}")


class _TestRun(ctypes.Structure):
    """struct bpf_test_run_opts of libbpf's bpf.h."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        *((name, ctypes.c_void_p) for name in ("data_in", "data_out")),
        *((name, ctypes.c_uint32) for name in ("data_size_in", "data_size_out")),
        *((name, ctypes.c_void_p) for name in ("ctx_in", "ctx_out")),
        *((name, ctypes.c_uint32) for name in ("ctx_size_in", "ctx_size_out", "retval")),
        ("repeat", ctypes.c_int),
        *((name, ctypes.c_uint32) for name in ("duration", "flags", "cpu", "batch_size")),
    )


class Object:
    """A loaded BPF object file. Its programs and maps live while it, an attachment or a `Map` holds them.

    `without` names programs that this kernel would not take and that are left out."""

    def __init__(self, path: Path, *, without: Iterable[str] = ()) -> None:
        lib = _lib()
        self._links: list[int] = []
        self._handle = lib.bpf_object__open_file(str(path).encode(), None)
        if not self._handle:
            raise BpfError(ctypes.get_errno(), f"opening {path}")
        try:
            for name in without:
                lib.bpf_program__set_autoload(self._program(name), False)
            _check(lib.bpf_object__load(self._handle), f"loading {path.name} into the kernel")
        except BpfError:
            self.close()
            raise

    def _program(self, name: str) -> int:
        found = _lib().bpf_object__find_program_by_name(self._handle, name.encode())
        if not found:
            raise BpfError(2, f"no program {name}")
        return int(found)

    def program_fd(self, name: str) -> int:
        return int(_lib().bpf_program__fd(self._program(name)))

    def attach(self, name: str) -> None:
        """Has a tracing program run where its section says, until this object is closed."""
        link = _lib().bpf_program__attach(self._program(name))
        if not link:
            number = ctypes.get_errno()
            raise BpfError(number, f"attaching {name}: {os.strerror(number)}")
        self._links.append(link)

    def program_id(self, name: str) -> int:
        """The kernel's id of a program, by which `program_by_id` finds it while it is attached somewhere."""
        info, size = _ProgramInfo(), ctypes.c_uint32(ctypes.sizeof(_ProgramInfo))
        code = _lib().bpf_obj_get_info_by_fd(self.program_fd(name), ctypes.byref(info), ctypes.byref(size))
        _check(code, "reading a program's description")
        return int(info.id)

    def run(self, name: str) -> int:
        """Runs a tc program once, over a frame of zeros that goes nowhere. What it returned."""
        frame = ctypes.create_string_buffer(64)
        options = _TestRun(
            size=ctypes.sizeof(_TestRun), data_in=ctypes.addressof(frame), data_size_in=len(frame), repeat=1
        )
        code = _lib().bpf_prog_test_run_opts(self.program_fd(name), ctypes.byref(options))
        _check(code, f"running {name}")
        return int(options.retval)

    def map(self, name: str) -> Map:
        found = _lib().bpf_object__find_map_by_name(self._handle, name.encode())
        if not found:
            raise BpfError(2, f"no map {name}")
        return Map(os.dup(_lib().bpf_map__fd(found)))

    def close(self) -> None:
        while self._links:
            _lib().bpf_link__destroy(self._links.pop())
        if self._handle:
            _lib().bpf_object__close(self._handle)
            self._handle = None
