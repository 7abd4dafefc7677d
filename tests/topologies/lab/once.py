"""Runs a loaded tc program once over one frame (BPF_PROG_TEST_RUN), without any interface of ours. Knows no lab."""

from __future__ import annotations

import ctypes
import os

from topologies.linux.bpf import _lib

LO = 1  # the interface that every namespace has


class _Context(ctypes.Structure):
    """The head of struct __sk_buff; what is not named stays zero."""

    _fields_ = (
        ("_before", ctypes.c_uint32 * 9),
        ("ingress_ifindex", ctypes.c_uint32),
        ("ifindex", ctypes.c_uint32),
        ("_after", ctypes.c_uint32 * 37),
    )


class _Options(ctypes.Structure):
    """struct bpf_test_run_opts of libbpf."""

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
        ("batch", ctypes.c_uint32),
    )


def run_once(program_fd: int, frame: bytes, *, arrived_at: int = 0, times: int = 1) -> tuple[int, int]:
    """The program's verdict on the frame at `lo`, and ns per run. `arrived_at`: the interface it came in by, 0 for none."""
    context = _Context(ingress_ifindex=arrived_at, ifindex=LO)
    data = ctypes.create_string_buffer(frame, len(frame))
    options = _Options(
        sz=ctypes.sizeof(_Options),
        data_in=ctypes.addressof(data),
        data_size_in=len(frame),
        ctx_in=ctypes.addressof(context),
        ctx_size_in=ctypes.sizeof(context),
        repeat=times,
    )
    code = _lib().bpf_prog_test_run_opts(program_fd, ctypes.byref(options))
    assert code == 0, os.strerror(ctypes.get_errno())
    return options.retval, options.duration
