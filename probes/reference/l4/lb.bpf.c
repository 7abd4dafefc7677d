/* The L4 data plane: finds the backend of a packet to a VIP and sends it there in a tunnel over IPv4 (IPIP, 6in4).
 * It must not know who is healthy or announced: the agent writes that into the maps.
 *
 * Every L4 node computes the same hash and holds the same Maglev ring, so a flow that moves to another L4
 * reaches the same backend. A flow table pins what was chosen, so a ring change moves no flow of a living backend.
 */
#include "maps.h"
#include "parse.h"

#define AF_INET_FAMILY 2

/* The compiler knows the range of a remainder and drops a bounds check behind it; the verifier does not know and wants it. */
#define HIDE_RANGE(x) asm volatile("" : "+r"(x))

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

/* The pinned backend if it still serves, else Maglev's choice, which becomes the pin. An error report never pins. What opens
 * a connection has the ports of an older one by chance: it does not follow its pin to a backend that is being drained. */
static __always_inline struct backend *choose(__u32 service, __u64 hash, bool opens, bool error)
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
		    && (backend->generation & 0xff) == (entry >> 16 & 0xff)
		    && (!opens || backend->takes >> (service % MAX_SERVICES) & 1)) {
			/* A repeated SYN proves nothing: spoofed ones are repeated too. */
			if (i == TRIAL && !opens && !error)
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
	count(HASHED);
	if (error)
		return backend;
	HIDE_RANGE(way);
	bucket->way[way & (WAYS - 1)] = tag | (__u64)(backend->generation & 0xff) << 16 | id;
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

/* Encapsulates (RFC 2003, RFC 4213) and sends. The inner ports choose among equal next hops: the outer header has no entropy. */
static __always_inline int tunnel(struct xdp_md *ctx, const struct packet *packet, __be32 to)
{
	__u32 zero = 0;
	bool six = packet->inside == IPPROTO_IPV6;
	struct address *source = bpf_map_lookup_elem(&tunnel_source, &zero);
	struct iphdr outer = {
		.version = 4, .ihl = 5, .tos = packet->tos, .ttl = 64, .protocol = packet->inside,
		.tot_len = bpf_htons(packet->length + sizeof(outer)),
		.frag_off = packet->whole ? bpf_htons(IP_DONT_FRAGMENT) : 0,
		.saddr = source ? source->word[3] : 0, .daddr = to,
	};
	struct bpf_fib_lookup fib = {
		.family = AF_INET_FAMILY, .l4_protocol = packet->flow.protocol,
		.sport = packet->flow.source_port, .dport = packet->flow.destination_port,
		.tot_len = bpf_ntohs(outer.tot_len), .ifindex = ctx->ingress_ifindex,
		.ipv4_src = outer.saddr, .ipv4_dst = outer.daddr,
	};
	struct ethhdr *eth, *old;
	long found;
	void *end;

	outer.check = header_checksum(&outer);
	found = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (found == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return drop(ctx, six, DROP_TOO_BIG);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return drop(ctx, six, DROP_NO_ROUTE);

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(outer)))
		return drop(ctx, six, DROP_MALFORMED);
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	old = (void *)eth + sizeof(outer);
	if ((void *)(old + 1) > end)
		return XDP_ABORTED;	/* never: the packet only grew */
	__builtin_memcpy(eth, old, sizeof(*eth));
	eth->h_proto = bpf_htons(ETH_P_IP);
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

static __always_inline __u32 *service_of(const struct packet *packet, __u32 *first)
{
	struct service_key key = {
		.vip = packet->flow.destination, .port = packet->flow.destination_port, .protocol = packet->flow.protocol,
	};

	return packet->ping ? first : bpf_map_lookup_elem(&services, &key);
}

SEC("xdp")
int balance(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	struct packet packet = {};
	__u32 zero = 0, why, *first, *service;
	struct backend *backend;
	bool six;
	__u64 *seen;

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	six = eth->h_proto == bpf_htons(ETH_P_IPV6);
	if (six) {
		if ((void *)(ip6 + 1) > end)
			return XDP_PASS;
		packet.flow.source = address6(&ip6->saddr);
		packet.flow.destination = address6(&ip6->daddr);
	} else if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		packet.flow.source = mapped(ip->saddr);
		packet.flow.destination = mapped(ip->daddr);
	} else {
		return XDP_PASS;
	}
	first = bpf_map_lookup_elem(&vips, &packet.flow.destination);
	if (!first)
		return XDP_PASS;

	count(RECEIVED);
	seen = bpf_map_lookup_elem(&last_packet, &zero);
	if (seen)
		*seen = bpf_ktime_get_coarse_ns();
	why = six ? parse6(&packet, ip6, end) : parse4(&packet, ip, end);
	if (why)
		return drop(ctx, six, why);
	service = service_of(&packet, first);
	if (!service)
		return drop(ctx, six, DROP_NOT_SERVED);
	if (packet.ping)
		count(PINGS);
	if (packet.error)
		count(ICMP_ERRORS);
	backend = choose(*service, flow_hash(&packet.flow), packet.opens, packet.error);
	if (!backend)
		return drop(ctx, six, DROP_NO_BACKEND);
	return tunnel(ctx, &packet, backend->address.word[3]);
}

char _license[] SEC("license") = "GPL";	/* bpf_fib_lookup asks for it */
