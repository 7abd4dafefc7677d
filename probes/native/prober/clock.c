/* Monotonic time, and what turns the kernel's real-time stamps into it. */
#include <stdint.h>
#include <time.h>

#include "prober.h"

static int64_t offset_ns;

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

int64_t to_monotonic(int64_t real_ns) { return real_ns - offset_ns; }

/* The narrowest of a few sandwiches: a preemption between two readings would look like a step of the clock. */
void sample_offset(void)
{
    int64_t best = INT64_MAX, mono = 0;
    for (int i = 0; i < 5 && best > 2000; i++) {
        int64_t before = now_ns(), real = clock_ns(CLOCK_REALTIME), after = now_ns();
        if (after - before < best) {
            best = after - before;
            mono = before + best / 2;
            offset_ns = real - mono;
        }
    }
    header->offsets[header->offset_count % OFFSETS] = (struct offset_sample){mono, offset_ns};
    header->offset_count++;
}
