// A gate that closes and opens by itself, on the kernel's own timer, and writes down when it did: black holes of known length, to
// calibrate what measures black holes. It must not know the prober, nor the lab's wires; UDP is all it stops, since a neighbour that
// could not be resolved would make a hole longer than the gate was closed.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define HOLES 256
#define CLOCK_MONOTONIC 1
#define UDP 17

// The user writes the first two, in order of time; the gate the others. Each instant was between its two readings of the clock.
struct hole {
  __u64 close_ns, open_ns;
  __u64 closed_ns, closed_by_ns, opened_ns, opened_by_ns;
  __u64 dropped;
};

struct gate {
  struct bpf_timer timer;
  __u32 next, holes, closed, refused;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, HOLES);
  __type(key, __u32);
  __type(value, struct hole);
} holes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct gate);
} gates SEC(".maps");

static __always_inline void arm(struct gate *gate, __u64 at_ns) {
  __u64 now = bpf_ktime_get_ns();
  if (bpf_timer_start(&gate->timer, at_ns > now ? at_ns - now : 1, 0)) gate->refused++;
}

static int turn(void *map, __u32 *key, struct gate *gate) {
  __u32 index = gate->next;
  struct hole *hole = bpf_map_lookup_elem(&holes, &index);
  if (!hole) return 0;
  if (!gate->closed) {
    hole->closed_ns = bpf_ktime_get_ns();
    __atomic_exchange_n(&gate->closed, 1, __ATOMIC_SEQ_CST);
    hole->closed_by_ns = bpf_ktime_get_ns();
    arm(gate, hole->open_ns);
    return 0;
  }
  hole->opened_ns = bpf_ktime_get_ns();
  __atomic_exchange_n(&gate->closed, 0, __ATOMIC_SEQ_CST);
  hole->opened_by_ns = bpf_ktime_get_ns();
  gate->next = ++index;
  if (index >= gate->holes) return 0;
  hole = bpf_map_lookup_elem(&holes, &index);
  if (hole) arm(gate, hole->close_ns);
  return 0;
}

// Run once by the user, when the holes are written and `gates` says how many there are.
SEC("tc") int start(struct __sk_buff *skb) {
  __u32 first = 0;
  struct gate *gate = bpf_map_lookup_elem(&gates, &first);
  struct hole *hole = bpf_map_lookup_elem(&holes, &first);
  if (!gate || !hole) return 1;
  if (bpf_timer_init(&gate->timer, &gates, CLOCK_MONOTONIC)) return 2;
  if (bpf_timer_set_callback(&gate->timer, turn)) return 3;
  arm(gate, hole->close_ns);
  return gate->refused ? 4 : 0;
}

static __always_inline int is_udp(struct __sk_buff *skb) {
  __u8 protocol = 0;
  if (skb->protocol == bpf_htons(ETH_P_IP))
    bpf_skb_load_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, protocol), &protocol, 1);
  else if (skb->protocol == bpf_htons(ETH_P_IPV6))
    bpf_skb_load_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, nexthdr), &protocol, 1);
  return protocol == UDP;
}

SEC("tc") int gate(struct __sk_buff *skb) {
  __u32 first = 0;
  struct gate *gate = bpf_map_lookup_elem(&gates, &first);
  if (!gate || !*(volatile __u32 *)&gate->closed || !is_udp(skb)) return TC_ACT_UNSPEC;
  __u32 index = gate->next;
  struct hole *hole = bpf_map_lookup_elem(&holes, &index);
  if (hole) __sync_fetch_and_add(&hole->dropped, 1);
  return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "GPL";
