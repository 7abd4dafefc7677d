/* What an answer means for the probe it answers. Every probe has one answer, the first; the rest are duplicates. */
#include <endian.h>
#include <string.h>

#include "prober.h"

struct record *sent_record(struct flow *f, uint64_t seq)
{
    struct record *r = &f->ring[seq % capacity];
    return r->seq == seq && (r->flags & WRITTEN) ? r : NULL;
}

bool is_first_answer(struct record *r)
{
    if (!(r->flags & ANSWERED) && !r->denial)
        return true;
    r->flags |= DUPLICATE;
    header->duplicates++;
    return false;
}

static int backend_of(const uint8_t *name, size_t length)
{
    return name_index(header->names, &header->name_count, &header->names_overflow, name, length);
}

/* An echoed payload, the answering backend's name perhaps behind it. `intact`: so was what stood before it. */
void take_payload(struct flow *f, const uint8_t *data, size_t length, struct arrival at, bool intact)
{
    const uint8_t *probe = f->packet + f->plan->payload_at;
    size_t whole = (size_t)f->plan->packet_bytes - f->plan->payload_at;
    uint64_t seq, due;
    if (length < PAYLOAD_HEAD || memcmp(data, probe, 8)) {
        header->foreign++;
        return;
    }
    memcpy(&seq, data + 8, 8);
    memcpy(&due, data + 16, 8);
    struct record *r = sent_record(f, be64toh(seq));
    if (!r || r->due_ns != (int64_t)be64toh(due)) {
        header->foreign++;
        return;
    }
    if (!is_first_answer(r))
        return;
    int backend = length < whole ? -1 : backend_of(data + whole, length - whole);
    intact = intact && backend >= 0 && !memcmp(data + PAYLOAD_HEAD, probe + PAYLOAD_HEAD, whole - PAYLOAD_HEAD);
    r->rx_ns = at.ns;
    r->ttl = at.ttl;
    r->backend = (uint8_t)(backend >= 0 ? backend : NO_BACKEND);
    r->flags |= intact ? ANSWERED : (ANSWERED | CORRUPT);
    header->received++;
    header->corrupt += !intact;
}

void deny(struct record *r, enum denial how, int64_t stamp_ns)
{
    if (!is_first_answer(r))
        return;
    r->rx_ns = stamp_ns;
    r->denial = (uint8_t)how;
    header->denied++;
}
