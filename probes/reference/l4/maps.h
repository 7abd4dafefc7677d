/* What the L4 program and its agent share: structs, maps, counters. It knows no packets. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../bpf/drops.h"

#define RING_SIZE 65537       /* prime; l4/maglev.py has the same */
#define MAX_SERVICES 32       /* bits of backend.serves and .takes */
#define MAX_BACKENDS 4096
#define FLOW_BUCKETS (1 << 16)
#define WAYS 8
#define TRIAL (WAYS - 1)      /* the way that opening packets write, and others where no way is free */
#define NO_BACKEND 0xffff

/* The compiler knows the range of a remainder and drops a bounds check behind it; the verifier does not know and wants it. */
#define HIDE_RANGE(x) asm volatile("" : "+r"(x))

/* Sentences for these are in l4/counters.py, in the same order. The DROP_ ones are the reasons to drop, and have no gap. */
enum counter {
	RECEIVED, FORWARDED, PINNED, HASHED, REHASHED, PROMOTED, TO_STACK,
	DROP_NO_BACKEND, DROP_NO_ROUTE, DROP_TOO_BIG, DROP_FRAGMENT, DROP_OPTIONS, DROP_EXTENSION, DROP_NOT_SERVED,
	DROP_MALFORMED, PINGS, ICMP_ERRORS,
	COUNTERS,
};

/* Network order; IPv4 as ::ffff:a.b.c.d, so that both families share maps and hash. */
struct address { __u32 word[4]; };

struct service_key {
	struct address vip;
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

struct flow {
	struct address source, destination;
	__be16 source_port, destination_port;
	__u32 protocol;
};

struct backend {
	struct address address;
	__u32 generation;     /* 1..255; another one when the slot is given to another backend */
	__u32 serves;         /* bit per service: healthy for it, keeps the flows it has */
	__u32 takes;          /* bit per service: gets new flows, too */
};

struct ring { __u16 slot[RING_SIZE]; };

/* A way is tag:40 | generation:8 | backend:16; 0 is empty. */
struct bucket { __u64 way[WAYS]; } __attribute__((aligned(64)));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct address);
} tunnel_source SEC(".maps");

/* The VIP's first service, whose ring chooses who answers pings. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct address);
	__type(value, __u32);
} vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SERVICES);
	__type(key, struct service_key);
	__type(value, __u32);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 1);
		__uint(key_size, sizeof(__u32));
		__uint(value_size, sizeof(struct ring));
	});
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOW_BUCKETS);
	__type(key, __u32);
	__type(value, struct bucket);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* When the last packet to any VIP came, CLOCK_MONOTONIC, in nanoseconds: what ends a drain. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} last_packet SEC(".maps");

static __always_inline void count(__u32 which)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &which);

	if (value)
		*value += 1;
}

/* `six`: the packet is IPv6. Its own call, so that packets that go on never run through any of it. */
static __noinline int drop(struct xdp_md *ctx, bool six, __u32 why)
{
	count(why);
	remember_drop(ctx, sizeof(struct ethhdr), six, why - DROP_NO_BACKEND);
	return XDP_DROP;
}
