/* Finds the flow that a packet to a VIP belongs to. It must not know backends, rings or tunnels.
 *
 * ICMP has two kinds: a ping is a flow of its own, named by its identifier; an error belongs to the flow that it quotes
 * (RFC 792, RFC 4443), which is a packet of ours on its way back: the quoted source is the VIP.
 */
#pragma once
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include "maps.h"

#define IP_MORE_OR_OFFSET 0x3fff
#define IP_OFFSET 0x1fff
#define IP_DONT_FRAGMENT 0x4000
/* RFC 792 */
#define ICMP_DEST_UNREACH 3
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMPV6_ECHO_REQUEST 128	/* RFC 4443; below it are the errors */

struct packet {
	struct flow flow;
	__u32 length;         /* of what goes into the tunnel, its headers included */
	__u8 tos;
	__u8 inside;          /* the tunnel's protocol number for it: IPPROTO_IPIP or IPPROTO_IPV6 */
	bool whole;           /* must not be fragmented on the way */
	bool opens;           /* may be the first of its flow, and proves nothing about it */
	bool ping, error;
};

struct ports { __be16 source, destination; };

struct icmp { __u8 type, code; __be16 checksum, id, sequence; };

static __always_inline struct address mapped(__be32 v4)
{
	return (struct address){ .word = { 0, 0, bpf_htonl(0xffff), v4 } };
}

static __always_inline struct address address6(const struct in6_addr *v6)
{
	struct address address;

	__builtin_memcpy(&address, v6, sizeof(address));
	return address;
}

static __always_inline bool same(const struct address *a, const struct address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] && a->word[3] == b->word[3];
}

/* All of these return 0, or the counter of the reason to drop. */

static __always_inline __u32 transport(struct packet *packet, __u8 protocol, void *at, void *end)
{
	struct ports *ports = at;

	if ((void *)(ports + 1) > end)
		return DROP_MALFORMED;
	if (protocol == IPPROTO_TCP) {
		__u8 *flags = at + 13;

		if ((void *)(flags + 1) > end)
			return DROP_MALFORMED;
		packet->opens = (*flags & 0x12) == 0x02;	/* SYN without ACK */
	}
	packet->flow.source_port = ports->source;
	packet->flow.destination_port = ports->destination;
	packet->flow.protocol = protocol;
	return 0;
}

static __always_inline __u32 ping(struct packet *packet, __u8 protocol, const struct icmp *icmp)
{
	packet->flow.source_port = icmp->id;
	packet->flow.protocol = protocol;
	packet->opens = packet->ping = true;	/* endless pings evict no pinned connection */
	return 0;
}

/* `from` is where the quoted packet came from, `to` where it went: the flow runs the other way. */
static __always_inline __u32 quoted(struct packet *packet, const struct address *from, const struct address *to,
				    __u8 protocol, void *at, void *end)
{
	struct ports *ports = at;

	if (!same(from, &packet->flow.destination) || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
		return DROP_NOT_SERVED;
	if ((void *)(ports + 1) > end)
		return DROP_MALFORMED;
	packet->flow.source = *to;
	packet->flow.source_port = ports->destination;
	packet->flow.destination_port = ports->source;
	packet->flow.protocol = protocol;
	packet->error = true;
	return 0;
}

static __always_inline __u32 icmp4(struct packet *packet, struct icmp *icmp, void *end)
{
	struct iphdr *ip = (void *)(icmp + 1);
	struct address from, to;

	if ((void *)ip > end)
		return DROP_MALFORMED;
	if (icmp->type == ICMP_ECHO)
		return ping(packet, IPPROTO_ICMP, icmp);
	if (icmp->type != ICMP_DEST_UNREACH && icmp->type != ICMP_TIME_EXCEEDED && icmp->type != ICMP_PARAMETERPROB)
		return DROP_NOT_SERVED;
	if ((void *)(ip + 1) > end)
		return DROP_MALFORMED;
	if (ip->ihl != 5)
		return DROP_OPTIONS;	/* no backend of ours sends any */
	if (ip->frag_off & bpf_htons(IP_OFFSET))
		return DROP_FRAGMENT;
	from = mapped(ip->saddr);
	to = mapped(ip->daddr);
	return quoted(packet, &from, &to, ip->protocol, ip + 1, end);
}

static __always_inline __u32 icmp6(struct packet *packet, struct icmp *icmp, void *end)
{
	struct ipv6hdr *ip = (void *)(icmp + 1);
	struct address from, to;

	if ((void *)ip > end)
		return DROP_MALFORMED;
	if (icmp->type == ICMPV6_ECHO_REQUEST)
		return ping(packet, IPPROTO_ICMPV6, icmp);
	if (icmp->type > ICMPV6_ECHO_REQUEST)
		return DROP_NOT_SERVED;
	if ((void *)(ip + 1) > end)
		return DROP_MALFORMED;
	from = address6(&ip->saddr);
	to = address6(&ip->daddr);
	return quoted(packet, &from, &to, ip->nexthdr, ip + 1, end);
}

static __always_inline __u32 parse4(struct packet *packet, struct iphdr *ip, void *end)
{
	packet->length = bpf_ntohs(ip->tot_len);
	packet->tos = ip->tos;
	packet->inside = IPPROTO_IPIP;
	packet->whole = ip->frag_off & bpf_htons(IP_DONT_FRAGMENT);
	if (ip->version != 4 || ip->ihl < 5 || packet->length > end - (void *)ip)
		return DROP_MALFORMED;
	if (ip->ihl != 5)
		return DROP_OPTIONS;
	if (ip->frag_off & bpf_htons(IP_MORE_OR_OFFSET))
		return DROP_FRAGMENT;	/* later fragments have no ports, so none can reach the right backend */
	if (ip->protocol == IPPROTO_ICMP)
		return icmp4(packet, (void *)(ip + 1), end);
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return DROP_NOT_SERVED;
	return transport(packet, ip->protocol, ip + 1, end);
}

static __always_inline __u32 parse6(struct packet *packet, struct ipv6hdr *ip, void *end)
{
	packet->length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	packet->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	packet->inside = IPPROTO_IPV6;
	packet->whole = true;	/* only its source may fragment it (RFC 8200, 5) */
	if (ip->version != 6 || packet->length > end - (void *)ip)
		return DROP_MALFORMED;
	switch (ip->nexthdr) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return transport(packet, ip->nexthdr, ip + 1, end);
	case IPPROTO_ICMPV6:
		return icmp6(packet, (void *)(ip + 1), end);
	case IPPROTO_FRAGMENT:
		return DROP_FRAGMENT;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
	case IPPROTO_MH:
		return DROP_EXTENSION;
	}
	return DROP_NOT_SERVED;
}
