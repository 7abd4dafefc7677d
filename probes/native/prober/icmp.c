/* ICMP probes: echo requests of one identifier per flow, so that routers hash all of a flow alike. */
#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include "prober.h"

static ssize_t send_icmp(struct flow *f, uint64_t seq, int64_t due_ns)
{
    struct plan_flow *p = f->plan;
    uint8_t *head = f->packet + p->header_at, *payload = f->packet + p->payload_at;
    uint64_t wire_seq = htobe64(seq), wire_due = htobe64((uint64_t)due_ns);
    uint16_t number = htons((uint16_t)seq), check = 0;
    memcpy(payload + 8, &wire_seq, 8);
    memcpy(payload + 16, &wire_due, 8);
    memcpy(head + 6, &number, 2);
    memcpy(head + 2, &check, 2);
    check = transport_checksum(f);
    memcpy(head + 2, &check, 2);
    return send_raw(f);
}

const struct transport icmp = {open_raw, send_icmp, NULL};

static struct flow *flow_of(const struct sight *s)
{
    uint16_t identifier = (uint16_t)(s->data[4] << 8 | s->data[5]);
    for (uint32_t i = 0; i < flow_count; i++)
        if (flows[i].transport == &icmp && flows[i].plan->sport == identifier && between(&flows[i], s))
            return &flows[i];
    return NULL;
}

void icmp_echo_seen(const struct sight *s)
{
    struct flow *f = s->length < 8 ? NULL : flow_of(s);
    if (f)
        take_payload(f, s->data + 8, s->length - 8, s->at, true);
}

struct record *icmp_quoted(const struct sight *quoted)
{
    struct flow *f = quoted->length < 8 ? NULL : flow_of(quoted);
    if (!f || !f->status->next_seq)
        return NULL;
    uint64_t last = f->status->next_seq - 1, number = (uint64_t)(quoted->data[6] << 8 | quoted->data[7]);
    uint64_t back = (last - number) & 0xffff;
    return back > last ? NULL : sent_record(f, last - back);
}
