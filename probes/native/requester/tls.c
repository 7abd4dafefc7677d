/* TLS of one request between bytes of the wire and bytes of HTTP. Every handshake is a whole one: no session is taken up again. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "requester.h"

static const char *reason(void)
{
    const char *words = ERR_reason_error_string(ERR_peek_error());
    return words ? words : "closed";
}

void open_tls(struct series *s)
{
    const struct plan_series *p = s->plan;
    static const unsigned char old[] = "\x08http/1.1", new[] = "\x02h2"; /* as ALPN has them (RFC 7301) */
    bool http2 = p->http == HTTP_2;
    s->tls = SSL_CTX_new(TLS_client_method());
    if (!s->tls || !SSL_CTX_set_min_proto_version(s->tls, TLS1_2_VERSION) ||
        SSL_CTX_set_alpn_protos(s->tls, http2 ? new : old, http2 ? sizeof(new) - 1 : sizeof(old) - 1))
        die("series %u: no TLS: %s", p->id, reason());
    SSL_CTX_set_session_cache_mode(s->tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(s->tls, p->security == VERIFIED ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (p->security == VERIFIED && SSL_CTX_load_verify_locations(s->tls, p->certificates, NULL) != 1)
        die("series %u: %s: no certificates: %s", p->id, p->certificates, reason());
}

static bool is_address(const char *name)
{
    uint8_t ignored[16];
    return inet_pton(AF_INET, name, ignored) == 1 || inet_pton(AF_INET6, name, ignored) == 1;
}

bool begin_tls(struct request *q)
{
    const struct plan_series *p = q->series->plan;
    bool address = is_address(p->name);
    q->tls = SSL_new(q->series->tls);
    q->tls_in = BIO_new(BIO_s_mem());
    q->tls_out = BIO_new(BIO_s_mem());
    if (!q->tls || !q->tls_in || !q->tls_out) {
        BIO_free(q->tls_in);
        BIO_free(q->tls_out);
        return false;
    }
    SSL_set_bio(q->tls, q->tls_in, q->tls_out);
    SSL_set_connect_state(q->tls);
    SSL_set_hostflags(q->tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (address)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(q->tls), p->name) == 1;
    return SSL_set_tlsext_host_name(q->tls, p->name) == 1 && SSL_set1_host(q->tls, p->name) == 1;
}

/* What TLS itself has to say goes onto the wire. */
static bool flush_tls(struct request *q)
{
    uint8_t bytes[4096];
    int n;
    while ((n = BIO_read(q->tls_out, bytes, sizeof(bytes))) > 0)
        if (!put_out(q, bytes, (size_t)n))
            return false;
    return true;
}

static bool agreed_on_http(struct request *q)
{
    const unsigned char *name;
    unsigned n;
    bool http2 = q->series->plan->http == HTTP_2;
    SSL_get0_alpn_selected(q->tls, &name, &n);
    if (http2 ? n == 2 && !memcmp(name, "h2", 2) : !n || (n == 8 && !memcmp(name, "http/1.1", 8)))
        return true;
    say(q->series, "HTTP/%s was not agreed on (ALPN: %.*s)", http2 ? "2" : "1.1", n ? (int)n : 7, n ? (const char *)name : "nothing");
    return false;
}

bool shake(struct request *q, bool *over)
{
    ERR_clear_error();
    int result = SSL_do_handshake(q->tls);
    bool sent = flush_tls(q);
    *over = result == 1;
    if (*over)
        return sent && agreed_on_http(q);
    if (SSL_get_error(q->tls, result) == SSL_ERROR_WANT_READ)
        return sent;
    long verified = SSL_get_verify_result(q->tls);
    if (q->series->plan->security == VERIFIED && verified != X509_V_OK)
        say(q->series, "the certificate does not fit: %s", X509_verify_cert_error_string(verified));
    else
        say(q->series, "no TLS: %s", reason());
    return false;
}

bool encrypt(struct request *q, const uint8_t *data, size_t n)
{
    ERR_clear_error();
    return SSL_write(q->tls, data, (int)n) == (int)n && flush_tls(q);
}

enum progress decrypt(struct request *q, const uint8_t *data, size_t n)
{
    static uint8_t plain[16384]; /* a record's worth (RFC 8446 section 5.1) */
    if (n && BIO_write(q->tls_in, data, (int)n) != (int)n)
        return UNSAFE;
    for (;;) {
        ERR_clear_error();
        int got = SSL_read(q->tls, plain, sizeof(plain));
        if (got <= 0) {
            int why = SSL_get_error(q->tls, got);
            if (why == SSL_ERROR_ZERO_RETURN)
                return hear_end(q);
            if (why == SSL_ERROR_WANT_READ)
                return flush_tls(q) ? MORE : UNSAFE;
            say(q->series, "no TLS any more: %s", reason());
            return UNSAFE;
        }
        enum progress p = hear(q, plain, (size_t)got);
        if (p != MORE)
            return p;
    }
}
