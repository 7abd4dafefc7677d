// Hands over every packet of a probe, or of its answer, that the kernel gives up in one of our namespaces, and why. It runs when
// a packet is dropped and at no other time. It must not know nodes, nor what the numbers of reasons mean, beyond two.
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define NO_REFERENCE (~1UL)  // the lowest bit of _skb_refdst says that no reference is held
#define PAYLOAD_MAGIC 0x4e535046  // 'NSPF', as in probes/packets.py
#define MOST_NESTED 2
#define LONGEST_HEAD 64  // bytes that may stand between the UDP header and a probe's payload, as QUIC's header does
#define PROBE 1       // flag of a record: flow and sequence are those of a probe's payload
#define NO_CARRIER 2  // flag of a record: the interface had none
#define LINK_STATE_NOCARRIER 2  // bit of net_device.state
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define AF_PACKET 17
#define SOCK_RAW 3

// What is read of the kernel's own structures; where the fields are, the running kernel's BTF says.
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common { unsigned int inum; };
struct net { struct ns_common ns; };
typedef struct { struct net *net; } possible_net_t;
struct net_device { unsigned long state; int ifindex; possible_net_t nd_net; };
struct sock_common { unsigned short skc_family; possible_net_t skc_net; };
struct sock { struct sock_common __sk_common; __u16 sk_type; };
struct dst_entry { struct net_device *dev; };
struct sk_buff {
  struct net_device *dev;
  struct sock *sk;
  unsigned long _skb_refdst;
  unsigned int len;
  int skb_iif;
  __be16 protocol;
  __u16 network_header;
  unsigned int tail;
  unsigned char *head, *data;
};
#pragma clang attribute pop
enum skb_drop_reason { SKB_DROP_REASON_NO_SOCKET = 3, SKB_DROP_REASON_QUEUE_PURGE = 104 };
#define IS(reason, name) (bpf_core_enum_value_exists(enum skb_drop_reason, name) && (reason) == bpf_core_enum_value(enum skb_drop_reason, name))

struct dropped {
  __u64 t;         // ktime, ns
  __u64 location;  // address in the kernel's code
  __u64 sequence;  // of the probe
  __u32 flow;      // of the probe
  __u32 netns;     // inode
  __u32 ifindex;   // 0: at none
  __u32 reason;
  __u32 tcp_sequence;
  __u32 tcp_acknowledged;
  __u8 src[16];
  __u8 dst[16];
  __u16 sport;     // network order, as the addresses
  __u16 dport;
  __u8 protocol;
  __u8 flags;
  __u8 tcp_flags;
  __u8 ttl;        // of the outermost header
};

// Inodes of the namespaces that are ours; what happens in any other is nobody's business here.
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4096); __type(key, __u32); __type(value, __u8); } namespaces SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 22); } drops SEC(".maps");
// Records that found the ring full: the instrument's own loss.
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } drops_lost SEC(".maps");

// What is left of a packet in the linear part of its buffer; a header beyond it is not looked at.
struct cursor { const unsigned char *head; __u32 at, end; };

static __always_inline int take(const struct cursor *c, __u32 offset, void *into, __u32 size) {
  if (c->at + offset + size > c->end) return -1;
  return bpf_probe_read_kernel(into, size, c->head + c->at + offset);
}

// The innermost addresses and protocol; the cursor is left at the transport's header.
static __always_inline int network(struct cursor *c, struct dropped *d) {
  __u8 next = 0;
#pragma unroll
  for (int depth = 0; depth < MOST_NESTED; depth++) {
    __u8 version;
    if (take(c, 0, &version, 1)) return -1;
    if (version >> 4 == 4) {
      struct iphdr ip;
      if (take(c, 0, &ip, sizeof ip) || (ip.frag_off & bpf_htons(0x1fff))) return -1;
      if (depth == 0) d->ttl = ip.ttl;
      c->at += (version & 0xf) * 4;
      next = ip.protocol;
      __builtin_memset(d->src, 0, 16); __builtin_memset(d->dst, 0, 16);
      __builtin_memcpy(d->src, &ip.saddr, 4); __builtin_memcpy(d->dst, &ip.daddr, 4);
    } else if (version >> 4 == 6) {
      struct ipv6hdr ip;
      if (take(c, 0, &ip, sizeof ip)) return -1;
      if (depth == 0) d->ttl = ip.hop_limit;
      c->at += sizeof ip;
      next = ip.nexthdr;
      __builtin_memcpy(d->src, &ip.saddr, 16); __builtin_memcpy(d->dst, &ip.daddr, 16);
    } else {
      return -1;
    }
    if (next != IPPROTO_IPIP && next != IPPROTO_IPV6) break;
  }
  d->protocol = next;
  return 0;
}

// A probe's payload at an offset: magic, flow u32, sequence u64.
static __always_inline int payload(const struct cursor *c, __u32 offset, struct dropped *d) {
  struct { __be32 magic, flow, high, low; } p;
  if (take(c, offset, &p, sizeof p) || p.magic != bpf_htonl(PAYLOAD_MAGIC)) return -1;
  d->flow = bpf_ntohl(p.flow);
  d->sequence = (__u64)bpf_ntohl(p.high) << 32 | bpf_ntohl(p.low);
  d->flags |= PROBE;
  return 0;
}

