"""Addresses inside the page."""

from urllib.parse import quote


def workload_anchor(name: str) -> str:
    """Returns the id of a workload's section, for example ``"workload=ogbg"``."""
    return f"workload={quote(name, safe='', errors='surrogatepass')}"


def workload_route(name: str) -> str:
    """Returns the link to a workload's section, for example ``"#workload=ogbg"``."""
    return f"#{workload_anchor(name)}"
