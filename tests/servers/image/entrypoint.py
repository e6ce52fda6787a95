"""Start the engine as its official image does: variables with a dot in their name are settings."""

import os

kind = os.environ["KIND"]
home = f"/usr/share/{kind}"
settings = {name: value for name, value in os.environ.items() if "." in name} | {"network.host": "0.0.0.0"}
os.chdir(home)
os.execv(f"{home}/bin/{kind}", [kind, *(f"-E{name}={value}" for name, value in settings.items())])