// 0 where the packet belongs to a probe or its answer, or to any connection, and did not arrive.
static __always_inline int udp(const struct cursor *c, struct dropped *d) {
  __u16 ports[2];
  if (take(c, 0, ports, sizeof ports)) return -1;
  d->sport = ports[0];
  d->dport = ports[1];
  for (__u32 head = 0; head <= LONGEST_HEAD; head++)
    if (!payload(c, sizeof(struct udphdr) + head, d)) return 0;
  return -1;
}

static __always_inline int icmp(const struct cursor *c, struct dropped *d) {
  struct { __u8 type, code; __u16 check, id, number; } echo;
  if (take(c, 0, &echo, sizeof echo)) return -1;
  int six = d->protocol == IPPROTO_ICMPV6, reply = echo.type == (six ? 129 : 0);
  if (!reply && echo.type != (six ? 128 : 8)) return -1;
  // It arrived: who asked listens by other means than a ping socket.
  if (reply && IS(d->reason, SKB_DROP_REASON_NO_SOCKET)) return -1;
  d->sport = d->dport = echo.id;
  return payload(c, sizeof echo, d);
}

static __always_inline int tcp(const struct cursor *c, struct dropped *d) {
  struct { __be16 sport, dport; __be32 sequence, acknowledged; __u8 offset, flags; } head;
  if (take(c, 0, &head, 14)) return -1;
  // A RST is freed like a drop once it was obeyed, a segment once its connection was closed. A SYN-ACK without a socket
  // arrived: the probe that asked for it has none.
  if (head.flags & TCP_RST || IS(d->reason, SKB_DROP_REASON_QUEUE_PURGE)) return -1;
  if ((head.flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) && IS(d->reason, SKB_DROP_REASON_NO_SOCKET)) return -1;
  d->sport = head.sport;
  d->dport = head.dport;
  d->tcp_sequence = bpf_ntohl(head.sequence);
  d->tcp_acknowledged = bpf_ntohl(head.acknowledged);
  d->tcp_flags = head.flags;
  return 0;
}

static __always_inline int transport(const struct cursor *c, struct dropped *d) {
  if (d->protocol == IPPROTO_UDP) return udp(c, d);
  if (d->protocol == IPPROTO_TCP) return tcp(c, d);
  if (d->protocol == IPPROTO_ICMP || d->protocol == IPPROTO_ICMPV6) return icmp(c, d);
  return -1;
}

static __always_inline int is_ours(__u32 inode) { return bpf_map_lookup_elem(&namespaces, &inode) != NULL; }

// Where the packet was: at an interface, else at a socket. A queued datagram has other things in the place of its interface,
// which as an address would not be the kernel's.
static __always_inline void place(struct sk_buff *skb, struct sock *receiver, struct dropped *d) {
  struct net_device *dev = skb->dev;
  if ((long)dev < 0) {
    d->netns = dev->nd_net.net->ns.inum;
    d->ifindex = dev->ifindex;
    if (dev->state >> LINK_STATE_NOCARRIER & 1) d->flags |= NO_CARRIER;
    return;
  }
  struct sock *sk = skb->sk;
  if (receiver) {
    d->netns = receiver->__sk_common.skc_net.net->ns.inum;
    d->ifindex = skb->skb_iif;
    return;
  }
  if (sk) d->netns = sk->__sk_common.skc_net.net->ns.inum;
  struct dst_entry *dst = (struct dst_entry *)(skb->_skb_refdst & NO_REFERENCE);
  if (dst) d->ifindex = BPF_CORE_READ(dst, dev, ifindex);
}

static __always_inline int gone(struct sk_buff *skb, void *location, __u32 reason, struct sock *receiver) {
  // Raw and packet sockets are given copies: what becomes of one is no news of the packet.
  if (receiver && (receiver->sk_type == SOCK_RAW || receiver->__sk_common.skc_family == AF_PACKET)) return 0;
  struct dropped d = {.reason = reason};
  place(skb, receiver, &d);
  if (!is_ours(d.netns)) return 0;
  __u32 header = skb->network_header;
  struct cursor c = {.head = skb->head, .end = skb->tail};
  c.at = header ? header : skb->data - skb->head;  // a frame that XDP sent has no header's place yet
  if (network(&c, &d) || transport(&c, &d)) return 0;
  d.t = bpf_ktime_get_ns();
  d.location = (__u64)location;
  // Nobody is woken: the reader comes by when it wants to know, and the stamp is ours.
  if (bpf_ringbuf_output(&drops, &d, sizeof d, BPF_RB_NO_WAKEUP)) {
    __u32 zero = 0;
    __u64 *lost = bpf_map_lookup_elem(&drops_lost, &zero);
    if (lost) __sync_fetch_and_add(lost, 1);
  }
  return 0;
}

// Kernels from 6.11 on also tell which socket did not take the packet; one of the two is loaded.
SEC("tp_btf/kfree_skb") int BPF_PROG(dropped, struct sk_buff *skb, void *location, __u32 reason) {
  return gone(skb, location, reason, NULL);
}

SEC("tp_btf/kfree_skb") int BPF_PROG(dropped_at_socket, struct sk_buff *skb, void *location, __u32 reason, struct sock *receiver) {
  return gone(skb, location, reason, receiver);
}

char LICENSE[] SEC("license") = "GPL";
