// Both ends of every link run this at ingress and egress: it makes a veth behave like a wire, cuts it, impairs it, taps it, and
// hands over what routers tell each other. It must not know what the frames mean, beyond the 5-tuple and what is not news.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "sights.h"

#define NODE_CUT 1  // every link of the node is cut, both directions
#define CUT_OUT 1   // this end's frames do not leave
#define CUT_IN 2    // this end's frames do not arrive
#define TAP 4       // flows over this link are recorded; set at both of its ends
#define IMPAIR_OUT 8   // this end's sending hook impairs
#define IMPAIR_IN 16   // its receiving hook does
#define SIGHT 32       // probes over this link are noted one by one; set at both of its ends
#define HOPS 64        // some probes are stamped by the hooks of this end
#define CAME_BACK 0x6e6f7370  // mark of a frame that was in the wire in user space; as in impair/splice.bpf.c
#define COPY 0x6e6f7371       // mark of a duplicate, which is not impaired again
#define TCP_SYN 0x02
#define TCP_ACK 0x10
#define TCP_RST 0x04

#define BFD_PORT 3784
#define BFD_MULTIHOP_PORT 4784
#define BGP_PORT 179
#define BFD_UP 3
#define BGP_KEEPALIVE 4
#define BGP_HEADER 19   // a KEEPALIVE is nothing but a header
#define HEARD_MOST 4096 // the longest BGP message (RFC 4271)

struct end {
  __u32 node;
  __u32 peer;        // the node at the other end
  __u32 peer_index;  // and its end
  __u32 flags;
};

struct tuple {
  __u8 src[16];
  __u8 dst[16];
  __u16 sport;
  __u16 dport;
  __u16 proto;
  __u16 from;   // number of the end that sent it
};

struct seen {
  __u64 frames;  // one that passes the hooks at both ends is counted at both
  __u64 first;   // ktime, ns
  __u64 last;
};

// What a hook does to frames. Lots are drawn against shares of 2^32.
struct impairment {
  __u64 loss;
  __u64 corruption;
  __u64 duplication;
  __u64 detour;  // index of the tap that frames go through first, or 0
  __u64 frames;
  __u64 lost;
  __u64 corrupted;
  __u64 duplicated;
};

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4096); __type(key, __u32); __type(value, struct end); } ends SEC(".maps");
// By the end's number times two, plus one for its sending hook.
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8192); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, __u32); __type(value, struct impairment); } impairments SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1024); __type(key, __u32); __type(value, __u32); } nodes SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 131072); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct tuple); __type(value, struct seen); } taps SEC(".maps");
// Frames dropped by a cut, by the node that sent them.
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1024); __type(key, __u32); __type(value, __u64); } cut_frames SEC(".maps");
// Flows a tap could not record since its table was full: the instrument's own loss.
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } tap_full SEC(".maps");

// A packet in which a router told its neighbour something new, as it left its sender; from its IP header on.
struct heard {
  __u64 t;       // ktime, ns
  __u32 index;   // the sending end
  __u32 node;
  __u32 length;  // of the packet
  __u32 copied;  // bytes of it that follow
  __u8 packet[HEARD_MOST];
};

