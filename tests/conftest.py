"""What all tests share: sessions of pytest within a test, for the plugin's own."""

pytest_plugins = ["pytester"]
