/* UDP probes: one socket per flow, bound to its source and never connected: a connected one carries a random hash over
 * veth, and routers would use that instead of the 5-tuple. */
#include <endian.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "prober.h"

/* Where in the packet the datagram's data begin; what stands between there and the payload is the template's. */
static size_t data_at(const struct flow *f) { return f->plan->header_at + sizeof(struct udphdr); }

static void open_udp(struct flow *f)
{
    struct plan_flow *p = f->plan;
    struct sockaddr_storage from;
    socklen_t from_len = address(&from, p, p->src, p->sport);
    f->to_len = address(&f->to, p, p->dst, p->dport);
    f->fd = socket(p->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (f->fd < 0)
        die("flow %u: socket: %s", p->id, strerror(errno));
    if (p->family == AF_INET6) {
        set_int(f, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        set_int(f, IPPROTO_IPV6, IPV6_TCLASS, p->tos);
        set_int(f, IPPROTO_IPV6, IPV6_UNICAST_HOPS, p->ttl);
        set_int(f, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
        set_int(f, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE); /* never in pieces, whatever a router says of the path */
        set_int(f, IPPROTO_IPV6, 70 /* IPV6_AUTOFLOWLABEL: routers may hash on the label */, 0);
    } else {
        set_int(f, IPPROTO_IP, IP_TOS, p->tos);
        set_int(f, IPPROTO_IP, IP_TTL, p->ttl);
        set_int(f, IPPROTO_IP, IP_RECVTTL, 1);
        set_int(f, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    }
    use_big_buffers(f->fd);
    if (bind(f->fd, (struct sockaddr *)&from, from_len) < 0)
        die("flow %u: cannot bind its source address, port %u: %s", p->id, p->sport, strerror(errno));
}

static ssize_t send_udp(struct flow *f, uint64_t seq, int64_t due_ns)
{
    uint8_t *payload = f->packet + f->plan->payload_at, *data = f->packet + data_at(f);
    uint64_t wire_seq = htobe64(seq), wire_due = htobe64((uint64_t)due_ns);
    memcpy(payload + 8, &wire_seq, 8);
    memcpy(payload + 16, &wire_due, 8);
    return sendto(f->fd, data, f->packet + f->plan->packet_bytes - data, MSG_DONTWAIT, (struct sockaddr *)&f->to, f->to_len);
}

static bool same_end(const struct flow *f, const struct sockaddr_storage *from)
{
    if (f->to.ss_family != from->ss_family)
        return false;
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const void *)&f->to, *b = (const void *)from;
        return a->sin6_port == b->sin6_port && !memcmp(&a->sin6_addr, &b->sin6_addr, 16);
    }
    const struct sockaddr_in *a = (const void *)&f->to, *b = (const void *)from;
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static void take_udp(void *context, const uint8_t *data, size_t length, const struct sockaddr_storage *from, struct arrival at)
{
    struct flow *f = context;
    size_t before = f->plan->payload_at - data_at(f);
    if (same_end(f, from) && length >= before)
        take_payload(f, data + before, length - before, at, !memcmp(data, f->packet + data_at(f), before));
    else
        header->foreign++;
}

static void receive_udp(struct flow *f) { drain_socket(f->fd, take_udp, f); }

const struct transport udp = {open_udp, send_udp, receive_udp};
