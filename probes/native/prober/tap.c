/* Reads the answers to whole packets from packet sockets, one per IP version, which a classic BPF filter keeps free of all
 * that cannot be one: segments with SYN or RST to our ports, echo replies with our identifiers, ICMP errors. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/ip.h>
#include <string.h>

#include "prober.h"

#define DROP BPF_STMT(BPF_RET | BPF_K, 0)
#define TAKE BPF_STMT(BPF_RET | BPF_K, 0xffff)
#define EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define ANY_OF(bits, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, yes, no)
#define AT_LEAST(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, value, yes, no)
#define ABOVE(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, value, yes, no)
#define BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at)
#define HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at)
#define X_BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_IND, at)
#define X_HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_IND, at)
#define X_IS_HEADER_LENGTH BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0)

static int tap4 = -1, tap6 = -1;

struct range {
    uint32_t low, high; /* empty while low > high */
};

static struct range range_of(uint16_t family, bool of_tcp)
{
    struct range r = {0xffff, 0};
    for (uint32_t i = 0; i < flow_count; i++) {
        const struct plan_flow *p = flows[i].plan;
        if (p->family != family || p->protocol == IPPROTO_UDP || of_tcp != (p->protocol == IPPROTO_TCP))
            continue;
        uint32_t last = (uint32_t)p->sport + p->ports - 1;
        r.low = p->sport < r.low ? p->sport : r.low;
        r.high = last > r.high ? last : r.high;
    }
    return r;
}

static int open_tap(uint16_t ether_type, struct sock_filter *code, uint16_t count)
{
    struct sock_fprog program = {count, code};
    struct sockaddr_ll from = {.sll_family = AF_PACKET, .sll_protocol = htons(ether_type)};
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); /* protocol 0: deaf until it is bound */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
        die("cannot open a filtered packet socket: %s", strerror(errno));
    use_big_buffers(fd);
    stamp_received(fd);
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
        die("cannot bind a packet socket: %s", strerror(errno));
    return fd;
}

static void open_tap4(struct range ports, struct range identifiers)
{
    struct sock_filter code[] = {
        BYTE(9),
        EQUAL(IPPROTO_TCP, 0, 9),
        HALF(6),
        ANY_OF(IP_OFFMASK, 5, 0),
        X_IS_HEADER_LENGTH,
        X_BYTE(13),
        ANY_OF(0x06 /* SYN, RST */, 0, 2),
        X_HALF(2),
        AT_LEAST(ports.low, 1, 0),
        DROP,
        ABOVE(ports.high, 9, 10),
        EQUAL(IPPROTO_ICMP, 0, 8),
        X_IS_HEADER_LENGTH,
        X_BYTE(0),
        EQUAL(3, 6, 0), /* destination unreachable */
        EQUAL(11, 5, 0), /* time exceeded */
        EQUAL(0, 0, 3), /* echo reply */
        X_HALF(4),
        AT_LEAST(identifiers.low, 0, 1),
        ABOVE(identifiers.high, 0, 1),
        DROP,
        TAKE,
    };
    tap4 = open_tap(ETH_P_IP, code, sizeof(code) / sizeof(*code));
}

static void open_tap6(struct range ports, struct range identifiers)
{
    struct sock_filter code[] = {
        BYTE(6),
        EQUAL(IPPROTO_TCP, 0, 5),
        BYTE(40 + 13),
        ANY_OF(0x06 /* SYN, RST */, 0, 10),
        HALF(40 + 2),
        AT_LEAST(ports.low, 0, 8),
        ABOVE(ports.high, 7, 8),
        EQUAL(IPPROTO_ICMPV6, 0, 6),
        BYTE(40),
        EQUAL(129 /* echo reply */, 0, 3),
        HALF(40 + 4),
        AT_LEAST(identifiers.low, 0, 2),
        ABOVE(identifiers.high, 1, 2),
        AT_LEAST(128 /* below are the errors */, 0, 1),
        DROP,
        TAKE,
    };
    tap6 = open_tap(ETH_P_IPV6, code, sizeof(code) / sizeof(*code));
}

void open_taps(void)
{
    struct range ports4 = range_of(AF_INET, true), ports6 = range_of(AF_INET6, true);
    struct range ids4 = range_of(AF_INET, false), ids6 = range_of(AF_INET6, false);
    if (ports4.low <= ports4.high || ids4.low <= ids4.high)
        open_tap4(ports4, ids4);
    if (ports6.low <= ports6.high || ids6.low <= ids6.high)
        open_tap6(ports6, ids6);
}

bool between(const struct flow *f, const struct sight *s)
{
    size_t bytes = s->family == AF_INET6 ? 16 : 4;
    return f->plan->family == s->family && !memcmp(s->src, f->plan->dst, bytes) && !memcmp(s->dst, f->plan->src, bytes);
}

/* The packet that begins at `data`, its protocol in *protocol; false where too little of it is there. */
static bool look(uint16_t family, const uint8_t *data, size_t length, struct sight *s, uint8_t *protocol)
{
    size_t least = family == AF_INET6 ? 40 : 20, head = family == AF_INET6 ? 40 : length ? (data[0] & 15u) * 4u : 0;
    if (head < least || length < head)
        return false;
    *protocol = family == AF_INET6 ? data[6] : data[9];
    s->family = family;
    s->at.ttl = data[family == AF_INET6 ? 7 : 8];
    s->src = data + (family == AF_INET6 ? 8 : 12);
    s->dst = data + (family == AF_INET6 ? 24 : 16);
    s->data = data + head;
    s->length = length - head;
    return true;
}

/* An ICMP error quotes the head of what it is about: a probe of ours, seen from its other end. */
static void error_seen(const struct sight *error)
{
    struct sight quoted;
    uint8_t protocol;
    if (error->length < 8 || !look(error->family, error->data + 8, error->length - 8, &quoted, &protocol))
        return;
    const uint8_t *src = quoted.src;
    quoted.src = quoted.dst;
    quoted.dst = src;
    struct record *r = protocol == IPPROTO_TCP ? tcp_quoted(&quoted)
        : protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 ? icmp_quoted(&quoted) : NULL;
    if (r && !r->denial && !(r->flags & ANSWERED)) {
        r->icmp_type = error->data[0];
        r->icmp_code = error->data[1];
    }
    if (r)
        deny(r, BY_ICMP, error->at.ns);
}

static void take_packet(void *context, const uint8_t *data, size_t length, const struct sockaddr_storage *from, struct arrival at)
{
    (void)from;
    uint16_t family = *(const uint16_t *)context;
    struct sight s = {.at = at};
    uint8_t protocol;
    if (!look(family, data, length, &s, &protocol) || !s.length)
        return;
    if (protocol == IPPROTO_TCP)
        tcp_seen(&s);
    else if (s.data[0] == (family == AF_INET6 ? 129 : 0))
        icmp_echo_seen(&s);
    else
        error_seen(&s);
}

void drain_taps(void)
{
    static uint16_t v4 = AF_INET, v6 = AF_INET6;
    if (tap4 >= 0)
        drain_socket(tap4, take_packet, &v4);
    if (tap6 >= 0)
        drain_socket(tap6, take_packet, &v6);
}

uint64_t tap_drops(void) { return (tap4 < 0 ? 0 : socket_drops(tap4)) + (tap6 < 0 ? 0 : socket_drops(tap6)); }
