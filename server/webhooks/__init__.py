"""Log to receivers: what clients of the items API hear on sockets, told to web servers by signed requests."""
