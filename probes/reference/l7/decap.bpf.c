/* Takes the tunnel's header (IPIP, 6in4) off packets that an L4 node sent here, and hands the inner packet to the stack.
 * It must not know services or clients: only this node's own address, its VIPs, and who is next in its region.
 *
 * A second chance: a packet of a TCP connection that nobody here knows goes on to the next L7 node, and so once around the
 * region. So a connection lives as long as its own L7 node does, whatever an L4 node has forgotten or ranks otherwise.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "../bpf/drops.h"

/* Why a packet is dropped; words for these are in l7/attach.py, in the same order. */
enum reason { DROP_OPTIONS, DROP_MALFORMED, DROP_NOT_SERVED };

/* This node's own addresses: where tunnels end. Network order. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __be32);
	__type(value, __u32);
} tunnel_ends SEC(".maps");

/* Prefix length of 0..128; IPv4 addresses as ::ffff:a.b.c.d. Network order. */
struct vip_key { __u32 prefix_length; __be32 address[4]; };

/* The prefixes that may come out of a tunnel; anything else inside one is dropped. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 256);
	__type(key, struct vip_key);
	__type(value, __u32);
} vips SEC(".maps");

#define AF_INET_FAMILY 2

/* The next L7 node of the region in an order that all of them share, and the last one before it is this node's turn again; none
 * where `address` is 0. */
struct next { __be32 address, last; };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct next);
} next_node SEC(".maps");

/* The other L7 nodes of the region. Network order. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __be32);
	__type(value, __u32);
} others SEC(".maps");

/* Packets that were passed on. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} passed_on SEC(".maps");

static __always_inline __u16 header_checksum(const struct iphdr *ip)
{
	const __u16 *half = (const __u16 *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < (int)sizeof(*ip) / 2; i++)
		sum += half[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Whether this node has a connection of these ends, in whatever state. A socket that only listens has none, except that a
 * packet may prove one with a SYN cookie, of which nothing was kept. */
static __always_inline bool connected(struct xdp_md *ctx, struct bpf_sock_tuple *ends, __u32 size, void *ip, __u32 ip_size,
				      struct tcphdr *tcp)
{
	struct bpf_sock *found = bpf_skc_lookup_tcp(ctx, ends, size, BPF_F_CURRENT_NETNS, 0);
	bool connection;

	if (!found)
		return false;
	connection = found->state != BPF_TCP_LISTEN || !bpf_tcp_check_syncookie(found, ip, ip_size, tcp, sizeof(*tcp));
	bpf_sk_release(found);
	return connection;
}

/* Whether the inner packet belongs to a TCP connection that this node does not have. One that opens a connection never does. */
static __always_inline bool stranger(struct xdp_md *ctx, struct iphdr *outer, void *end)
{
	struct iphdr *inner = outer + 1;
	struct ipv6hdr *inner6 = (void *)(outer + 1);
	struct bpf_sock_tuple ends = {};
	struct tcphdr *tcp;

	if (outer->protocol == IPPROTO_IPIP) {
		tcp = (void *)(inner + 1);
		if ((void *)(tcp + 1) > end || inner->ihl != 5 || inner->protocol != IPPROTO_TCP || (tcp->syn && !tcp->ack))
			return false;
		ends.ipv4.saddr = inner->saddr;
		ends.ipv4.daddr = inner->daddr;
		ends.ipv4.sport = tcp->source;
		ends.ipv4.dport = tcp->dest;
		return !connected(ctx, &ends, sizeof(ends.ipv4), inner, sizeof(*inner), tcp);
	}
	tcp = (void *)(inner6 + 1);
	if ((void *)(tcp + 1) > end || inner6->nexthdr != IPPROTO_TCP || (tcp->syn && !tcp->ack))
		return false;
	__builtin_memcpy(ends.ipv6.saddr, &inner6->saddr, sizeof(ends.ipv6.saddr));
	__builtin_memcpy(ends.ipv6.daddr, &inner6->daddr, sizeof(ends.ipv6.daddr));
	ends.ipv6.sport = tcp->source;
	ends.ipv6.dport = tcp->dest;
	return !connected(ctx, &ends, sizeof(ends.ipv6), inner6, sizeof(*inner6), tcp);
}

