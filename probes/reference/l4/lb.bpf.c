/* The L4 data plane: finds the backend of a packet to a VIP and sends it there in an IPIP tunnel.
 * It must not know who is healthy or announced: the agent writes that into the maps.
 *
 * Every L4 node computes the same hash and holds the same Maglev ring, so a flow that moves to another L4
 * reaches the same backend. A flow table pins what was chosen, so a ring change moves no flow of a living backend.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define RING_SIZE 65537       /* prime; l4/maglev.py has the same */
#define MAX_SERVICES 32       /* bits of backend.serves */
#define MAX_BACKENDS 4096
#define FLOW_BUCKETS (1 << 16)
#define WAYS 8
#define TRIAL (WAYS - 1)      /* the way that opening packets write, and others where no way is free */
#define NO_BACKEND 0xffff
#define IP_MORE_OR_OFFSET 0x3fff
#define IP_DONT_FRAGMENT 0x4000
#define AF_INET_FAMILY 2

/* The compiler knows the range of a remainder and drops a bounds check behind it; the verifier does not know and wants it. */
#define HIDE_RANGE(x) asm volatile("" : "+r"(x))

/* Sentences for these are in l4/counters.py, in the same order. */
enum counter {
	RECEIVED, FORWARDED, PINNED, HASHED, REHASHED, PROMOTED, TO_STACK,
	DROP_NO_BACKEND, DROP_NO_ROUTE, DROP_TOO_BIG, DROP_FRAGMENT, DROP_OPTIONS, DROP_NOT_SERVED, DROP_MALFORMED,
	COUNTERS,
};

/* Network order; IPv4 as ::ffff:a.b.c.d, so that IPv6 needs no other maps. */
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
	__u32 serves;         /* bit per service: healthy for it */
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

static __always_inline int drop(__u32 why)
{
	count(why);
	return XDP_DROP;
}

static __always_inline struct address mapped(__be32 v4)
{
	return (struct address){ .word = { 0, 0, bpf_htonl(0xffff), v4 } };
}

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ (hash >> 29);
}

/* The seed is fixed on purpose: all L4 nodes have to agree. Low 40 bits tag, next 16 bucket; the ring takes the low 32. */
static __always_inline __u64 flow_hash(const struct flow *flow)
{
	const __u64 *word = (const __u64 *)flow;
	__u64 hash = 0x6c62272e07bb0142ULL;

#pragma unroll
	for (int i = 0; i < (int)(sizeof(*flow) / 8); i++)
		hash = mix(hash, word[i]);
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdULL;
	return hash ^ (hash >> 33);
}

/* A flow that was seen again moves out of the trial way, so one-packet floods evict nothing but each other. */
static __always_inline void promote(struct bucket *bucket, __u64 entry, __u64 hash)
{
	__u32 into = (hash >> 56) % TRIAL;

	for (int i = 0; i < TRIAL; i++) {
		if (!bucket->way[i]) {
			into = i;
			break;
		}
	}
	HIDE_RANGE(into);
	bucket->way[into & (WAYS - 1)] = entry;
	bucket->way[TRIAL] = 0;
	count(PROMOTED);
}

static __always_inline struct backend *hashed(__u32 service, __u64 hash, __u32 *id)
{
	__u32 zero = 0, slot = (__u32)hash % RING_SIZE;
	void *inner = bpf_map_lookup_elem(&rings, &service);
	struct ring *ring = inner ? bpf_map_lookup_elem(inner, &zero) : NULL;

	HIDE_RANGE(slot);
	if (!ring || slot >= RING_SIZE)
		return NULL;
	*id = ring->slot[slot];
	return *id == NO_BACKEND ? NULL : bpf_map_lookup_elem(&backends, id);
}

/* The pinned backend if it still serves, else Maglev's choice, which becomes the pin. */
static __always_inline struct backend *choose(__u32 service, __u64 hash, bool opens)
{
	__u32 index = (hash >> 40) & (FLOW_BUCKETS - 1), way = TRIAL, id;
	__u64 tag = hash << 24;
	struct bucket *bucket = bpf_map_lookup_elem(&flows, &index);
	struct backend *backend;

	if (!bucket)
		return NULL;
	for (int i = 0; i < WAYS; i++) {
		__u64 entry = bucket->way[i];

		if (!entry && !opens && way == TRIAL)
			way = i;
		if (!entry || (entry >> 24 << 24) != tag)
			continue;
		id = entry & 0xffff;
		backend = bpf_map_lookup_elem(&backends, &id);
		if (backend && (backend->serves >> (service % MAX_SERVICES) & 1)
		    && (backend->generation & 0xff) == (entry >> 16 & 0xff)) {
			/* A repeated SYN proves nothing: spoofed ones are repeated too. */
			if (i == TRIAL && !opens)
				promote(bucket, entry, hash);
			count(PINNED);
			return backend;
		}
		way = i;
		count(REHASHED);
		break;
	}
	backend = hashed(service, hash, &id);
	if (!backend)
		return NULL;
	HIDE_RANGE(way);
	bucket->way[way & (WAYS - 1)] = tag | (__u64)(backend->generation & 0xff) << 16 | id;
	count(HASHED);
	return backend;
}

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

