/* echo PORT NAME: answers every UDP datagram with its payload and NAME behind it, from the address it came to.
 * It must not know VIPs or tunnels: IPV6_PKTINFO tells it which of the node's addresses was asked. One socket takes both
 * families; IPv4 addresses look like ::ffff:a.b.c.d to it (RFC 3493, 3.7; RFC 3542, 6).
 * What it cannot answer is told on its standard output, one JSON line for each client and reason. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "lost.h"

#define BATCH 64
#define PAYLOAD 2048
#define NAME 64

static struct {
	struct sockaddr_in6 peer;
	char payload[PAYLOAD + NAME];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	struct iovec part;
} slot[BATCH];

static struct mmsghdr message[BATCH];

static void prepare(int i)
{
	slot[i].part = (struct iovec){ slot[i].payload, PAYLOAD };
	message[i].msg_hdr = (struct msghdr){
		.msg_name = &slot[i].peer, .msg_namelen = sizeof(slot[i].peer),
		.msg_iov = &slot[i].part, .msg_iovlen = 1,
		.msg_control = &slot[i].control, .msg_controllen = sizeof(slot[i].control),
	};
}

/* The interface that the packet came by says nothing about the way back: only the address is kept. */
static void answer_from_same_address(struct msghdr *header)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		struct in6_pktinfo *info = (void *)CMSG_DATA(c);

		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			info->ipi6_ifindex = 0;
	}
}

/* The datagram is given up: no route back, buffer full. */
static void give_up(struct msghdr *header, in_port_t port, int error)
{
	static const struct in6_addr unknown;
	const struct in6_addr *asked = &unknown;
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			asked = &((struct in6_pktinfo *)(void *)CMSG_DATA(c))->ipi6_addr;
	}
	lost_add(header->msg_name, asked, port, error);
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 here = { .sin6_family = AF_INET6 };
	int on = 1, off = 0, room = 4 << 20, fd, got, sent, i;
	size_t name;

	if (argc != 3 || atoi(argv[1]) < 1 || atoi(argv[1]) > 65535 || strlen(argv[2]) > NAME) {
		fprintf(stderr, "usage: echo PORT NAME (a port of 1..65535, a name of at most %d bytes)\n", NAME);
		return 2;
	}
	name = strlen(argv[2]);
	here.sin6_port = htons(atoi(argv[1]));
	fd = socket(AF_INET6, SOCK_DGRAM, 0);
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0
	    || setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0
	    || bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0) {
		fprintf(stderr, "echo: UDP port %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	signal(SIGPIPE, SIG_IGN);	/* whoever is told may end; those who ask are answered */
	for (;;) {
		struct pollfd due = { .fd = fd, .events = POLLIN };

		lost_tell();
		if (lost_due() >= 0 && poll(&due, 1, lost_due()) == 0)
			continue;
		for (i = 0; i < BATCH; i++)
			prepare(i);
		got = recvmmsg(fd, message, BATCH, MSG_WAITFORONE, NULL);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			fprintf(stderr, "echo: receiving: %s\n", strerror(errno));
			return 1;
		}
		for (i = 0; i < got; i++) {
			memcpy(slot[i].payload + message[i].msg_len, argv[2], name);
			slot[i].part.iov_len = message[i].msg_len + name;
			answer_from_same_address(&message[i].msg_hdr);
		}
		for (i = 0; i < got; i += sent > 0 ? sent : 1) {
			sent = sendmmsg(fd, message + i, got - i, MSG_DONTWAIT);	/* none waits behind another's full queue */
			if (sent <= 0)
				give_up(&message[i].msg_hdr, here.sin6_port, errno);	/* the rest still goes */
		}
	}
}
