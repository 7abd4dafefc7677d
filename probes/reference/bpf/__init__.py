"""A thin layer over libbpf by ctypes: objects, maps, XDP by netlink. It must not know what any program or map is for.

No bpffs pins: what is loaded lives as long as the process or the interface it is attached to holds it.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_MAP_TYPE_ARRAY = 2  # linux/bpf.h, BPF_MAP_TYPE_ARRAY
_PRINT_WARN = 0  # libbpf.h, LIBBPF_WARN


class BpfError(Exception):
    """The kernel or libbpf refused; the message says what was asked, the reason and libbpf's own last words."""


_print_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class _TestRun(ctypes.Structure):
    """`struct bpf_test_run_opts` of libbpf's bpf.h, up to the fields that are used."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("data_in", ctypes.c_void_p),
        ("data_out", ctypes.c_void_p),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_void_p),
        ("ctx_out", ctypes.c_void_p),
        ("ctx_size_in", ctypes.c_uint32),
        ("ctx_size_out", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("repeat", ctypes.c_int),
        ("duration", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("cpu", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
    )


class _Library:
    """libbpf.so.1, opened at first use, so that pure code that imports this package needs no library."""

    def __init__(self) -> None:
        try:
            lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
        except OSError as missing:
            raise BpfError(f"libbpf.so.1 cannot be opened ({missing}); install libbpf1") from missing
        pointer, integer, unsigned, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_char_p
        counted = ctypes.POINTER(unsigned)
        self.open_file = _declare(lib, "bpf_object__open_file", pointer, text, pointer)
        self.load = _declare(lib, "bpf_object__load", integer, pointer)
        self.close = _declare(lib, "bpf_object__close", None, pointer)
        self.find_program = _declare(lib, "bpf_object__find_program_by_name", pointer, pointer, text)
        self.program_fd = _declare(lib, "bpf_program__fd", integer, pointer)
        self.find_map = _declare(lib, "bpf_object__find_map_by_name", pointer, pointer, text)
        self.map_fd = _declare(lib, "bpf_map__fd", integer, pointer)
        self.key_size = _declare(lib, "bpf_map__key_size", unsigned, pointer)
        self.value_size = _declare(lib, "bpf_map__value_size", unsigned, pointer)
        self.map_create = _declare(lib, "bpf_map_create", integer, integer, text, unsigned, unsigned, unsigned, pointer)
        self.map_update = _declare(lib, "bpf_map_update_elem", integer, integer, pointer, pointer, ctypes.c_uint64)
        self.map_lookup = _declare(lib, "bpf_map_lookup_elem", integer, integer, pointer, pointer)
        self.map_delete = _declare(lib, "bpf_map_delete_elem", integer, integer, pointer)
        self.map_take = _declare(
            lib, "bpf_map_lookup_and_delete_batch", integer, integer, *[pointer] * 4, counted, pointer
        )
        self.map_by_id = _declare(lib, "bpf_map_get_fd_by_id", integer, unsigned)
        self.program_by_id = _declare(lib, "bpf_prog_get_fd_by_id", integer, unsigned)
        self.info_by_fd = _declare(lib, "bpf_obj_get_info_by_fd", integer, integer, pointer, pointer)
        self.xdp_attach = _declare(lib, "bpf_xdp_attach", integer, integer, integer, unsigned, pointer)
        self.xdp_detach = _declare(lib, "bpf_xdp_detach", integer, integer, unsigned, pointer)
        self.xdp_query_id = _declare(lib, "bpf_xdp_query_id", integer, integer, integer, pointer)
        self.test_run = _declare(lib, "bpf_prog_test_run_opts", integer, integer, pointer)
        self.cpus: int = _declare(lib, "libbpf_num_possible_cpus", integer)()
        self.words: list[str] = []
        self._callback = _print_type(self._print)  # kept: libbpf calls it as long as it is loaded
        _declare(lib, "libbpf_set_print", pointer, _print_type)(self._callback)

    def _print(self, level: int, template: bytes, arguments: int) -> int:
        """Keeps libbpf's warnings (the verifier's log is one of them) for the error that follows."""
        if level == _PRINT_WARN:
            buffer = ctypes.create_string_buffer(65536)
            _libc.vsnprintf(buffer, ctypes.c_size_t(len(buffer)), template, ctypes.c_void_p(arguments))
            lines = buffer.value.decode(errors="replace").splitlines()
            self.words = [*self.words, *lines][-15:]  # a verifier's log gives its reason last
        return 0

    def failure(self, what: str, error: int) -> BpfError:
        """The error to raise for `what`; `error` is an errno. Libbpf's collected words are spent on it."""
        said, self.words = "\n".join(self.words), []
        return BpfError(f"{what}: {os.strerror(error)}" + (f"\n{said}" if said else ""))


