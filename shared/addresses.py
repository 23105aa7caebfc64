"""Network addresses: who counts as one client."""

from ipaddress import IPv6Address, ip_address

IPV6_HOME = 64  # bits of an IPv6 address that belong to one household or company


def network(text: str) -> str:
    """An IPv4 address, or the whole network of one IPv6 customer."""
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address) and not address.ipv4_mapped:
        return str(IPv6Address(int(address) >> (128 - IPV6_HOME) << (128 - IPV6_HOME)))
    return str(address)
