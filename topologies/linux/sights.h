// Which probes passed, or were cut on, which link: a bit for each. It knows what a probe of ours looks like on the wire, as
// probes/native/record.h has it, and nothing of what becomes of it.
#pragma once

#define PROBE_MAGIC 0x4e535046  // "NSPF", in front of a payload; then flow u32, sequence u64
#define ANSWER 1                // kinds of sight: the probe's answer, not itself
#define CUT 2                   // a cut took it on this link
#define NUMBER_BITS 24          // of a SYN's sequence number; above are 8 bits of its flow
#define SYN_WORDS 6             // header of a probe's SYN: nothing but the MSS option
#define SIGHT_SLOTS 128         // for 32 probes each
#define BIT_BITS 5

struct sight_key {
  __u32 flow;
  __u32 toward;  // UDP: both ports; ICMP: its type; TCP: the last bytes of the client's address
  __u16 from;    // number of the end that sent it
  __u8 proto;
  __u8 kind;
};

// Each slot: which 32 probes of the flow it is about (sequence number / 32), above a bit for each of them.
struct sights {
  __u64 slots[SIGHT_SLOTS];
};

struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 32768); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct sight_key); __type(value, struct sights); } sights SEC(".maps");
// Probes of flows that found no room: the instrument's own loss.
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } sights_full SEC(".maps");
// A fresh entry is too large for the stack.
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct sights); } no_sights SEC(".maps");

// Whether a frame holds a probe or its answer; innermost headers, as the taps look. 0 if it does.
static __noinline int probe_of(struct __sk_buff *skb, struct sight_key *key, __u64 *seq) {
  if (!key || !seq) return -1;
  __u32 at = ETH_HLEN, source = 0, destination = 0;
  __u16 kind = skb->protocol;
  __u8 proto = 0;
#pragma unroll
  for (int depth = 0; depth < 2; depth++) {
    if (kind == bpf_htons(ETH_P_IP)) {
      struct iphdr ip;
      if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip)) return -1;
      at += ip.ihl * 4;
      proto = ip.protocol;
      if (proto == IPPROTO_IPIP && depth == 0) continue;
      if (proto == IPPROTO_IPV6 && depth == 0) { kind = bpf_htons(ETH_P_IPV6); continue; }
      if (ip.frag_off & bpf_htons(0x1fff)) return -1;
      source = ip.saddr;
      destination = ip.daddr;
      break;
    }
    if (kind != bpf_htons(ETH_P_IPV6)) return -1;
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip)) return -1;
    at += sizeof ip;
    proto = ip.nexthdr;
    if (proto == IPPROTO_IPV6 && depth == 0) continue;
    if (proto == IPPROTO_IPIP && depth == 0) { kind = bpf_htons(ETH_P_IP); continue; }
    source = ip.saddr.in6_u.u6_addr32[3];
    destination = ip.daddr.in6_u.u6_addr32[3];
    break;
  }
  key->proto = proto;
  key->kind = 0;
  if (proto == IPPROTO_TCP) {
    struct tcphdr tcp;
    if (bpf_skb_load_bytes(skb, at, &tcp, sizeof tcp)) return -1;
    if (!tcp.syn && !tcp.rst) return -1;
    if (tcp.syn && !tcp.ack && tcp.doff != SYN_WORDS) return -1;
    if (tcp.rst && !tcp.ack) return -1;
    key->kind = tcp.ack ? ANSWER : 0;
    __u32 number = tcp.ack ? bpf_ntohl(tcp.ack_seq) - 1 : bpf_ntohl(tcp.seq);
    key->toward = tcp.ack ? destination : source;
    key->flow = number >> NUMBER_BITS;
    *seq = number & ((1 << NUMBER_BITS) - 1);
    return 0;
  }
  struct { __be32 head; __be32 rest; __be32 magic; __be32 flow; __be64 seq; } __attribute__((packed)) probe;
  if (proto != IPPROTO_UDP && proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6) return -1;
  if (bpf_skb_load_bytes(skb, at, &probe, sizeof probe) || probe.magic != bpf_htonl(PROBE_MAGIC)) return -1;
  key->toward = proto == IPPROTO_UDP ? bpf_ntohl(probe.head) : bpf_ntohl(probe.head) >> 24;
  key->flow = bpf_ntohl(probe.flow);
  *seq = bpf_be64_to_cpu(probe.seq);
  return 0;
}

static __noinline int sight(struct __sk_buff *skb, __u32 from, int cut) {
  struct sight_key key = {};
  __u64 seq = 0;
  if (probe_of(skb, &key, &seq)) return 0;
  key.from = from;
  if (cut) key.kind |= CUT;
  struct sights *seen = bpf_map_lookup_elem(&sights, &key);
  if (!seen) {
    __u32 zero = 0;
    struct sights *fresh = bpf_map_lookup_elem(&no_sights, &zero);
    if (!fresh) return 0;
    bpf_map_update_elem(&sights, &key, fresh, BPF_NOEXIST);
    seen = bpf_map_lookup_elem(&sights, &key);
    if (!seen) {
      __u64 *full = bpf_map_lookup_elem(&sights_full, &zero);
      if (full) __sync_fetch_and_add(full, 1);
      return 0;
    }
  }
  __u64 number = seq >> BIT_BITS, bit = 1ULL << (seq & ((1 << BIT_BITS) - 1));
  __u64 *slot = &seen->slots[number % SIGHT_SLOTS];
  if (*slot >> 32 == (__u32)number)
    __sync_fetch_and_or(slot, bit);
  else
    *slot = number << 32 | bit;
  return 0;
}

#define HOP_EVERY 64  // one probe of so many of a flow is stamped at every hook that it passes

// A stamped probe at a hook.
struct hop {
  __u64 t;       // ktime, ns
  __u64 seq;
  __u32 flow;
  __u32 toward;
  __u32 index;   // number of the end whose hook it is
  __u8 sending;
  __u8 proto;
  __u8 kind;
  __u8 unused;
};

// Stamped probes, for one reader at a time, and how many found no room.
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 22); } hops SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } hops_lost SEC(".maps");
// What stamping costs: time spent in here, ns, and frames looked at.
struct hop_cost { __u64 ns, frames; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct hop_cost); } hops_cost SEC(".maps");

static __noinline int stamp_hop(struct __sk_buff *skb, __u32 index, int sending) {
  __u64 now = bpf_ktime_get_ns(), seq = 0;
  __u32 zero = 0;
  struct sight_key key = {};
  if (!probe_of(skb, &key, &seq) && (seq + key.flow) % HOP_EVERY == 0) {
    struct hop at = {.t = now, .seq = seq, .flow = key.flow, .toward = key.toward, .index = index, .sending = sending,
                     .proto = key.proto, .kind = key.kind};
    if (bpf_ringbuf_output(&hops, &at, sizeof at, BPF_RB_NO_WAKEUP)) {
      __u64 *lost = bpf_map_lookup_elem(&hops_lost, &zero);
      if (lost) __sync_fetch_and_add(lost, 1);
    }
  }
  struct hop_cost *cost = bpf_map_lookup_elem(&hops_cost, &zero);
  if (cost) {
    __sync_fetch_and_add(&cost->ns, bpf_ktime_get_ns() - now);
    __sync_fetch_and_add(&cost->frames, 1);
  }
  return 0;
}
