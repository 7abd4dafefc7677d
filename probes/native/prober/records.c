/* The two files: the plan that is read and the records that are left. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "prober.h"

#define PAGE 4096UL

struct header *header;
struct flow *flows;
uint32_t flow_count, capacity;

void die(const char *format, ...)
{
    char text[ERROR_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s\n", text);
    if (header) {
        memcpy(header->error, text, sizeof(text));
        header->state = FAILED;
    }
    exit(2);
}

static const struct transport *transport_of(const struct plan_flow *p)
{
    switch (p->protocol) {
    case IPPROTO_UDP:
        return &udp;
    case IPPROTO_TCP:
        return &tcp;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return &icmp;
    }
    return NULL;
}

void read_plan(const char *path)
{
    struct plan_header p;
    FILE *file = fopen(path, "rb");
    if (!file)
        die("%s: %s", path, strerror(errno));
    if (fread(&p, sizeof(p), 1, file) != 1 || p.magic != PLAN_MAGIC || p.version != VERSION || !p.flow_count || !p.capacity)
        die("%s: not a plan of version %u", path, VERSION);
    flow_count = p.flow_count;
    capacity = p.capacity;
    flows = calloc(flow_count, sizeof(*flows));
    struct plan_flow *plans = calloc(flow_count, sizeof(*plans));
    if (!flows || !plans || fread(plans, sizeof(*plans), flow_count, file) != flow_count)
        die("%s: it says %u flows and holds fewer", path, flow_count);
    for (uint32_t i = 0; i < flow_count; i++) {
        struct plan_flow *plan = &plans[i];
        flows[i].plan = plan;
        flows[i].transport = transport_of(plan);
        if (plan->interval_ns <= 0 || plan->phase_ns < 0)
            die("%s: flow %u has no interval", path, plan->id);
        if (!flows[i].transport || !plan->ports)
            die("%s: flow %u: protocol %u from %u ports", path, plan->id, plan->protocol, plan->ports);
        unsigned head = plan->protocol == IPPROTO_TCP ? 0 : PAYLOAD_HEAD;
        flows[i].packet = malloc(plan->packet_bytes);
        if (plan->header_at + 8u > plan->payload_at || plan->payload_at + head > plan->packet_bytes || !flows[i].packet ||
            fseek(file, (long)plan->packet_at, SEEK_SET) || fread(flows[i].packet, plan->packet_bytes, 1, file) != 1)
            die("%s: flow %u: its packet is cut short", path, plan->id);
    }
    fclose(file);
}

static size_t paged(size_t n) { return (n + PAGE - 1) & ~(PAGE - 1); }

void map_records(const char *path)
{
    size_t status_at = paged(sizeof(struct header));
    size_t ring_at = status_at + paged(flow_count * sizeof(struct flow_status));
    size_t size = ring_at + (size_t)flow_count * capacity * sizeof(struct record);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        die("%s: %s", path, strerror(errno));
    uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        die("%s: %s", path, strerror(errno));
    header = (struct header *)base;
    header->version = VERSION;
    header->header_bytes = sizeof(struct header);
    header->flow_count = flow_count;
    header->capacity = capacity;
    header->record_bytes = sizeof(struct record);
    header->pid = (uint32_t)getpid();
    header->heartbeat_ns = now_ns();
    for (uint32_t i = 0; i < flow_count; i++) {
        flows[i].status = (struct flow_status *)(base + status_at) + i;
        flows[i].status->id = flows[i].plan->id;
        flows[i].ring = (struct record *)(base + ring_at) + (size_t)i * capacity;
    }
    __atomic_store_n(&header->magic, RECORD_MAGIC, __ATOMIC_RELEASE);
}