def _declare(lib: ctypes.CDLL, name: str, result: object, *arguments: object) -> Callable[..., int]:
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments
    found: Callable[..., int] = function
    return found


_libc = ctypes.CDLL(None)
_loaded: list[_Library] = []


def _libbpf() -> _Library:
    if not _loaded:
        _loaded.append(_Library())
    return _loaded[0]


@dataclass(frozen=True)
class Map:
    """A map by its file descriptor. Keys and values are bytes of exactly `key_size` and `value_size`."""

    name: str
    fd: int
    key_size: int
    value_size: int

    def _check(self, key: bytes, value: bytes | None = None) -> None:
        if len(key) != self.key_size or (value is not None and len(value) != self.value_size):
            found = f"{len(key)}/{len(value) if value is not None else '-'}"
            raise BpfError(f"map {self.name}: key/value of {found} bytes, wanted {self.key_size}/{self.value_size}")

    def update(self, key: bytes, value: bytes) -> None:
        """Sets one element; for a map of maps the value is the inner map's file descriptor in 4 bytes."""
        self._check(key, value)
        error = _libbpf().map_update(self.fd, key, value, 0)
        if error:
            raise _libbpf().failure(f"update of map {self.name}", -error)

    def lookup(self, key: bytes) -> bytes | None:
        """One element, or None where there is none."""
        self._check(key)
        buffer = ctypes.create_string_buffer(self.value_size)
        return buffer.raw if _libbpf().map_lookup(self.fd, key, buffer) == 0 else None

    def lookup_per_cpu(self, key: bytes) -> list[bytes]:
        """One element of a per-CPU map: a value for each possible CPU."""
        self._check(key)
        stride = (self.value_size + 7) // 8 * 8  # the kernel pads every CPU's value to 8 bytes
        buffer = ctypes.create_string_buffer(stride * _libbpf().cpus)
        error = _libbpf().map_lookup(self.fd, key, buffer)
        if error:
            raise _libbpf().failure(f"lookup in map {self.name}", -error)
        return [buffer.raw[at : at + self.value_size] for at in range(0, len(buffer.raw), stride)]

    def update_per_cpu(self, key: bytes, value: bytes) -> None:
        """Sets one element of a per-CPU map to the same value for every possible CPU."""
        self._check(key, value)
        padded = value.ljust((self.value_size + 7) // 8 * 8, b"\0")
        error = _libbpf().map_update(self.fd, key, padded * _libbpf().cpus, 0)
        if error:
            raise _libbpf().failure(f"update of map {self.name}", -error)

    def take_all(self, most: int) -> tuple[bytes, bytes]:
        """Empties a hash map of at most `most` elements: all keys in one piece, and their values in the same order."""
        keys = ctypes.create_string_buffer(most * self.key_size)
        values = ctypes.create_string_buffer(most * self.value_size)
        at, count = ctypes.create_string_buffer(max(4, self.key_size)), ctypes.c_uint32(most)
        error = _libbpf().map_take(self.fd, None, at, keys, values, ctypes.byref(count), None)
        if error and error != -errno.ENOENT:  # which says that these were the last
            raise _libbpf().failure(f"emptying map {self.name}", -error)
        return keys.raw[: count.value * self.key_size], values.raw[: count.value * self.value_size]

    def delete(self, key: bytes) -> None:
        """Removes one element; that it was not there is no error."""
        self._check(key)
        _libbpf().map_delete(self.fd, key)

    def close(self) -> None:
        """Gives the descriptor of a map that belongs to no object back; other holders keep the map alive."""
        os.close(self.fd)


def create_array(name: str, value_size: int, entries: int) -> Map:
    """A new array map that belongs to the caller, for use as an inner map."""
    fd = _libbpf().map_create(_MAP_TYPE_ARRAY, name.encode(), 4, value_size, entries, None)
    if fd < 0:
        raise _libbpf().failure(f"creation of map {name}", -fd)
    return Map(name, fd, 4, value_size)


@dataclass(frozen=True)
class FrameRun:
    """What a program did with one frame: its return value and the frame afterwards."""

    verdict: int
    frame: bytes


@dataclass(frozen=True)
class Program:
    """A loaded program by its file descriptor and kernel id."""

    name: str
    fd: int
    id: int

    def attach(self, ifindex: int) -> None:
        """Attaches to an interface's XDP hook; a program that was there is replaced in one step, without a gap."""
        error = _libbpf().xdp_attach(ifindex, self.fd, 0, None)
        if error:
            raise _libbpf().failure(f"XDP program {self.name} on interface {ifindex}", -error)

    def test_run(self, frame: bytes) -> FrameRun:
        """Runs the program once over a frame (BPF_PROG_TEST_RUN); nothing is sent."""
        out = ctypes.create_string_buffer(len(frame) + 512)
        data = ctypes.create_string_buffer(frame, len(frame))
        options = _TestRun(
            sz=ctypes.sizeof(_TestRun),
            data_in=ctypes.addressof(data),
            data_out=ctypes.addressof(out),
            data_size_in=len(frame),
            data_size_out=len(out),
            repeat=1,
        )
        error = _libbpf().test_run(self.fd, ctypes.byref(options))
        if error:
            raise _libbpf().failure(f"test run of {self.name}", -error)
        return FrameRun(options.retval, out.raw[: options.data_size_out])


class Object:
    """A BPF object file, opened and loaded. As a context manager it closes its descriptors at the end."""

    def __init__(self, path: Path) -> None:
        library = _libbpf()
        self.path = path
        ctypes.set_errno(0)
        self._handle = library.open_file(str(path).encode(), None)
        if not self._handle:
            raise library.failure(f"opening {path}", ctypes.get_errno())
        error = library.load(self._handle)
        if error:
            library.close(self._handle)
            raise library.failure(f"loading {path}", -error)

    def map(self, name: str) -> Map:
        """A map of the object by its name."""
        found = _libbpf().find_map(self._handle, name.encode())
        if not found:
            raise BpfError(f"{self.path} has no map {name}")
        return Map(name, _libbpf().map_fd(found), _libbpf().key_size(found), _libbpf().value_size(found))

    def program(self, name: str) -> Program:
        """A program of the object by its name."""
        found = _libbpf().find_program(self._handle, name.encode())
        if not found:
            raise BpfError(f"{self.path} has no program {name}")
        fd = _libbpf().program_fd(found)
        info = (ctypes.c_uint32 * 64)()  # struct bpf_prog_info begins with type and id
        size = ctypes.c_uint32(ctypes.sizeof(info))
        error = _libbpf().info_by_fd(fd, info, ctypes.byref(size))
        if error:
            raise _libbpf().failure(f"information about program {name}", -error)
        return Program(name, fd, int(info[1]))

    def close(self) -> None:
        """Closes every descriptor; attached programs and the maps that they use live on."""
        if self._handle:
            _libbpf().close(self._handle)
            self._handle = 0

    def __enter__(self) -> Object:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def detach_xdp(ifindex: int) -> None:
    """Takes whatever XDP program an interface has away; none is no error."""
    error = _libbpf().xdp_detach(ifindex, 0, None)
    if error:
        raise _libbpf().failure(f"detaching XDP from interface {ifindex}", -error)


def attached_xdp(ifindex: int) -> int:
    """The id of the XDP program on an interface, 0 if there is none or no such interface."""
    found = ctypes.c_uint32(0)
    return int(found.value) if _libbpf().xdp_query_id(ifindex, 0, ctypes.byref(found)) == 0 else 0
