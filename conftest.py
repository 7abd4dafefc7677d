"""pytest's door into the hall: it loads the plugin and nothing more."""

pytest_plugins = ["scenarios.plugin"]
