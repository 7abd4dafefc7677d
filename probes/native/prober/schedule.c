/* Who is due next: a binary heap of flows, the earliest due time on top. */
#include <stdlib.h>

#include "prober.h"

static struct flow **heap;

static void sift_down(uint32_t i)
{
    for (;;) {
        uint32_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < flow_count && heap[left]->due_ns < heap[least]->due_ns)
            least = left;
        if (right < flow_count && heap[right]->due_ns < heap[least]->due_ns)
            least = right;
        if (least == i)
            return;
        struct flow *swap = heap[i];
        heap[i] = heap[least];
        heap[least] = swap;
        i = least;
    }
}

void schedule_start(int64_t start_ns)
{
    heap = calloc(flow_count, sizeof(*heap));
    if (!heap)
        die("no memory for a schedule of %u flows", flow_count);
    for (uint32_t i = 0; i < flow_count; i++) {
        flows[i].due_ns = start_ns + flows[i].plan->phase_ns;
        heap[i] = &flows[i];
    }
    for (uint32_t i = flow_count; i-- > 0;)
        sift_down(i);
}

struct flow *schedule_first(void) { return heap[0]; }

void schedule_next(void)
{
    heap[0]->due_ns += heap[0]->plan->interval_ns;
    sift_down(0);
}
