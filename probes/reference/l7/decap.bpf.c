/* Takes the tunnel's header (IPIP, 6in4) off packets that an L4 node sent here, and hands the inner packet to the stack.
 * It must not know services or clients: only this node's own address and its VIPs.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

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

SEC("xdp")
int decapsulate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data, saved;
	struct iphdr *outer = (void *)(eth + 1), *inner = outer + 1;
	struct ipv6hdr *inner6 = (void *)(outer + 1);
	struct vip_key vip = { .prefix_length = 128 };
	__be32 to;

	if ((void *)(outer + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)
	    || (outer->protocol != IPPROTO_IPIP && outer->protocol != IPPROTO_IPV6))
		return XDP_PASS;
	to = outer->daddr;
	if (!bpf_map_lookup_elem(&tunnel_ends, &to))
		return XDP_PASS;
	if (outer->ihl != 5 || (void *)(inner + 1) > end)
		return XDP_DROP;
	saved = *eth;
	if (outer->protocol == IPPROTO_IPIP) {
		vip.address[2] = bpf_htonl(0xffff);
		vip.address[3] = inner->daddr;
	} else {
		if ((void *)(inner6 + 1) > end)
			return XDP_DROP;
		__builtin_memcpy(vip.address, &inner6->daddr, sizeof(vip.address));
		saved.h_proto = bpf_htons(ETH_P_IPV6);
	}
	if (!bpf_map_lookup_elem(&vips, &vip))
		return XDP_DROP;
	if (bpf_xdp_adjust_head(ctx, sizeof(*outer)))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	*eth = saved;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
