"""How clients and writers reach the servers."""

from dataclasses import dataclass
from random import Random

import aiohttp


@dataclass
class Access:
    """How to reach the servers: any of them, by chance, as behind a load balancer."""

    http: aiohttp.ClientSession
    urls: list[str]
    chance: Random

    def url(self) -> str:
        return self.chance.choice(self.urls)