/* Encapsulates (RFC 2003) and sends. The inner ports choose among equal next hops: the outer header has no entropy. */
static __always_inline int tunnel(struct xdp_md *ctx, const struct flow *flow, const struct iphdr *inner, __be32 to)
{
	__u32 zero = 0;
	struct address *source = bpf_map_lookup_elem(&tunnel_source, &zero);
	struct iphdr outer = {
		.version = 4, .ihl = 5, .tos = inner->tos, .ttl = 64, .protocol = IPPROTO_IPIP,
		.tot_len = bpf_htons(bpf_ntohs(inner->tot_len) + sizeof(outer)),
		.frag_off = inner->frag_off & bpf_htons(IP_DONT_FRAGMENT),
		.saddr = source ? source->word[3] : 0, .daddr = to,
	};
	struct bpf_fib_lookup fib = {
		.family = AF_INET_FAMILY, .l4_protocol = flow->protocol,
		.sport = flow->source_port, .dport = flow->destination_port,
		.tot_len = bpf_ntohs(outer.tot_len), .ifindex = ctx->ingress_ifindex,
		.ipv4_src = outer.saddr, .ipv4_dst = outer.daddr,
	};
	struct ethhdr *eth, *old;
	long found;
	void *end;

	outer.check = header_checksum(&outer);
	found = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (found == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return drop(DROP_TOO_BIG);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return drop(DROP_NO_ROUTE);

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(outer)))
		return drop(DROP_MALFORMED);
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	old = (void *)eth + sizeof(outer);
	if ((void *)(old + 1) > end)
		return drop(DROP_MALFORMED);
	__builtin_memcpy(eth, old, sizeof(*eth));
	__builtin_memcpy(eth + 1, &outer, sizeof(outer));
	if (found == BPF_FIB_LKUP_RET_NO_NEIGH) {
		count(TO_STACK);	/* the stack forwards it and resolves the neighbour (wants accept_local: the source is ours) */
		return XDP_PASS;
	}
	__builtin_memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, fib.smac, ETH_ALEN);
	count(FORWARDED);
	/* Also back out of the same interface: after XDP_TX a veth wakes its peer only if that has an XDP program, too. */
	return bpf_redirect(fib.ifindex, 0);
}

struct ports { __be16 source, destination; };

SEC("xdp")
int balance(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1), inner;
	struct ports *ports = (void *)(ip + 1);
	__u32 zero = 0, *service;
	struct service_key key = {};
	struct flow flow = {};
	struct backend *backend;
	bool opens = false;
	__u64 *seen;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;	/* IPv6 enters here, with the same flow and key */
	flow.source = mapped(ip->saddr);
	flow.destination = mapped(ip->daddr);
	if (!bpf_map_lookup_elem(&vips, &flow.destination))
		return XDP_PASS;

	count(RECEIVED);
	seen = bpf_map_lookup_elem(&last_packet, &zero);
	if (seen)
		*seen = bpf_ktime_get_coarse_ns();
	if (ip->version != 4 || ip->ihl < 5 || bpf_ntohs(ip->tot_len) > end - (void *)ip)
		return drop(DROP_MALFORMED);
	if (ip->ihl != 5)
		return drop(DROP_OPTIONS);
	if (ip->frag_off & bpf_htons(IP_MORE_OR_OFFSET))
		return drop(DROP_FRAGMENT);	/* later fragments have no ports, so none can reach the right backend */
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return drop(DROP_NOT_SERVED);
	if ((void *)(ports + 1) > end)
		return drop(DROP_MALFORMED);
	if (ip->protocol == IPPROTO_TCP) {
		__u8 *flags = (void *)ports + 13;

		if ((void *)(flags + 1) > end)
			return drop(DROP_MALFORMED);
		opens = (*flags & 0x12) == 0x02;	/* SYN without ACK */
	}
	flow.source_port = ports->source;
	flow.destination_port = ports->destination;
	flow.protocol = ip->protocol;
	key.vip = flow.destination;
	key.port = flow.destination_port;
	key.protocol = ip->protocol;
	service = bpf_map_lookup_elem(&services, &key);
	if (!service)
		return drop(DROP_NOT_SERVED);
	backend = choose(*service, flow_hash(&flow), opens);
	if (!backend)
		return drop(DROP_NO_BACKEND);
	inner = *ip;
	return tunnel(ctx, &flow, &inner, backend->address.word[3]);
}

char _license[] SEC("license") = "GPL";	/* bpf_fib_lookup asks for it */
