"""Real servers and real clients for the tests: each starts on a free loopback port and is surely gone afterwards."""