// Heard packets, for one reader at a time.
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 22); } heard SEC(".maps");
// Those that found the ring full: the instrument's own loss.
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } heard_lost SEC(".maps");
// State and diagnostic of the BFD packet last sent by an end, plus one: an Up that says the same again is no news.
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4096); __type(key, __u32); __type(value, __u32); } bfd_last SEC(".maps");
// Where a record is put together: it is too large for the stack. Nothing interrupts a sending hook on its own CPU.
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct heard); } heard_draft SEC(".maps");

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
  __u8 flags = 0;
  if (key->proto == IPPROTO_TCP) {
    if (bpf_skb_load_bytes(skb, at + 13, &flags, 1) || (flags & TCP_RST)) return -1;
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
  // A connection is known by what it carries. Of SYNs, thousands of which never become one, all from one address to one service are
  // one flow, without the client's port: they would fill the table.
  key->sport = (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN ? 0 : ports[0];
  key->dport = (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) ? 0 : ports[1];
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

static __noinline int bfd_news(struct __sk_buff *skb, __u32 at, __u32 index) {
  __u8 head[2];  // version and diagnostic, state and flags (RFC 5880)
  if (bpf_skb_load_bytes(skb, at + sizeof(struct udphdr), head, sizeof head)) return 0;
  __u32 state = head[1] >> 6, now = ((head[0] & 0x1f) << 2 | state) + 1;
  __u32 *last = bpf_map_lookup_elem(&bfd_last, &index);
  if (!last || (state == BFD_UP && *last == now)) return 0;
  *last = now;
  return 1;
}

static __noinline int bgp_news(struct __sk_buff *skb, __u32 at) {
  struct tcphdr tcp;
  if (bpf_skb_load_bytes(skb, at, &tcp, sizeof tcp)) return 0;
  at += tcp.doff * 4;
  if (skb->len <= at) return 0;
  __u8 kind = 0;
  if (skb->len == at + BGP_HEADER && bpf_skb_load_bytes(skb, at + BGP_HEADER - 1, &kind, 1)) return 0;
  return kind != BGP_KEEPALIVE;
}

static __noinline int hand_over(struct __sk_buff *skb, __u32 index, __u32 node) {
  __u32 zero = 0;
  struct heard *draft = bpf_map_lookup_elem(&heard_draft, &zero);
  if (!draft) return 0;
  draft->t = bpf_ktime_get_ns();
  draft->index = index;
  draft->node = node;
  draft->length = skb->len - ETH_HLEN;
  __u64 copied = draft->length;
  if (copied > HEARD_MOST) copied = HEARD_MOST;
  if (copied < 1 || bpf_skb_load_bytes(skb, ETH_HLEN, draft->packet, copied)) return 0;
  draft->copied = copied;
  // Nobody is woken: the reader comes by when it wants to know, and the stamp is ours.
  if (bpf_ringbuf_output(&heard, draft, offsetof(struct heard, packet) + copied, BPF_RB_NO_WAKEUP)) {
    __u64 *lost = bpf_map_lookup_elem(&heard_lost, &zero);
    if (lost) __sync_fetch_and_add(lost, 1);
  }
  return 0;
}

// Only what this node sends itself: a forwarded frame, which is nearly every one, is known by having come from an interface.
static __always_inline void overhear(struct __sk_buff *skb, __u32 index, __u32 node) {
  if (skb->ingress_ifindex) return;
  __u32 at = ETH_HLEN;
  __u8 proto;
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip)) return;
    proto = ip.protocol;
    at += ip.ihl * 4;
  } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    if (bpf_skb_load_bytes(skb, at + offsetof(struct ipv6hdr, nexthdr), &proto, sizeof proto)) return;
    at += sizeof(struct ipv6hdr);
  } else {
    return;
  }
  if (proto != IPPROTO_UDP && proto != IPPROTO_TCP) return;
  __u16 ports[2];
  if (bpf_skb_load_bytes(skb, at, ports, sizeof ports)) return;
  int news = 0;
  if (proto == IPPROTO_UDP) {
    if (ports[1] == bpf_htons(BFD_PORT) || ports[1] == bpf_htons(BFD_MULTIHOP_PORT)) news = bfd_news(skb, at, index);
  } else if (ports[0] == bpf_htons(BGP_PORT) || ports[1] == bpf_htons(BGP_PORT)) {
    news = bgp_news(skb, at);
  }
  if (news) hand_over(skb, index, node);
}

// A frame that a wire loses is lost without a word: a drop at egress would be told to whoever sent it (ENOBUFS).
static __always_inline int lose(int sending) { return sending ? TC_ACT_STOLEN : TC_ACT_SHOT; }

