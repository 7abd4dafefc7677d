/* TCP probes: each a SYN from a new source port. No socket of the kernel's knows of them, so nothing is retransmitted, and
 * the kernel answers a SYN-ACK with RST by itself, which clears the half-open connection at the server.
 *
 * Sequence numbers carry 8 bits of the flow's id and 24 of the probe's number; whatever acknowledges them is ours. */
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/tcp.h>
#include <string.h>

#include "prober.h"

#define NUMBER_MASK 0xffffffu

static uint32_t first_sequence(const struct flow *f, uint64_t seq) { return f->plan->id << 24 | (uint32_t)(seq & NUMBER_MASK); }

static ssize_t send_tcp(struct flow *f, uint64_t seq, int64_t due_ns)
{
    (void)due_ns;
    struct plan_flow *p = f->plan;
    uint8_t *head = f->packet + p->header_at;
    uint16_t port = htons((uint16_t)(p->sport + seq % p->ports)), check = 0;
    uint32_t number = htonl(first_sequence(f, seq));
    memcpy(head, &port, 2);
    memcpy(head + 4, &number, 4);
    memcpy(head + 16, &check, 2);
    check = transport_checksum(f);
    memcpy(head + 16, &check, 2);
    return send_raw(f);
}

const struct transport tcp = {open_raw, send_tcp, NULL};

static struct flow *flow_of(const struct sight *s, uint16_t ours, uint16_t theirs)
{
    for (uint32_t i = 0; i < flow_count; i++) {
        struct plan_flow *p = flows[i].plan;
        if (p->protocol == IPPROTO_TCP && p->dport == theirs && ours >= p->sport && ours - p->sport < p->ports &&
            between(&flows[i], s))
            return &flows[i];
    }
    return NULL;
}

/* The probe that had this sequence number, null if none of ours did. */
static struct record *numbered(struct flow *f, uint32_t number, uint16_t port)
{
    uint64_t next = f->status->next_seq, back = (next - 1 - number) & NUMBER_MASK;
    if (!next || back >= next || number >> 24 != (f->plan->id & 0xff) || f->plan->sport + (next - 1 - back) % f->plan->ports != port)
        return NULL;
    return sent_record(f, next - 1 - back);
}

/* The latest probe that left from this port. */
static struct record *latest_from(struct flow *f, uint16_t port)
{
    uint64_t next = f->status->next_seq, offset = (uint64_t)(port - f->plan->sport);
    return next <= offset ? NULL : sent_record(f, next - 1 - (next - 1 - offset) % f->plan->ports);
}

static uint16_t u16(const uint8_t *data) { return (uint16_t)(data[0] << 8 | data[1]); }

static uint32_t u32(const uint8_t *data) { return (uint32_t)u16(data) << 16 | u16(data + 2); }

void tcp_seen(const struct sight *s)
{
    if (s->length < 20)
        return;
    uint16_t theirs = u16(s->data), ours = u16(s->data + 2);
    uint8_t control = s->data[13];
    struct flow *f = flow_of(s, ours, theirs);
    if (!f)
        return; /* somebody else's connection */
    struct record *acknowledged = control & TH_ACK ? numbered(f, u32(s->data + 8) - 1, ours) : NULL;
    struct record *latest = latest_from(f, ours);
    if (control & TH_RST) {
        if (acknowledged)
            deny(acknowledged, BY_RST, s->at.ns);
        else if (latest)
            deny(latest, BY_STRAY_RST, s->at.ns);
    } else if (acknowledged && control & TH_SYN) {
        if (is_first_answer(acknowledged)) {
            acknowledged->rx_ns = s->at.ns;
            acknowledged->ttl = s->at.ttl;
            acknowledged->flags |= ANSWERED;
            header->received++;
        }
    } else {
        header->foreign++;
    }
}

struct record *tcp_quoted(const struct sight *quoted)
{
    struct flow *f = quoted->length < 8 ? NULL : flow_of(quoted, u16(quoted->data), u16(quoted->data + 2));
    return f ? numbered(f, u32(quoted->data + 4), u16(quoted->data)) : NULL;
}
