// A frame that comes back from the wire in user space goes on where it was taken from. It knows one link end.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define CAME_BACK 0x6e6f7370  // as in wire.bpf.c

struct target {
  __u32 index;
  __u32 flags;  // of bpf_redirect: 0 out of it, BPF_F_INGRESS into it
};

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct target); } target SEC(".maps");

SEC("tc") int back(struct __sk_buff *skb) {
  __u32 zero = 0;
  struct target *to = bpf_map_lookup_elem(&target, &zero);
  if (!to) return TC_ACT_SHOT;
  skb->mark = CAME_BACK;
  return bpf_redirect(to->index, to->flags);
}

char LICENSE[] SEC("license") = "GPL";
