"""Writes Envoy's bootstrap from an L7 node's configuration. It must not know the network or the L4 tier.

Pure. Field names are Envoy's API v3 (envoyproxy.io/docs, api-v3).
"""

from __future__ import annotations

from collections.abc import Mapping

from .certificate import CERTIFICATE, KEY
from .config import App, L7Config

HEALTH_PATH = "/nospof-health"
STREAM_PATH = "/stream"
ADMIN_SOCKET = "/run/envoy.admin"
HEALTH_EVENTS = "/run/envoy.health"
_CLUSTER = "apps"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_MANAGER = f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_HEALTH_CHECK = f"{_EXTENSIONS}.filters.http.health_check.v3.HealthCheck"
_HEALTH_SINK = f"{_EXTENSIONS}.health_check.event_sinks.file.v3.HealthCheckEventFileSink"
_TLS = f"{_EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext"
_ROUTER = f"{_EXTENSIONS}.filters.http.router.v3.Router"

Json = Mapping[str, object]


def _socket(address: str, port: int) -> Json:
    return {"socket_address": {"address": address, "port_value": port}}


def _locality(region: str, priority: int, apps: list[App]) -> Json:
    endpoints = [{"endpoint": {"address": _socket(str(app.address), app.port)}} for app in apps]
    return {"locality": {"region": region}, "priority": priority, "lb_endpoints": endpoints}


def _localities(config: L7Config) -> list[Json]:
    """The node's own region first; the others only where none of its own is healthy."""
    regions = sorted({app.region for app in config.apps}, key=lambda region: (region != config.region, region))
    has_own = bool(regions) and regions[0] == config.region

    def apps(region: str) -> list[App]:
        return [app for app in config.apps if app.region == region]

    return [_locality(region, int(has_own and region != config.region), apps(region)) for region in regions]


def _cluster(config: L7Config) -> Json:
    return {
        "name": _CLUSTER,
        "type": "STATIC",
        "connect_timeout": "0.25s",
        "lb_policy": "ROUND_ROBIN",
        # With a threshold above zero Envoy would spread over dead apps once most are dead. With a window, as it has by default, it
        # keeps what it has learned of an app to itself for up to a second after it has told of another.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "load_assignment": {"cluster_name": _CLUSTER, "endpoints": _localities(config)},
        # An app that let two tries run out is left alone for a while, long before checks have decided about it. What it answers
        # itself, be it 500, is no reason. Never more than half: slow apps are better than none.
        "outlier_detection": {
            "consecutive_gateway_failure": 2,
            "enforcing_consecutive_gateway_failure": 100,
            "enforcing_consecutive_5xx": 0,
            "enforcing_success_rate": 0,
            "interval": "1s",
            "base_ejection_time": "2s",
            "max_ejection_time": "10s",
            "max_ejection_percent": 50,
        },
        "health_checks": [
            {
                # Slow while all is well: requests find a dead app sooner, and are tried again elsewhere.
                "timeout": "0.5s",
                "interval": "1s",
                "unhealthy_interval": "0.25s",
                "unhealthy_edge_interval": "0.1s",
                "no_traffic_interval": "1s",
                "no_traffic_healthy_interval": "1s",
                "unhealthy_threshold": 3,
                "healthy_threshold": 1,
                "http_health_check": {"path": "/healthz"},
                "event_logger": [
                    {
                        "name": "envoy.health_check.event_sinks.file",
                        "typed_config": {"@type": _HEALTH_SINK, "event_log_path": HEALTH_EVENTS},
                    }
                ],
            }
        ],
    }


def _routes(config: L7Config) -> Json:
    retry = {
        "retry_on": "connect-failure,refused-stream,reset,gateway-error",
        "num_retries": 3,
        "per_try_timeout": "0.25s",  # what a request loses to an app that is frozen
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{_EXTENSIONS}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }
    return {
        "name": "local",
        "response_headers_to_add": [
            {"header": {"key": "x-backend", "value": config.name}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ],
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": [
                    {
                        # Lasts as long as both ends like. What has begun is never tried again: so says Envoy of every answer.
                        "match": {"path": STREAM_PATH},
                        "route": {
                            "cluster": _CLUSTER,
                            "timeout": "0s",
                            "idle_timeout": "3600s",
                            "retry_policy": retry,
                        },
                    },
                    {
                        "match": {"prefix": "/"},
                        "route": {"cluster": _CLUSTER, "timeout": "5s", "retry_policy": retry},
                    },
                ],
            }
        ],
    }


def _health() -> Json:
    """Answers L4 nodes without asking an app: 503 while no app is healthy, or after the admin's healthcheck/fail."""
    return {
        "@type": _HEALTH_CHECK,
        "pass_through_mode": False,
        "cluster_min_healthy_percentages": {_CLUSTER: {"value": 1}},
        "headers": [{"name": ":path", "string_match": {"exact": HEALTH_PATH}}],
    }


def _manager(config: L7Config) -> Json:
    return {
        "@type": _MANAGER,
        "stat_prefix": "web",
        "codec_type": "AUTO",  # HTTP/2 by ALPN, and in the clear by prior knowledge
        "route_config": _routes(config),
        # An hour of idleness: long-lived connections with slow heartbeats are not ours to end.
        "common_http_protocol_options": {"idle_timeout": "3600s"},
        # While draining a connection ends so long after the response that said so: who waits for its end waits that long.
        "drain_timeout": "0.25s",
        "delayed_close_timeout": "0.25s",
        "http_filters": [
            {"name": "envoy.filters.http.health_check", "typed_config": _health()},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}},
        ],
    }


def _security() -> Json:
    certificate = {"certificate_chain": {"filename": str(CERTIFICATE)}, "private_key": {"filename": str(KEY)}}
    context = {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [certificate]}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": _TLS, "common_tls_context": context},
    }


def _listener(config: L7Config, name: str, port: int, security: Json | None = None) -> Json:
    """Both families; the same behind it, by TLS or in the clear."""
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": _manager(config)}]
    chain: dict[str, object] = {"filters": filters}
    if security is not None:
        chain["transport_socket"] = security
    return {
        "name": name,
        "address": {"socket_address": {"address": "::", "port_value": port, "ipv4_compat": True}},
        "filter_chains": [chain],
    }


def bootstrap(config: L7Config) -> Json:
    """The whole bootstrap: a listener in the clear and, where it is wanted, one by TLS; one cluster, admin on a Unix socket only."""
    listeners = [_listener(config, "web", config.port)]
    if config.tls is not None:
        listeners.append(_listener(config, "web-tls", config.tls.port, _security()))
    return {
        "node": {"id": config.name, "cluster": "l7", "locality": {"region": config.region}},
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "static_resources": {"listeners": listeners, "clusters": [_cluster(config)]},
    }
