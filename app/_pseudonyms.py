"""Other names for users, numbers and addresses: the same for the same, under a key that nobody keeps.

Numbers stay numbers, of the same length where they have seven digits or more; hosts stay names or addresses of their
kind. What comes out can be told from real ones: names under `.example` (RFC 2606), IPv4 addresses in their own private
network or else in 240/4 (reserved, RFC 1112), IPv6 addresses in 2001:db8::/32 (RFC 3849).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from functools import lru_cache
from typing import Final

_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_ROUNDS: Final = 8
_SHORT: Final = 7
_NUMBER: Final = re.compile(r"\+?[0-9][0-9().\- ]{0,40}|\+")
_PRIVATE: Final = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("172.16.0.0/12"),
                   ipaddress.ip_network("192.168.0.0/16"))  # fmt: skip


class Pseudonyms:
    """What stands for what, under one key. The caches are bounded; the same key gives the same without them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.user = lru_cache(65536)(self._user)
        self.number = lru_cache(65536)(self._number)
        self.host = lru_cache(65536)(self._host)
        self.identifier = lru_cache(65536)(self._identifier)

    def _user(self, user: str) -> str:
        """The user part of an address: a number for a number, `*` codes too; else a name."""
        folded = user.lower()
        digits = folded.strip("*#")
        if _NUMBER.fullmatch(digits) and any(sign.isdigit() for sign in digits):
            return folded.replace(digits, self.number(digits))
        return "user-" + self._word("user", folded, 8)

    def _number(self, number: str) -> str:
        """A telephone number with its signs where they stood; one of less than seven digits gets seven."""
        digits = "".join(sign for sign in number if sign.isdigit())
        if len(digits) < _SHORT:
            # The length is part of it, so that 12 and 012 stay apart.
            return ("+" if number.startswith("+") else "") + self._shuffled(f"{len(digits)}{digits:0>6}")
        shuffled = iter(self._shuffled(digits))
        return "".join(next(shuffled) if sign.isdigit() else sign for sign in number)

    def _host(self, host: str) -> str:
        """A host: a name for a name, an address for an address of its kind. Those that name nobody stay."""
        bare = host.strip("[]")
        try:
            address = ipaddress.ip_address(bare.partition("%")[0])
        except ValueError:
            return self._name(host.lower().rstrip("."))
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            return host
        if isinstance(address, ipaddress.IPv4Address):
            return self._address4(address)
        made = str(ipaddress.IPv6Address((0x20010DB8 << 96) | self._bits("6", address.packed, 64)))
        return f"[{made}]" if host.startswith("[") else made

    def token(self, text: str) -> str:
        """Some letters for what is opaque: a Call-ID, a tag, a branch. Nothing is known of what stood in it."""
        return self._word("token", text, 12)

    def _identifier(self, text: str) -> str:
        """A UUID or MAC address: other hexadecimal digits in the same places."""
        digits = iter(hashlib.blake2b(text.lower().encode(), key=self._key, person=b"id").hexdigest())
        return "".join(next(digits, "0") if sign in "0123456789abcdefABCDEF" else sign for sign in text)

    def _name(self, name: str) -> str:
        """A domain name, label by label, so that hosts of one domain stay together."""
        if name == "localhost":
            return name
        labels = name.split(".")
        made = ["example"]
        for at in range(len(labels) - 1, -1, -1):
            if at < len(labels) - 1 or len(labels) == 1:
                made.insert(0, "n" + self._word("host", ".".join(labels[at:]), 6))
        return ".".join(made)

    def _address4(self, address: ipaddress.IPv4Address) -> str:
        for network in _PRIVATE:
            if address in network:
                size = 32 - network.prefixlen
                base = int(network.network_address)
                return str(ipaddress.IPv4Address(base | self._permuted(int(address) - base, size)))
        return str(ipaddress.IPv4Address((0xF << 28) | self._bits("4", address.packed, 28) & ~1))

    def _bits(self, kind: str, data: bytes, count: int) -> int:
        digest = hashlib.blake2b(data, key=self._key, person=kind.encode()).digest()
        return int.from_bytes(digest[:16], "big") >> (128 - count)

    def _word(self, kind: str, text: str, length: int) -> str:
        value = self._bits(kind, text.encode("utf-8", "surrogatepass"), 64)
        signs = []
        for _ in range(length):
            value, place = divmod(value, len(_LETTERS))
            signs.append(_LETTERS[place])
        return "".join(signs)

    def _shuffled(self, digits: str) -> str:
        """Digits in the place of others, one to one: a Feistel network over two halves, as FF1 of NIST SP 800-38G."""
        left, right = digits[: len(digits) // 2], digits[len(digits) // 2 :]
        for number in range(_ROUNDS):
            mixed = (int(left) + self._bits(f"n{number}", f"{len(digits)}.{right}".encode(), 120)) % 10 ** len(left)
            left, right = right, f"{mixed:0{len(left)}}"
        return left + right

    def _permuted(self, value: int, size: int) -> int:
        """A number of so many bits (even) in the place of another, one to one."""
        half = size // 2
        mask = (1 << half) - 1
        left, right = value >> half, value & mask
        for number in range(_ROUNDS):
            mixed = left ^ self._bits(f"p{number}", b"%d.%d" % (size, right), half)
            left, right = right, mixed
        return left << half | right