/* Sends the tunnel on to the next node, by this node's own routes. Who passes on first puts the last node's address where the L4
 * node's was: so the others know that the packet is on its way around, and where that ends. (A field of the header that routers
 * write anew would not do: the identification is one, where they put segments together and apart again. Nor would this node's
 * own address: its stack takes no packet from itself.) A node without a route is no chance: the connection is over, and its client
 * is told so.
 */
static __always_inline bool pass_on(struct xdp_md *ctx, struct iphdr *outer)
{
	__u32 zero = 0;
	__be32 from = outer->saddr;
	struct next *next = bpf_map_lookup_elem(&next_node, &zero);
	struct bpf_fib_lookup fib = { .family = AF_INET_FAMILY, .ifindex = ctx->ingress_ifindex };
	__u64 *passed;
	long found;

	if (!next || !next->address || bpf_map_lookup_elem(&tunnel_ends, &from))
		return false;	/* none, or this is the last one */
	if (!bpf_map_lookup_elem(&others, &from))
		from = next->last;
	fib.ipv4_src = from;
	fib.ipv4_dst = next->address;
	found = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return false;
	outer->saddr = from;
	outer->daddr = next->address;
	outer->check = 0;
	outer->check = header_checksum(outer);
	passed = bpf_map_lookup_elem(&passed_on, &zero);
	if (passed)
		__sync_fetch_and_add(passed, 1);
	return true;
}

/* A packet in a tunnel whose own header is `header` bytes long. */
static __noinline int drop(struct xdp_md *ctx, __u32 header, bool six, __u32 why)
{
	remember_drop(ctx, sizeof(struct ethhdr) + header, six, why);
	return XDP_DROP;
}

SEC("xdp")
int decapsulate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data, saved;
	struct iphdr *outer = (void *)(eth + 1), *inner = outer + 1;
	struct ipv6hdr *inner6 = (void *)(outer + 1);
	struct vip_key vip = { .prefix_length = 128 };
	bool six;
	__be32 to;

	if ((void *)(outer + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)
	    || (outer->protocol != IPPROTO_IPIP && outer->protocol != IPPROTO_IPV6))
		return XDP_PASS;
	to = outer->daddr;
	if (!bpf_map_lookup_elem(&tunnel_ends, &to))
		return XDP_PASS;
	six = outer->protocol == IPPROTO_IPV6;
	if (outer->ihl != 5)
		return drop(ctx, outer->ihl * 4, six, DROP_OPTIONS);	/* no L4 node sends any */
	if ((void *)(inner + 1) > end)
		return drop(ctx, sizeof(*outer), six, DROP_MALFORMED);
	saved = *eth;
	if (!six) {
		vip.address[2] = bpf_htonl(0xffff);
		vip.address[3] = inner->daddr;
	} else {
		if ((void *)(inner6 + 1) > end)
			return drop(ctx, sizeof(*outer), six, DROP_MALFORMED);
		__builtin_memcpy(vip.address, &inner6->daddr, sizeof(vip.address));
		saved.h_proto = bpf_htons(ETH_P_IPV6);
	}
	if (!bpf_map_lookup_elem(&vips, &vip))
		return drop(ctx, sizeof(*outer), six, DROP_NOT_SERVED);
	if (stranger(ctx, outer, end) && pass_on(ctx, outer))
		return XDP_PASS;	/* the stack forwards it */
	if (bpf_xdp_adjust_head(ctx, sizeof(*outer)))
		return XDP_ABORTED;	/* never: an inner header is behind it */
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;	/* never, either */
	*eth = saved;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
