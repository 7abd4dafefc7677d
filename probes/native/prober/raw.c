/* Whole packets from a raw socket: nothing in the kernel keeps state of them, so nothing is sent twice. Such a socket
 * receives nothing (no packet has protocol 255); answers come by the tap. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "prober.h"

void open_raw(struct flow *f)
{
    struct plan_flow *p = f->plan;
    struct sockaddr_storage from;
    socklen_t from_len = address(&from, p, p->src, 0);
    f->to_len = address(&f->to, p, p->dst, 0);
    f->fd = socket(p->family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW); /* header included, raw(7) */
    if (f->fd < 0)
        die("flow %u: raw socket: %s", p->id, strerror(errno));
    use_big_buffers(f->fd);
    if (bind(f->fd, (struct sockaddr *)&from, from_len) < 0)
        die("flow %u: cannot bind its source address: %s", p->id, strerror(errno));
}

ssize_t send_raw(struct flow *f)
{
    return sendto(f->fd, f->packet, f->plan->packet_bytes, MSG_DONTWAIT, (struct sockaddr *)&f->to, f->to_len);
}

static uint32_t sum(uint32_t so_far, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i + 1 < length; i += 2)
        so_far += (uint32_t)(data[i] << 8 | data[i + 1]);
    return length % 2 ? so_far + (uint32_t)(data[length - 1] << 8) : so_far;
}

/* RFC 1071, over the pseudo-header too (ICMP of IPv4 has none); what is in the checksum's own place counts. */
uint16_t transport_checksum(const struct flow *f)
{
    const struct plan_flow *p = f->plan;
    size_t length = (size_t)p->packet_bytes - p->header_at, address_bytes = p->family == AF_INET6 ? 16 : 4;
    uint32_t total = sum(0, f->packet + p->header_at, length);
    if (p->protocol != IPPROTO_ICMP)
        total = sum(sum(total, p->src, address_bytes), p->dst, address_bytes) + (uint32_t)length + p->protocol;
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return htons((uint16_t)~total);
}
