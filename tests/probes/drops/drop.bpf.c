// Gives up every UDP datagram to port 7, in the ways that a program can.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

static __always_inline int is_it(void *data, void *end) {
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  struct ipv6hdr *ip6 = (void *)(eth + 1);
  if ((void *)(ip + 1) > end) return 0;
  int six = eth->h_proto == bpf_htons(ETH_P_IPV6);
  if (six && (void *)(ip6 + 1) > end) return 0;
  struct udphdr *udp = six ? (void *)(ip6 + 1) : (void *)(ip + 1);
  if ((void *)(udp + 1) > end || (six ? ip6->nexthdr : ip->protocol) != IPPROTO_UDP) return 0;
  return udp->dest == bpf_htons(7);
}

SEC("xdp") int xdp_drop(struct xdp_md *ctx) { return is_it((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_DROP : XDP_PASS; }
SEC("xdp") int xdp_aborted(struct xdp_md *ctx) { return is_it((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_ABORTED : XDP_PASS; }
SEC("tc") int tc_drop(struct __sk_buff *skb) { return is_it((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_SHOT : TC_ACT_UNSPEC; }

char LICENSE[] SEC("license") = "GPL";
