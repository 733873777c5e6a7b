"""What Ray reads from the environment, once, when it is imported: to be set before that."""

import os
import secrets


def prepare(own_ray: bool) -> None:
    """For a Ray of our own a secret that only this environment holds, and that Ray's processes inherit; for an
    existing one, the secret is where its owner put it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if own_ray:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        os.environ.pop("RAY_AUTH_TOKEN_PATH", None)
        os.environ.pop("RAY_ADDRESS", None)
