"""Text for people."""

import re


def one_line(text: str, limit: int = 600) -> str:
    return re.sub(r"\s+", " ", text).strip()[:limit]
