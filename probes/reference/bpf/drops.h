/* Remembers what a program drops, by flow and reason, until its agent has told of it. It must not know any reason's meaning.
 *
 * Two tables in turn: the program writes into one while the agent reads and empties the other, so no count is lost between.
 * All of this runs for packets that are dropped; those that go on pay nothing for it.
 */
#pragma once
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define DROP_FLOWS 2048       /* of each table; node/drop_maps.py has the same */
#define DROP_REASONS 16       /* the same there */
#define DROP_HEADERS 6        /* IPv6 extension headers that are looked behind */

/* Of the packet itself, as far as it can be read. Network order; IPv4 as ::ffff:a.b.c.d; an echo request's identifier is its
 * source port. */
struct drop_key {
	__u8 source[16], destination[16];
	__be16 source_port, destination_port;
	__u8 protocol, reason;
	__u16 zero;
};

/* CLOCK_MONOTONIC, of the first and the last packet. */
struct drop_sum { __u64 count, first_ns, last_ns; };

struct drop_table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DROP_FLOWS);
	__type(key, struct drop_key);
	__type(value, struct drop_sum);
} drops_even SEC(".maps"), drops_odd SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct drop_table);
} drops SEC(".maps") = { .values = { &drops_even, &drops_odd } };

/* Which of the two is being written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} drops_into SEC(".maps");

/* Drops whose flow found no room, by table and reason. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2 * DROP_REASONS);
	__type(key, __u32);
	__type(value, struct drop_sum);
} drops_unlisted SEC(".maps");

/* All drops ever: whether it moved is all that the agent looks at while nothing is dropped. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} drops_seen SEC(".maps");

static __always_inline bool drop_is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS
	       || protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH || protocol == IPPROTO_MH;
}

/* Both return where the upper layer begins, or 0 where it is not in this packet. */

static __always_inline __u32 drop_read4(struct xdp_md *ctx, __u32 at, struct drop_key *key)
{
	struct iphdr ip;

	if (bpf_xdp_load_bytes(ctx, at, &ip, sizeof(ip)))
		return 0;
	key->source[10] = key->source[11] = key->destination[10] = key->destination[11] = 0xff;
	__builtin_memcpy(key->source + 12, &ip.saddr, 4);
	__builtin_memcpy(key->destination + 12, &ip.daddr, 4);
	key->protocol = ip.protocol;
	return ip.frag_off & bpf_htons(0x1fff) ? 0 : at + ip.ihl * 4;
}

static __always_inline __u32 drop_read6(struct xdp_md *ctx, __u32 at, struct drop_key *key)
{
	struct { __u8 next, length; __be16 fragment; } header;
	struct ipv6hdr ip;

	if (bpf_xdp_load_bytes(ctx, at, &ip, sizeof(ip)))
		return 0;
	__builtin_memcpy(key->source, &ip.saddr, 16);
	__builtin_memcpy(key->destination, &ip.daddr, 16);
	key->protocol = ip.nexthdr;
	at += sizeof(ip);
	for (int i = 0; i < DROP_HEADERS && drop_is_extension(key->protocol); i++) {
		__u8 kind = key->protocol;

		if (bpf_xdp_load_bytes(ctx, at, &header, sizeof(header)))
			return 0;
		key->protocol = header.next;
		if (kind == IPPROTO_FRAGMENT && header.fragment & bpf_htons(0xfff8))
			return 0;
		/* RFC 8200, 4; RFC 4302, 2.2 */
		at += kind == IPPROTO_FRAGMENT ? 8 : kind == IPPROTO_AH ? (header.length + 2) * 4 : (header.length + 1) * 8;
	}
	return at;
}

static __always_inline void drop_read_ports(struct xdp_md *ctx, __u32 at, struct drop_key *key)
{
	__be16 half[4] = {};

	if (key->protocol == IPPROTO_TCP || key->protocol == IPPROTO_UDP) {
		if (!bpf_xdp_load_bytes(ctx, at, half, 4)) {
			key->source_port = half[0];
			key->destination_port = half[1];
		}
	} else if (key->protocol == IPPROTO_ICMP || key->protocol == IPPROTO_ICMPV6) {
		__u8 echo = key->protocol == IPPROTO_ICMP ? 8 : 128;

		if (!bpf_xdp_load_bytes(ctx, at, half, 8) && *(__u8 *)half == echo)
			key->source_port = half[2];
	}
}

static __always_inline void drop_add(struct drop_sum *sum, __u64 now)
{
	if (!sum->first_ns)
		sum->first_ns = now;
	sum->last_ns = now;
	__sync_fetch_and_add(&sum->count, 1);
}

/* Of the packet whose IP header is `at` bytes behind the frame's beginning. `reason` is below DROP_REASONS. */
static __noinline int remember_drop(struct xdp_md *ctx, __u32 at, bool six, __u32 reason)
{
	struct drop_key key = { .reason = reason };
	__u64 now = bpf_ktime_get_ns();
	struct drop_sum fresh = { .count = 1, .first_ns = now, .last_ns = now }, *sum;
	__u32 zero = 0, *into = bpf_map_lookup_elem(&drops_into, &zero), turn = into ? *into : 0;
	__u64 *seen = bpf_map_lookup_elem(&drops_seen, &zero);
	void *table = bpf_map_lookup_elem(&drops, &turn);

	if (!table || !seen)
		return 0;
	*seen += 1;
	at = six ? drop_read6(ctx, at, &key) : drop_read4(ctx, at, &key);
	if (at)
		drop_read_ports(ctx, at, &key);
	sum = bpf_map_lookup_elem(table, &key);
	if (!sum) {
		if (!bpf_map_update_elem(table, &key, &fresh, BPF_NOEXIST))
			return 0;
		sum = bpf_map_lookup_elem(table, &key);	/* another CPU was quicker, or there is no room */
	}
	if (!sum) {
		turn = turn * DROP_REASONS + reason;
		sum = bpf_map_lookup_elem(&drops_unlisted, &turn);
	}
	if (sum)
		drop_add(sum, now);
	return 0;
}
