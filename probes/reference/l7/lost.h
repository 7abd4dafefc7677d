/* Datagrams that could not be answered: summed up by client and reason, told every 100 ms on standard output in the format of
 * node/drops.py. It must not know sockets: only who asked, whom, and why no answer left. */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAMED 64              /* clients of one turn; the others are told without a name */
#define TURN_NS 100000000LL

struct lost {
	struct in6_addr client, asked;
	in_port_t client_port, port;
	const char *reason;
	unsigned long long count;
	long long first_ns, last_ns;
};

static struct lost named[NAMED], others;
static int used;
static long long told_ns;

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static const char *reason_of(int error)
{
	switch (error) {
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "no_route";
	case ENOBUFS:
	case EAGAIN:
		return "no_buffer";
	}
	return "not_sent";
}

static bool same(const struct lost *a, const struct lost *b)
{
	return a->reason == b->reason && a->client_port == b->client_port && !memcmp(&a->client, &b->client, sizeof(a->client))
	       && !memcmp(&a->asked, &b->asked, sizeof(a->asked));
}

/* One more, with the errno of sending. */
static void lost_add(const struct sockaddr_in6 *client, const struct in6_addr *asked, in_port_t port, int error)
{
	struct lost one = {
		.client = client->sin6_addr, .asked = *asked, .client_port = client->sin6_port, .port = port,
		.reason = reason_of(error), .first_ns = now_ns(),
	}, *into = &others;
	int i;

	for (i = 0; i < used && !same(&named[i], &one); i++)
		;
	if (i < NAMED) {
		into = &named[i];
		if (i == used) {
			*into = one;
			used++;
		}
	}
	if (!into->count)
		into->first_ns = one.first_ns;
	into->reason = into == &others && into->count && into->reason != one.reason ? "not_sent" : one.reason;
	into->last_ns = one.first_ns;
	into->count++;
}

/* Milliseconds until `lost_tell` has something to do; -1 for never. */
static int lost_due(void)
{
	long long left = told_ns + TURN_NS - now_ns();

	return !used && !others.count ? -1 : left > 0 ? (int)(left / 1000000) + 1 : 0;
}

/* False where the reader is behind. A line is shorter than PIPE_BUF: a pipe that can be written takes the whole of it (pipe(7)). */
static bool write_line(const struct lost *lost, bool with_flow, long long now)
{
	char client[INET6_ADDRSTRLEN], asked[INET6_ADDRSTRLEN], flow[256] = "", line[512];
	struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };
	int length;

	if (poll(&output, 1, 0) <= 0)
		return false;
	inet_ntop(AF_INET6, &lost->client, client, sizeof(client));
	inet_ntop(AF_INET6, &lost->asked, asked, sizeof(asked));
	if (with_flow)
		snprintf(flow, sizeof(flow), ",\"flow\":{\"src\":\"%s\",\"sport\":%d,\"dst\":\"%s\",\"dport\":%d,\"protocol\":17}",
			 client, ntohs(lost->client_port), asked, ntohs(lost->port));
	length = snprintf(line, sizeof(line), "{\"t_ns\":%lld,\"source\":\"echo\",\"what\":\"drop\",\"reason\":\"%s\",\"count\":%llu,"
			  "\"first_ns\":%lld,\"last_ns\":%lld%s}\n", now, lost->reason, lost->count, lost->first_ns, lost->last_ns, flow);
	return write(STDOUT_FILENO, line, length) == length || errno == EPIPE;	/* nobody reads: nobody is told */
}

static void lost_tell(void)
{
	long long now = now_ns();

	if ((!used && !others.count) || now < told_ns + TURN_NS)
		return;
	told_ns = now;
	while (used && write_line(&named[used - 1], true, now))
		used--;
	if (!used && others.count && write_line(&others, false, now))
		others.count = 0;
}
