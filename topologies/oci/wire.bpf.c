// Both ends of every link run this at ingress and egress: it makes a veth behave like a wire, cuts it, and taps it.
// It must not know what the frames mean, beyond finding the innermost 5-tuple for a tap.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define NODE_CUT 1  // every link of the node is cut, both directions
#define CUT_OUT 1   // this end's frames do not leave
#define CUT_IN 2    // this end's frames do not arrive
#define TAP 4       // flows over this link are recorded; set at both of its ends
#define TCP_SYN 0x02
#define TCP_RST 0x04

struct end {
  __u32 node;
  __u32 peer;        // the node at the other end
  __u32 peer_index;  // and its interface
  __u32 flags;
};

struct tuple {
  __u8 src[16];
  __u8 dst[16];
  __u16 sport;
  __u16 dport;
  __u16 proto;
  __u16 from;   // interface index of the end that sent it
};

struct seen {
  __u64 frames;  // one that passes the hooks at both ends is counted at both
  __u64 first;   // ktime, ns
  __u64 last;
};

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4096); __type(key, __u32); __type(value, struct end); } ends SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1024); __type(key, __u32); __type(value, __u32); } nodes SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 65536); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct tuple); __type(value, struct seen); } taps SEC(".maps");
// Frames dropped by a cut, by the node that sent them.
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1024); __type(key, __u32); __type(value, __u64); } cut_frames SEC(".maps");
// Flows a tap could not record since its table was full: the instrument's own loss.
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } tap_full SEC(".maps");

static __always_inline int innermost(struct __sk_buff *skb, struct tuple *key) {
  __u32 at = ETH_HLEN;
  __u16 kind = skb->protocol;
#pragma unroll
  for (int depth = 0; depth < 2; depth++) {
    if (kind == bpf_htons(ETH_P_IP)) {
      struct iphdr ip;
      if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip)) return -1;
      at += ip.ihl * 4;
      if (ip.protocol == IPPROTO_IPIP && depth == 0) continue;
      if (ip.protocol == IPPROTO_IPV6 && depth == 0) { kind = bpf_htons(ETH_P_IPV6); continue; }
      if (ip.frag_off & bpf_htons(0x1fff)) return -1;
      __builtin_memset(key->src, 0, 16); __builtin_memset(key->dst, 0, 16);
      __builtin_memcpy(key->src, &ip.saddr, 4); __builtin_memcpy(key->dst, &ip.daddr, 4);
      key->proto = ip.protocol;
      break;
    }
    if (kind == bpf_htons(ETH_P_IPV6)) {
      struct ipv6hdr ip;
      if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip)) return -1;
      at += sizeof ip;
      if (ip.nexthdr == IPPROTO_IPV6 && depth == 0) continue;
      if (ip.nexthdr == IPPROTO_IPIP && depth == 0) { kind = bpf_htons(ETH_P_IP); continue; }
      __builtin_memcpy(key->src, &ip.saddr, 16); __builtin_memcpy(key->dst, &ip.daddr, 16);
      key->proto = ip.nexthdr;
      break;
    }
    return -1;
  }
  __u16 ports[2];
  if (key->proto == IPPROTO_TCP) {
    // A connection is known by what it carries: thousands of SYNs that never become one would fill the table.
    __u8 flags;
    if (bpf_skb_load_bytes(skb, at + 13, &flags, 1) || (flags & (TCP_SYN | TCP_RST))) return -1;
  } else if (key->proto == IPPROTO_ICMP || key->proto == IPPROTO_ICMPV6) {
    // An echo flow has its identifier where others have ports; its answers carry the same.
    __u8 type;
    __u16 id;
    if (bpf_skb_load_bytes(skb, at, &type, 1) || (type != 8 && type != 0 && type != 128 && type != 129)) return -1;
    if (bpf_skb_load_bytes(skb, at + 4, &id, sizeof id)) return -1;
    key->sport = key->dport = id;
    return 0;
  } else if (key->proto != IPPROTO_UDP) {
    return -1;
  }
  if (bpf_skb_load_bytes(skb, at, ports, sizeof ports)) return -1;
  key->sport = ports[0];
  key->dport = ports[1];
  return 0;
}

static __always_inline void tap(struct __sk_buff *skb, __u32 from) {
  struct tuple key = {.from = from};
  if (innermost(skb, &key)) return;
  __u64 now = bpf_ktime_get_ns();
  struct seen *old = bpf_map_lookup_elem(&taps, &key);
  if (!old) {
    struct seen fresh = {.frames = 1, .first = now, .last = now};
    if (bpf_map_update_elem(&taps, &key, &fresh, BPF_ANY)) {
      __u32 zero = 0;
      __u64 *full = bpf_map_lookup_elem(&tap_full, &zero);
      if (full) __sync_fetch_and_add(full, 1);
    }
    return;
  }
  __sync_fetch_and_add(&old->frames, 1);
  old->last = now;
}

static __always_inline int wire(struct __sk_buff *skb, int sending) {
  bpf_set_hash_invalid(skb);  // a wire carries no socket's hash: the next router hashes the packet itself
  __u32 index = skb->ifindex;
  struct end *end = bpf_map_lookup_elem(&ends, &index);
  if (!end) return TC_ACT_UNSPEC;
  __u32 here = end->node, there = end->peer;
  __u32 *mine = bpf_map_lookup_elem(&nodes, &here), *theirs = bpf_map_lookup_elem(&nodes, &there);
  if (!mine || !theirs) return TC_ACT_UNSPEC;
  if (((*mine | *theirs) & NODE_CUT) || (end->flags & (sending ? CUT_OUT : CUT_IN))) {
    __u32 sender = sending ? here : there;
    __u64 *dropped = bpf_map_lookup_elem(&cut_frames, &sender);
    if (dropped) __sync_fetch_and_add(dropped, 1);
    return TC_ACT_SHOT;
  }
  // Watched at both ends: frames that a node's XDP program takes or sends never pass that node's own hooks.
  if (end->flags & TAP) tap(skb, sending ? index : end->peer_index);
  return TC_ACT_UNSPEC;
}

SEC("tc") int wire_in(struct __sk_buff *skb) { return wire(skb, 0); }
SEC("tc") int wire_out(struct __sk_buff *skb) { return wire(skb, 1); }

char LICENSE[] SEC("license") = "GPL";
