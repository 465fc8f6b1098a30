"""Leases: which process does a piece of work that exactly one process shall do.

Invariants: a lease has one holder until it expires or is released; one statement asks for it and takes it. Whoever
claims it in the transaction of the work itself never does that work beside a successor: the row of the lease stays
locked until the commit.
"""

from server.store.sql import run
from server.store.transaction import Transaction

# The database server's clock, which all processes share, so that a machine whose own clock is ahead takes over nobody's
# lease; a SQLite file has one machine, and so the process's clock is the same. In milliseconds.
CLOCK = {
    True: "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    False: "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
}


def claim(tx: Transaction, name: str, *, holder: str, seconds: float) -> bool:
    """Takes the lease for so long, or renews it for its holder; False while somebody else holds it."""
    clock = CLOCK[tx.postgres]
    statement = (
        f"INSERT INTO lease (name, holder, expires_ms) VALUES (?, ?, {clock} + ?)"
        " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_ms = excluded.expires_ms"
        f" WHERE lease.holder = excluded.holder OR lease.expires_ms <= {clock} RETURNING name"
    )
    return bool(run(tx, statement, (name, holder, int(seconds * 1000))).fetchall())


def release_all(tx: Transaction, *, holder: str) -> None:
    """Gives back every lease of a holder."""
    run(tx, "DELETE FROM lease WHERE holder = ?", (holder,))


def forget(tx: Transaction) -> int:
    """Removes the leases that nobody renewed and nobody wants any more; returns how many."""
    return int(run(tx, f"DELETE FROM lease WHERE expires_ms <= {CLOCK[tx.postgres]}").rowcount)


def release(tx: Transaction, name: str, *, holder: str) -> None:
    """Gives the lease back; nothing happens when somebody else holds it by now."""
    run(tx, "DELETE FROM lease WHERE name = ? AND holder = ?", (name, holder))
