/* Monotonic time, and what turns the kernel's real-time stamps into it. */
#include "prober.h"

static int64_t offset_ns;

int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

int64_t to_monotonic(int64_t real_ns) { return real_ns - offset_ns; }

void sample_offset(void)
{
    struct offset_sample sample = clock_offset();
    offset_ns = sample.offset_ns;
    header->offsets[header->offset_count % OFFSETS] = sample;
    header->offset_count++;
}