// One bit of the packet flipped, and whoever verifies checksums is made to. A train of segments has only one checksum yet, which
// would be made to fit: it is dropped, as the receiver would drop a segment.
static __noinline int corrupt(struct __sk_buff *skb, int sending) {
  __u32 length = skb->len;
  if (skb->gso_size || length <= ETH_HLEN) return lose(sending);
  __u32 at = ETH_HLEN + bpf_get_prandom_u32() % (length - ETH_HLEN);
  __u8 byte;
  if (bpf_skb_load_bytes(skb, at, &byte, 1)) return TC_ACT_UNSPEC;
  byte ^= 1 << (bpf_get_prandom_u32() & 7);
  bpf_skb_store_bytes(skb, at, &byte, 1, 0);
  bpf_csum_level(skb, BPF_CSUM_LEVEL_RESET);
  return TC_ACT_UNSPEC;
}

static __noinline int impair(struct __sk_buff *skb, __u32 index, int sending, int came_back) {
  __u32 key = index << 1 | sending;
  struct impairment *how = bpf_map_lookup_elem(&impairments, &key);
  if (!how) return TC_ACT_UNSPEC;
  if (!came_back) {
    __sync_fetch_and_add(&how->frames, 1);
    if (how->detour) return bpf_redirect(how->detour, 0);
  }
  if (bpf_get_prandom_u32() < how->loss) {
    __sync_fetch_and_add(&how->lost, 1);
    return lose(sending);
  }
  if (bpf_get_prandom_u32() < how->duplication) {
    __sync_fetch_and_add(&how->duplicated, 1);
    skb->mark = COPY;
    bpf_clone_redirect(skb, skb->ifindex, sending ? 0 : BPF_F_INGRESS);
    skb->mark = 0;
  }
  if (bpf_get_prandom_u32() < how->corruption) {
    __sync_fetch_and_add(&how->corrupted, 1);
    return corrupt(skb, sending);
  }
  return TC_ACT_UNSPEC;
}

static __always_inline int wire(struct __sk_buff *skb, int sending) {
  bpf_set_hash_invalid(skb);  // a wire carries no socket's hash: the next router hashes the packet itself
  // An end is known by the filter's class, where its interface's index would not be unique in the lab.
  __u32 index = skb->tc_classid ? skb->tc_classid : skb->ifindex;
  // Nobody but us marks a frame that crosses a link, and no mark of ours gets further than this.
  int came_back = skb->mark == CAME_BACK, copy = skb->mark == COPY;
  if (came_back || copy) skb->mark = 0;
  if (copy) return TC_ACT_UNSPEC;
  struct end *end = bpf_map_lookup_elem(&ends, &index);
  if (!end) return TC_ACT_UNSPEC;
  __u32 here = end->node, there = end->peer;
  if (sending && !came_back) overhear(skb, index, here);  // before any cut: what a cut-off node says was still said
  __u32 *mine = bpf_map_lookup_elem(&nodes, &here), *theirs = bpf_map_lookup_elem(&nodes, &there);
  if (!mine || !theirs) return TC_ACT_UNSPEC;
  if (((*mine | *theirs) & NODE_CUT) || (end->flags & (sending ? CUT_OUT : CUT_IN))) {
    __u32 sender = sending ? here : there;
    __u64 *dropped = bpf_map_lookup_elem(&cut_frames, &sender);
    if (dropped) __sync_fetch_and_add(dropped, 1);
    if (end->flags & SIGHT) sight(skb, sending ? index : end->peer_index, 1);
    return lose(sending);
  }
  // Watched at both ends: frames that a node's XDP program takes or sends never pass that node's own hooks.
  if (end->flags & SIGHT && !came_back) sight(skb, sending ? index : end->peer_index, 0);
  if (end->flags & HOPS && !came_back) stamp_hop(skb, index, sending);
  if (end->flags & TAP && !came_back) tap(skb, sending ? index : end->peer_index);
  if (end->flags & (sending ? IMPAIR_OUT : IMPAIR_IN)) return impair(skb, index, sending, came_back);
  return TC_ACT_UNSPEC;
}

SEC("tc") int wire_in(struct __sk_buff *skb) { return wire(skb, 0); }
SEC("tc") int wire_out(struct __sk_buff *skb) { return wire(skb, 1); }

char LICENSE[] SEC("license") = "GPL";
