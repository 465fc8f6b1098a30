"""From the log to the sockets: bell, relay, rooms, wire, and the Socket.IO server."""
