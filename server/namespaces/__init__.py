"""Socket.IO namespaces and the raw-JSON sockets that mirror them."""
