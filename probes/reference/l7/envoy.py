"""Writes Envoy's bootstrap from an L7 node's configuration. It must not know the network or the L4 tier.

Run as `python3 -m l7.envoy > bootstrap.json`. Field names are Envoy's API v3 (envoyproxy.io/docs, api-v3).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from .config import CONFIG_PATH, App, ConfigError, L7Config, read_config

_CLUSTER = "apps"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_MANAGER = f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"
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
        # With a threshold above zero Envoy would spread over dead apps once most are dead.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "load_assignment": {"cluster_name": _CLUSTER, "endpoints": _localities(config)},
        "health_checks": [
            {
                "timeout": "0.5s",
                "interval": "0.5s",
                "unhealthy_interval": "0.25s",
                "unhealthy_edge_interval": "0.1s",
                "no_traffic_interval": "0.5s",
                "no_traffic_healthy_interval": "0.5s",
                "unhealthy_threshold": 3,
                "healthy_threshold": 1,
                "http_health_check": {"path": "/healthz"},
            }
        ],
    }


def _routes(config: L7Config) -> Json:
    retry = {
        "retry_on": "connect-failure,refused-stream,reset,gateway-error",
        "num_retries": 3,
        "per_try_timeout": "1s",
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
                        "match": {"prefix": "/"},
                        "route": {"cluster": _CLUSTER, "timeout": "5s", "retry_policy": retry},
                    }
                ],
            }
        ],
    }


def _listener(config: L7Config) -> Json:
    manager = {
        "@type": _MANAGER,
        "stat_prefix": "web",
        "codec_type": "AUTO",
        "route_config": _routes(config),
        # An hour of idleness: long-lived connections with slow heartbeats are not ours to end.
        "common_http_protocol_options": {"idle_timeout": "3600s"},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    return {
        "name": "web",
        "address": _socket("0.0.0.0", config.port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def bootstrap(config: L7Config) -> Json:
    """The whole bootstrap: one listener, one cluster, admin on loopback only."""
    return {
        "node": {"id": config.name, "cluster": "l7", "locality": {"region": config.region}},
        "admin": {"address": _socket("127.0.0.1", 9901)},
        "static_resources": {"listeners": [_listener(config)], "clusters": [_cluster(config)]},
    }


def main() -> int:
    """Prints the bootstrap as JSON; 0, or 1 with one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="l7.envoy", description=__doc__)
    parser.add_argument("--config", type=Path, default=CONFIG_PATH)
    try:
        config = read_config(parser.parse_args().config)
    except ConfigError as error:
        print(f"l7.envoy: {error}", file=sys.stderr)
        return 1
    json.dump(bootstrap(config), sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
